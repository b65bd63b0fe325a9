from collections.abc import Callable

import pytest

from service.core.client_address import client_at


@pytest.mark.parametrize(
    ("peer", "name"),
    [
        (("192.0.2.1", 4711), "address:192.0.2.1"),
        (("2001:db8::1", 4711), "address:2001:db8::/64"),
        (("2001:DB8:0:0:ffff::2", 4711), "address:2001:db8::/64"),
        (("2001:db8:0:1::1", 4711), "address:2001:db8:0:1::/64"),
        (("fe80::1%eth0", 4711), "address:fe80::/64"),
        (("::ffff:192.0.2.1", 4711), "address:192.0.2.1"),
        (lambda: "127.0.0.1:4711", "address:127.0.0.1"),
        (lambda: "[2001:db8::1]:4711", "address:2001:db8::/64"),
        (lambda: "unix:", "address:unix"),
        (("", 0), ""),
        (None, ""),
    ],
)
def test_an_address_is_a_client(peer: tuple[str, int] | Callable[[], str] | None, name: str) -> None:
    assert client_at(peer) == name
