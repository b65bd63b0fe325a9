"""Where a client finds its servers, and what it shows them."""

from pathlib import Path
from typing import Any

import pytest

from tensorgate.client.calls import Limits, split
from tensorgate.client.connection import Tls, connection
from tensorgate.client.errors import InvalidInput, Unavailable
from tensorgate.client.packed import append_packed
from tensorgate.v1 import tensorgate_pb2 as pb


@pytest.mark.parametrize("address", ["127.0.0.1:1", "localhost:1", "[::1]:1", "unix:/tmp/x", "127.9.9.9:1"])
def test_a_key_stays_on_this_machine_without_tls(address: str) -> None:
    assert connection(address, "secret", None).metadata() == (("authorization", "Bearer secret"),)


@pytest.mark.parametrize("addresses", ["10.0.0.1:1", "example.org:1", ["127.0.0.1:1", "10.0.0.1:1"], "[fe80::1]:1"])
def test_a_key_leaves_it_with_tls_or_where_that_is_said(addresses: Any) -> None:
    with pytest.raises(InvalidInput, match="tls: expected tls=True, or tls=False to send the key unencrypted"):
        connection(addresses, "secret", None)
    if "example" not in addresses:
        for tls in (False, True, Tls()):
            assert connection(addresses, "secret", tls).metadata()
        assert connection(addresses, None, None).metadata() == ()


def test_several_addresses_are_one_target() -> None:
    assert connection(["127.0.0.1:1", "127.0.0.2:2"], None, None).target == "ipv4:127.0.0.1:1,127.0.0.2:2"
    assert connection(["[::1]:1", "[::2]:2"], None, None).target == "ipv6:[::1]:1,[::2]:2"
    assert connection(["localhost:1"], None, None).target == "localhost:1"


@pytest.mark.parametrize(
    "addresses",
    [
        *("", [], ["127.0.0.1:1", ""], ["127.0.0.1:1", "[::1]:1"]),
        *("localhost", "http://127.0.0.1:8000", "grpcs://models:8001", "models:8001/", "models:", "::1", "a b:1"),
    ],
)
def test_addresses_that_make_no_sense_are_refused(addresses: Any) -> None:
    with pytest.raises(InvalidInput, match="addresses: expected"):
        connection(addresses, None, None)


@pytest.mark.parametrize("address", ["models:8001", "[::1]:8001", "unix:/tmp/x", "dns:///models:8001", "a_b.c-d:1"])
def test_addresses_of_grpc_are_taken(address: str) -> None:
    assert connection(address, None, None).target == address


def test_a_key_out_of_a_file_is_without_the_end_of_its_line() -> None:
    assert connection("localhost:1", " secret\n", None).metadata() == (("authorization", "Bearer secret"),)


@pytest.mark.parametrize("key", ["", "\n", "se cret", "secret\nx", "sécret"])
def test_a_key_that_cannot_be_sent_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(InvalidInput, match="key: expected an API key or a token") as refused:
        connection("localhost:1", key, None)
    assert "cret" not in str(refused.value)


def test_names_that_are_not_known_are_named() -> None:
    with pytest.raises(Unavailable, match=r"no\.such\.invalid:1 is not known"):
        connection(["127.0.0.1:1", "no.such.invalid:1"], None, None)


def test_half_a_certificate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="certificate and key"):
        connection("127.0.0.1:1", None, Tls(certificate=b"x"))
    with pytest.raises(FileNotFoundError):
        connection("127.0.0.1:1", None, Tls(ca=tmp_path / "none.pem"))


def parts(sizes: list[int], limits: Limits) -> list[int]:
    found = split(sizes, limits)
    assert [index for part in found for index in range(len(sizes))[part]] == list(range(len(sizes)))
    return [part.stop - part.start for part in found]


def test_batches_are_split_by_rows_and_by_bytes() -> None:
    assert parts([1] * 10, Limits(rows=4)) == [4, 4, 2]
    assert parts([10_000] * 10, Limits(size=50_000)) == [4, 4, 2]
    assert parts([100_000, 1, 1, 100_000], Limits(size=50_000)) == [1, 2, 1]
    assert parts([1], Limits()) == [1]
    assert parts([], Limits()) == [0]


@pytest.mark.parametrize("count", [0, 1, 15, 16, 127, 128, 20_000])
def test_packed_numbers_are_read_as_written(count: int) -> None:
    import numpy as np

    values = np.arange(count, dtype=np.float64) / 3
    message = pb.Series(values=[1.0], features=3)
    append_packed(message, "values", values, "<f8")
    assert list(message.values) == [1.0, *values.tolist()]
    assert message.features == 3
