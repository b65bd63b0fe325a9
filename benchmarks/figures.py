"""The figures that matter, each put together of figures of the same round of the same run."""

from collections.abc import Callable, Iterator

from benchmarks.bare_loop import CALLS
from benchmarks.loading import CALLERS, MEANWHILE, USUALLY, VARIABLES
from benchmarks.questions import (
    OIP_REST,
    OIP_RPC,
    OIP_RPC_H2LOAD,
    OIP_STREAM,
    OIP_STREAM_H2LOAD,
    TFS_RPC,
    Question,
)
from benchmarks.results import Results, Rounds, difference, ratio
from benchmarks.rounds import JSON, LOOP
from benchmarks.servers import (
    BACKEND,
    BASELINE,
    EMPTY,
    EMPTY_ASGI,
    FEW,
    GATEWAY,
    MANY,
    MOST,
    PEERS,
    TENSORGATE,
)

Named = tuple[str, str, Rounds]
"""What a figure says, its unit (``x`` for a ratio), and its value in each round."""


def figures(results: Results) -> Iterator[Named]:
    """Yields all of them; those that a run did not find have no rounds."""
    for part in (_embedded, _one_at_a_time, _rest, _streams, _gateway, _loading, _json, _limits):
        yield from part(results)


def _rates(results: Results) -> Callable[[str, Question, int], Rounds]:
    return lambda server, question, concurrency: results.of(server, "rate", question.name, concurrency)


def _embedded(results: Results) -> Iterator[Named]:
    rate = _rates(results)
    for question in (OIP_RPC, TFS_RPC):
        ours, what = rate(TENSORGATE, question, MANY), f"{question.name}, concurrency {MANY}: requests/s against"
        for key in ("triton", "mlserver"):
            yield f"{what} {PEERS[key]}", "x", ratio(ours, rate(PEERS[key], OIP_RPC, MANY))
        yield f"{what} {EMPTY}", "x", ratio(ours, rate(EMPTY, TFS_RPC, MANY))
        yield f"{what} images of the bare loop at batch {MANY}", "x", ratio(ours, _loop(results, MANY))
        yield f"{what} the baseline", "x", ratio(ours, rate(BASELINE, question, MANY))
        yield f"{question.name}: concurrency {MOST} against {MANY}", "x", ratio(rate(TENSORGATE, question, MOST), ours)


def _one_at_a_time(results: Results) -> Iterator[Named]:
    bare = {number: 1000 / images for number, images in _loop(results, FEW).items()}
    for question in (OIP_RPC, TFS_RPC):
        ours = results.of(TENSORGATE, "p50", question.name, FEW)
        what = f"{question.name}, concurrency {FEW}: p50"
        yield (
            f"{what} against KServe (below 1 is faster)",
            "x",
            ratio(ours, results.of(PEERS["kserve"], "p50", OIP_RPC.name, FEW)),
        )
        yield f"{what}, added to the bare call of the model", "ms", difference(ours, bare)
        yield (
            f"{what} against the baseline (below 1 is faster)",
            "x",
            ratio(ours, results.of(BASELINE, "p50", question.name, FEW)),
        )


def _rest(results: Results) -> Iterator[Named]:
    rate = _rates(results)
    ours, what = rate(TENSORGATE, OIP_REST, MANY), f"{OIP_REST.name}, concurrency {MANY}: requests/s against"
    for key in ("triton", "mlserver"):
        yield f"{what} {PEERS[key]}", "x", ratio(ours, rate(PEERS[key], OIP_REST, MANY))
    yield f"{what} the baseline", "x", ratio(ours, rate(BASELINE, OIP_REST, MANY))


def _streams(results: Results) -> Iterator[Named]:
    rate = _rates(results)
    for stream, unary, by in (
        (OIP_STREAM, OIP_RPC, "our load generator"),
        (OIP_STREAM_H2LOAD, OIP_RPC_H2LOAD, "h2load"),
    ):
        what = f"streams against unary calls, {MANY} in flight, by {by}"
        yield what, "x", ratio(rate(TENSORGATE, stream, MANY), rate(TENSORGATE, unary, MANY))


def _gateway(results: Results) -> Iterator[Named]:
    rate = _rates(results)
    for concurrency in (MANY, MOST):
        what = f"a gateway, concurrency {concurrency}: requests/s against its backend called directly"
        yield what, "x", ratio(rate(GATEWAY, TFS_RPC, concurrency), rate(BACKEND, TFS_RPC, concurrency))
    direct = results.of(BACKEND, "p50", TFS_RPC.name, FEW)
    added = difference(results.of(GATEWAY, "p50", TFS_RPC.name, FEW), direct)
    yield f"a gateway, concurrency {FEW}: p50 added to its backend's", "ms", added
    yield "a gateway without tensorflow: memory after the first answer", "MB", results.of(GATEWAY, "memory at first")
    yield "a gateway without tensorflow: memory after all bursts", "MB", results.of(GATEWAY, "memory")
    yield "a gateway without tensorflow: start to the first answer", "s", results.of(GATEWAY, "start")


def _loading(results: Results) -> Iterator[Named]:
    for callers in CALLERS:
        usual = results.of(TENSORGATE, f"{USUALLY}: p99", OIP_RPC.name, callers)
        worst = results.of(TENSORGATE, f"{MEANWHILE}: worst", OIP_RPC.name, callers)
        what = f"{OIP_RPC.name}, concurrency {callers}, while another model of {VARIABLES:,} variables loads"
        yield f"{what}: the worst latency against the usual p99 (below 1 is faster)", "x", ratio(worst, usual)


def _json(results: Results) -> Iterator[Named]:
    for name in dict.fromkeys(of.protocol for of in results.figures if of.server == JSON):
        faster = ratio(results.of(JSON, "orjson", name), results.of(JSON, "ours", name))
        yield f"JSON of a {name} image to numpy: speed against orjson and numpy.asarray", "x", faster


def _limits(results: Results) -> Iterator[Named]:
    rate = _rates(results)
    for question, limit in ((TFS_RPC, TFS_RPC), (OIP_REST, OIP_REST)):
        what = f"the load generator: {EMPTY_ASGI} against Tensorgate, {question.name}, concurrency {MANY}"
        yield what, "x", ratio(rate(EMPTY_ASGI, limit, MANY), rate(TENSORGATE, question, MANY))


def _loop(results: Results, batch: int) -> Rounds:
    """Returns images/s, by the faster of both calls."""
    found = [results.of(LOOP, "images", call, batch) for call in CALLS]
    return {number: max(rounds[number] for rounds in found) for number in found[0]}
