"""The renewal of TLS, on servers that refuse what they are given."""

import shutil
from pathlib import Path

import pytest

from service.app.tls import ServerTls
from service.errors import ErrorKind, GatewayError
from service.transport.tls import TlsFiles, TlsMaterial
from tests.certificates import Authority, Pair, install


class Renewed:
    """A server.

    Attributes:
        shown: What it got, in order.
        refusal: What it raises next, if anything.
    """

    def __init__(self) -> None:
        self.shown: list[TlsMaterial] = []
        self.refusal: Exception | None = None

    async def renew(self, tls: TlsMaterial) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.shown.append(tls)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> list[Pair]:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make certificates with")
    authority = Authority(tmp_path_factory.mktemp("authority"))
    return [authority.issue(name) for name in ("first", "second", "third")]


async def following(pair: Pair, folder: Path, *servers: Renewed) -> ServerTls:
    installed = install(pair, folder)
    tls = ServerTls(TlsFiles(installed.certificate, installed.key), poll_seconds=0, hsts_seconds=0)
    await tls.follow(servers)
    return tls


async def test_all_servers_get_a_new_certificate_or_none_does(pairs: list[Pair], tmp_path: Path) -> None:
    first, last = Renewed(), Renewed()
    tls = await following(pairs[0], tmp_path, first, last)
    before = tls.material
    last.refusal = GatewayError(ErrorKind.MALFORMED, "it has a key of a kind that is not known")
    install(pairs[1], tmp_path)
    await tls._look()
    assert first.shown[1:] == [before]
    assert tls.material is before
    last.refusal = None
    install(pairs[2], tmp_path)
    await tls._look()
    assert first.shown[-1] is last.shown[-1] is tls.material is not before
    assert tls.material.certificate == pairs[2].certificate.read_bytes()


async def test_what_was_refused_is_tried_again_once_it_has_changed_or_on_request(
    pairs: list[Pair], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, last = Renewed(), Renewed()
    tls = await following(pairs[0], tmp_path, first, last)
    last.refusal = GatewayError(ErrorKind.MALFORMED, "it is refused")
    install(pairs[1], tmp_path)
    for _ in range(3):
        await tls._look()
    assert len(first.shown) == 2  # the new one, and the old one again
    assert caplog.text.count("it is refused") == 1
    await tls.look()
    assert len(first.shown) == 4
    assert caplog.text.count("it is refused") == 2
    last.refusal = None
    await tls._look()
    assert last.shown == []
    await tls.look()
    assert tls.material.certificate == pairs[1].certificate.read_bytes()


async def test_what_failed_for_another_reason_is_tried_again_at_the_next_look(
    pairs: list[Pair], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, last = Renewed(), Renewed()
    tls = await following(pairs[0], tmp_path, first, last)
    before = tls.material
    last.refusal = OSError(24, "Too many open files")
    install(pairs[1], tmp_path)
    await tls._look()
    assert "Too many open files" in caplog.text
    assert first.shown[-1] is before
    last.refusal = None
    await tls._look()
    assert first.shown[-1] is last.shown[-1] is tls.material is not before
