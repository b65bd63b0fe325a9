"""The figures that matter, each a ratio of two of the same run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.bare_loop import BATCHES
from benchmarks.json_decoding import Decoding
from benchmarks.questions import LONG_CALLS, OIP_REST, OIP_RPC, STREAM, TFS_RPC, UNARY
from benchmarks.results import Compared, Row, Spread
from benchmarks.servers import BACKEND_ALONE, GATEWAY, NGINX, PEERS, TENSORGATE
from benchmarks.table import Cells

_MOST = 64


@dataclass(frozen=True, slots=True)
class _Ratio:
    what: str
    value: float | None


def table(
    compared: Compared,
    streams: Compared,
    loops: Mapping[str, Mapping[int, list[float]]],
    decoding: Mapping[str, Decoding],
) -> Cells:
    """Returns the table of ratios; those of which a figure is missing are left out."""
    ours = Row(TENSORGATE, OIP_RPC)
    ratios = []
    for protocol in (OIP_RPC, OIP_REST):
        for peer in PEERS.values():
            theirs = Row(peer, protocol if Row(peer, protocol) in compared.rows() else "REST")
            if protocol == OIP_RPC and theirs.protocol == "REST":
                continue
            ratio = _rates(compared, Row(TENSORGATE, protocol), theirs)
            ratios.append(_Ratio(f"{protocol}, {_MOST} at a time: answers a second against {peer}", ratio))
    fastest = _fastest(compared)
    if fastest is not None and (own := compared.p50(ours, 1)) is not None:
        row, spread = fastest
        what = f"{OIP_RPC}, 1 at a time: p50 against that of the fastest peer, {row.server} (below 1 is faster)"
        ratios.append(_Ratio(what, own.median / spread.median))
    gateway = Row(GATEWAY, TFS_RPC)
    for other, name in ((BACKEND_ALONE, "the backend asked directly"), (NGINX, "nginx in front of it")):
        what = f"a gateway in front of a backend, {_MOST} at a time: answers a second against {name}"
        ratios.append(_Ratio(what, _rates(compared, gateway, Row(other, TFS_RPC))))
    unary, stream = (Row(TENSORGATE, f"{OIP_RPC}, {kind}") for kind in (UNARY, STREAM))
    long_calls = Row(TENSORGATE, f"{OIP_RPC}, {LONG_CALLS}")
    triton = Row(PEERS["triton"], OIP_RPC)
    ratios += [
        _Ratio(f"streams against unary calls, same load generator, {_MOST} under way", _rates(streams, stream, unary)),
        _Ratio("streams by h2load against unary calls by h2load", _across(streams, long_calls, compared, ours)),
        _Ratio("streams by h2load against unary calls of Triton", _across(streams, long_calls, compared, triton)),
    ]
    if loops and (reached := compared.rate(ours, _MOST)) is not None:
        for call, rates in loops.items():
            bare = Spread.of(rates[BATCHES[-1]]).median
            what = f"{OIP_RPC}, {_MOST} at a time, against a bare loop of batches of {BATCHES[-1]} ({call})"
            ratios.append(_Ratio(what, reached.median / bare))
    for name, found in decoding.items():
        what = f"JSON of a {name} image to numpy: how much faster than orjson and numpy.asarray"
        ratios.append(_Ratio(what, found.orjson / found.ours))
    ratios += _gateway_alone(compared)
    rows = [[ratio.what, f"{ratio.value:.2f}"] for ratio in ratios if ratio.value is not None]
    return [["what", "figure"], *rows]


def _gateway_alone(compared: Compared) -> list[_Ratio]:
    """Returns what the gateway needs by itself, without tensorflow: no ratios, but what is told first of all."""
    return [
        _Ratio(f"{what} of the gateway without tensorflow, {unit}", Spread.of(figures[GATEWAY]).median)
        for what, unit, figures in (
            ("memory after the first answer", "MB", compared.idle),
            ("memory after all bursts", "MB", compared.memory),
            ("start to first answer", "s", compared.start),
        )
        if figures.get(GATEWAY)
    ]


def _rates(compared: Compared, row: Row, other: Row) -> float | None:
    return _across(compared, row, compared, other)


def _across(compared: Compared, row: Row, others: Compared, other: Row) -> float | None:
    ours, theirs = compared.rate(row, _MOST), others.rate(other, _MOST)
    return ours.median / theirs.median if ours is not None and theirs is not None else None


def _fastest(compared: Compared) -> tuple[Row, Spread] | None:
    """Returns the peer with the lowest latency of single gRPC calls."""
    candidates: Sequence[tuple[Row, Spread]] = [
        (row, spread) for peer in PEERS.values() if (spread := compared.p50(row := Row(peer, OIP_RPC), 1)) is not None
    ]
    return min(candidates, key=lambda candidate: candidate[1].median, default=None)
