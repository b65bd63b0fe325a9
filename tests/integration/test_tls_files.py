"""Files of TLS that cannot be used end the start, with the setting and the file."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.errors import GatewayError
from tests.certificates import Authority, Pair
from tests.conftest import serving


@pytest.fixture(scope="module")
def server(authority: Authority) -> Pair:
    return authority.issue("one")


@pytest.fixture(scope="module")
def client(authority: Authority) -> Pair:
    return authority.issue("two")


def of(pair: Pair, **settings: Any) -> dict[str, Any]:
    """Returns the settings of a server with that certificate."""
    return {"tls_certificate": pair.certificate, "tls_key": pair.key, **settings}


Wrong = Callable[[Path, Pair, Pair], dict[str, Any]]
WRONG: dict[str, tuple[Wrong, str]] = {
    "no file": (lambda folder, one, _: of(one, tls_key=folder / "none"), "tls_key {tmp}/none: No such file"),
    "a folder": (lambda folder, one, _: of(one, tls_certificate=folder), "tls_certificate {tmp}: it is not a file"),
    "no certificate": (lambda _, one, __: of(one, tls_certificate=one.key), "tls_certificate {key}: there is no cert"),
    "another's key": (lambda _, one, two: of(one, tls_key=two.key), "tls_key {two}: it is not the key of the certi"),
    "no key": (lambda _, one, __: of(one, tls_key=one.certificate), "tls_key {one}: it is no PEM file of a private k"),
    "no authority": (lambda _, one, __: of(one, tls_client_ca=one.key), "tls_client_ca {key}: there is no cert"),
}


@pytest.mark.parametrize("name", WRONG)
async def test_files_that_cannot_be_used_are_named(name: str, server: Pair, client: Pair, tmp_path: Path) -> None:
    settings, message = WRONG[name]
    paths = {"tmp": tmp_path, "key": server.key, "two": client.key, "one": server.certificate}
    with pytest.raises(GatewayError, match=message.format_map(paths)):
        async with serving(**settings(tmp_path, server, client)):
            pass


async def test_a_key_with_a_passphrase_is_refused_and_asked_of_nobody(server: Pair, tmp_path: Path) -> None:
    locked = tmp_path / "locked.key"
    command = ("openssl", "pkey", "-in", str(server.key), "-aes256", "-passout", "pass:secret", "-out", str(locked))
    await (await asyncio.create_subprocess_exec(*command)).wait()
    with pytest.raises(GatewayError, match=f"tls_key {locked}: it is no PEM file of a private key without a passphr"):
        async with serving(**of(server, tls_key=locked)):
            pass
