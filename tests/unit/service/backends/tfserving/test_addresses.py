import pytest

from service.backends.tfserving.addresses import Address, AddressError, parse_addresses, resolve


def test_all_forms_are_read() -> None:
    text = "a:1, dns:///b.example:2,unix:/run/tfs.sock,[::1]:65535,127.0.0.1:8500,"
    assert parse_addresses(text) == (
        Address("a:1", "a", 1),
        Address("dns:///b.example:2", "b.example", 2, all_of_name=True),
        Address("unix:/run/tfs.sock"),
        Address("[::1]:65535", "::1", 65535),
        Address("127.0.0.1:8500", "127.0.0.1", 8500),
    )


@pytest.mark.parametrize(
    "text", ["", ",", "a", "a:0", "a:65536", "a:1,a:1", "http://a:1", "dns:///a", "unix:", "::1:8500", "a b:1", "a:x"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(AddressError, match="host:port"):
        parse_addresses(text)


async def test_each_address_of_a_name_is_a_replica_and_a_plain_one_is_not_looked_up() -> None:
    addresses = parse_addresses("dns:///127.0.0.1:7,nowhere.invalid:8,unix:/run/x")
    assert await resolve(addresses, frozenset()) == {"127.0.0.1:7", "nowhere.invalid:8", "unix:/run/x"}


async def test_a_name_that_cannot_be_looked_up_changes_nothing() -> None:
    before = frozenset({"10.0.0.1:7"})
    assert await resolve(parse_addresses("dns:///nowhere.invalid:7"), before) == before


@pytest.mark.parametrize("host", ["a..b", "x" * 64])
def test_a_name_that_nobody_can_look_up_is_refused(host: str) -> None:
    with pytest.raises(AddressError, match="a name that can be looked up"):
        parse_addresses(f"dns:///{host}:8500")
