"""tritonclient over mutual TLS."""

import asyncio
import shutil
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.conftest import serving
from tests.foreign.process import ENVIRONMENTS, SCRIPTS

PYTHON = ENVIRONMENTS / "triton" / "bin" / "python"


@pytest.mark.usefixtures("with_grpc_server")
@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make certificates with")
@pytest.mark.skipif(not PYTHON.exists(), reason="no tritonclient: make clients")
async def test_tritonclient_shows_its_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server, client = authority.issue("server"), authority.issue("client")
    files = (authority.certificate, client.certificate, client.key)
    settings = {"tls_certificate": server.certificate, "tls_key": server.key, "tls_client_ca": authority.certificate}
    async with serving(**settings) as served:
        addresses = [f"localhost:{port}" for port in (served.runtime.rest_port, served.runtime.grpc_port)]
        command = map(str, (PYTHON, SCRIPTS / "speak_triton_tls.py", *addresses, *files))
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        assert (await process.communicate())[0] == b"True True\n"
