"""Which requests are refused for where they come from, and for which host they are."""

import pytest

from service.errors import ErrorKind, GatewayError
from service.transport.cross_site import SitePolicy

LOCAL = SitePolicy.of(hosts="", origins="", local_host="127.0.0.1")
PUBLIC = SitePolicy.of(hosts="", origins="", local_host="")


def verdict(policy: SitePolicy, verb: str = "POST", **headers: str) -> str:
    """Returns the code of the refusal; empty where there is none."""
    named = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    try:
        policy.check(verb, named)
    except GatewayError as error:
        return str(error.kind)
    return ""


@pytest.mark.parametrize(
    "headers",
    [
        {},  # curl, every gRPC client
        {"origin": "http://127.0.0.1:8000"},
        {"origin": "https://127.0.0.1:8000"},  # TLS ends before the server
        {"sec_fetch_site": "same-origin", "origin": "http://127.0.0.1:8000"},
        {"sec_fetch_site": "none"},  # typed into the address bar
        {"sec_fetch_site": "same-origin", "origin": "http://elsewhere.example"},  # what the browser itself has found
    ],
)
def test_what_no_foreign_page_sends_is_let_through(headers: dict[str, str]) -> None:
    assert verdict(LOCAL, host="127.0.0.1:8000", **headers) == ""


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1:3000"},  # another server of this machine
        {"origin": "null"},  # a file, a frame in a sandbox
        {"origin": ""},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "cross-site", "origin": "http://127.0.0.1:8000"},
        {"sec_fetch_site": "same-site", "origin": "http://127.0.0.1:3000"},
        {"sec_fetch_site": "what comes next"},
    ],
)
@pytest.mark.parametrize("verb", ["POST", "PUT", "DELETE", "PATCH", "BREW"])
def test_what_foreign_pages_send_is_refused_unless_it_changes_nothing(headers: dict[str, str], verb: str) -> None:
    assert verdict(LOCAL, verb, host="127.0.0.1:8000", **headers) == ErrorKind.FORBIDDEN
    assert verdict(PUBLIC, verb, host="127.0.0.1:8000", **headers) == ErrorKind.FORBIDDEN
    for safe in ("GET", "HEAD", "OPTIONS"):
        assert verdict(LOCAL, safe, host="127.0.0.1:8000", **headers) == ""


def test_an_origin_is_foreign_to_a_request_without_a_host() -> None:
    assert verdict(LOCAL, origin="null") == verdict(LOCAL, host="", origin="null") == ErrorKind.FORBIDDEN


def test_pages_that_the_operator_names_may_ask() -> None:
    policy = SitePolicy.of(hosts="", origins="https://one.example, https://two.example", local_host="127.0.0.1")
    for site in ("cross-site", "same-site"):
        assert verdict(policy, host="localhost", sec_fetch_site=site, origin="https://two.example") == ""
        assert verdict(policy, host="localhost", sec_fetch_site=site, origin="https://two.example:1") == "forbidden"
        assert verdict(policy, host="localhost", sec_fetch_site=site) == "forbidden"
    anybody = SitePolicy.of(hosts="", origins="*", local_host="127.0.0.1")
    assert verdict(anybody, host="localhost", sec_fetch_site="cross-site", origin="null") == ""


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:8000",
        "localhost:1",
        "LocalHost",
        "localhost.",
        "app.localhost",
        "[::1]:8000",
        "[::1]",
        "",
    ],
)
def test_a_server_of_this_machine_is_known_by_local_names(host: str) -> None:
    assert verdict(LOCAL, "GET", host=host) == verdict(PUBLIC, "GET", host=host) == ""


@pytest.mark.parametrize("host", ["10.1.2.3:8000", "192.168.0.1", "[fd00::1]:8000"])
def test_an_address_is_no_name_that_could_be_made_to_point_here(host: str) -> None:
    assert verdict(LOCAL, "GET", host=host) == ""


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8000", "x", "localhost.evil.example", "notlocalhost", "127.0.0.1.evil.example"),
        *(
            "localhost:8000:1",
            "a@localhost",
            "localhost/",
            "[::1",
            "[localhost]",
            "::1",
            "localhost evil",
            "2130706433x",
        ),
    ],
)
def test_any_other_name_is_refused_there_whatever_the_verb(host: str) -> None:
    assert verdict(LOCAL, "GET", host=host) == verdict(LOCAL, "POST", host=host) == ErrorKind.MISDIRECTED
    assert verdict(PUBLIC, "GET", host=host) == ""


def test_the_operator_says_which_names_are_the_servers() -> None:
    policy = SitePolicy.of(hosts="Models.example, *.in.example", origins="", local_host="")
    for good in ("models.example:443", "MODELS.example", "a.in.example", "b.a.in.example", "localhost", "10.0.0.1"):
        assert verdict(policy, "GET", host=good) == ""
    for bad in ("in.example", "example", "a.models.example", "evilin.example"):
        assert verdict(policy, "GET", host=bad) == ErrorKind.MISDIRECTED
    assert verdict(SitePolicy.of(hosts="*", origins="", local_host="127.0.0.1"), "GET", host="anything") == ""


def test_the_servers_own_name_is_among_them() -> None:
    policy = SitePolicy.of(hosts="", origins="", local_host="box")
    assert verdict(policy, "GET", host="box:8000") == ""
    assert verdict(policy, "GET", host="fox:8000") == ErrorKind.MISDIRECTED


@pytest.mark.parametrize("hosts", ["a b", "a:80", "http://a", "a/b", "**", "a.*"])
def test_what_is_no_list_of_hosts_is_refused(hosts: str) -> None:
    with pytest.raises(ValueError, match="names of hosts"):
        SitePolicy.of(hosts=hosts, origins="", local_host="")
