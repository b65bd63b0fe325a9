"""TLS and mutual TLS on both ports, as clients see it: versions, certificates, and who is turned away."""

import asyncio
import shutil
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from grpc import aio

from service.core.call import Call
from service.core.identity import PeerCertificate
from tensorgate.v1 import tensorgate_pb2 as pb
from tensorgate.v1.tensorgate_pb2_grpc import TensorgateServiceStub
from tests.certificates import Authority, Pair
from tests.conftest import Served, serving

pytestmark = pytest.mark.usefixtures("with_grpc_server")
READY = "/v2/health/ready"
NAMES = "DNS:client.example,URI:spiffe://example.org/client,email:me@example.org"
SHOWN = PeerCertificate("CN=client,O=Example\\, Inc", tuple(NAMES.split(",")))


@pytest.fixture(scope="module")
def server(authority: Authority) -> Pair:
    return authority.issue("server")


@pytest.fixture(scope="module")
def client(authority: Authority) -> Pair:
    return authority.issue("client", subject="/O=Example, Inc/CN=client", names=NAMES)


def of(pair: Pair, **settings: Any) -> dict[str, Any]:
    """Returns the settings of a server with that certificate."""
    return {"tls_certificate": pair.certificate, "tls_key": pair.key, **settings}


def context(authority: Authority, client: Pair | None = None, *protocols: str) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=authority.certificate)
    if client is not None:
        made.load_cert_chain(client.certificate, client.key)
    if protocols:
        made.set_alpn_protocols(list(protocols))
    return made


def https(served: Served, made: ssl.SSLContext) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"https://127.0.0.1:{served.runtime.rest_port}", verify=made, timeout=20)


@asynccontextmanager
async def rpc(served: Served, authority: Authority, client: Pair | None = None) -> AsyncIterator[Any]:
    address = f"127.0.0.1:{served.runtime.grpc_port}"
    async with aio.secure_channel(address, authority.channel_credentials(client)) as channel:
        yield TensorgateServiceStub(channel)  # type: ignore[no-untyped-call]


async def shaken(port: int, made: ssl.SSLContext) -> tuple[str | None, str | None]:
    """Returns what a handshake has found: the version of TLS and the protocol."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=made)
    found: ssl.SSLObject = writer.get_extra_info("ssl_object")
    writer.transport.abort()
    return found.version(), found.selected_alpn_protocol()


def calls(served: Served, monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """Returns a list to which each finished call is added."""
    finished: list[Call] = []
    observe = served.runtime._parts.metrics.observe

    def noted(call: Call, code: str) -> None:
        finished.append(call)
        observe(call, code)

    monkeypatch.setattr(served.runtime._parts.metrics, "observe", noted)
    return finished


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")  # that the old ones are old
async def test_both_ports_speak_what_is_asked_for(authority: Authority, server: Pair) -> None:
    async with serving(**of(server)) as served:
        rest, grpc_port = served.runtime.rest_port, served.runtime.grpc_port
        for version, name in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")):
            made = context(authority, None, "h2", "http/1.1")
            made.minimum_version = made.maximum_version = version
            assert await shaken(rest, made) == (name, "http/1.1")
            assert await shaken(grpc_port, made) == (name, "h2")
        old = context(authority, None, "h2", "http/1.1")
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        for port in (rest, grpc_port):
            with pytest.raises((ssl.SSLError, ConnectionError)) as caught:
                await shaken(port, old)
            assert getattr(caught.value, "reason", None) not in {"NO_PROTOCOLS_AVAILABLE", "NO_CIPHERS_AVAILABLE"}
        async with https(served, context(authority)) as client:
            answer = await client.get(READY)
            assert (answer.status_code, answer.headers["strict-transport-security"]) == (200, "max-age=31536000")
            refused = await client.get("/v1/models/none")
            assert (refused.status_code, "strict-transport-security" in refused.headers) == (404, True)
        async with rpc(served, authority) as stub:
            assert len((await stub.ListModels(pb.ListModelsRequest(), wait_for_ready=True)).models) == 3


async def test_the_grpc_port_of_h2corn_answers_rest_by_both_versions_of_http(
    authority: Authority, server: Pair, grpc_server: str
) -> None:
    if grpc_server != "h2corn" or shutil.which("curl") is None:
        pytest.skip("it has none, or there is no curl")
    async with serving(**of(server, tls_hsts_seconds=0)) as served:
        url = f"https://127.0.0.1:{served.runtime.grpc_port}{READY}"
        for flag, version in (("--http2", "2"), ("--http1.1", "1.1")):
            command = ("curl", "-sS", "-i", flag, "--cacert", str(authority.certificate), "-w", "%{http_version}", url)
            process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
            answer = (await process.communicate())[0].decode()
            assert answer.startswith(f"HTTP/{version} 200")
            assert answer.endswith('{"ready":true}' + version)
            assert "strict-transport-security" not in answer


async def test_plain_text_is_turned_away_at_once_and_nobody_else_is_hurt(authority: Authority, server: Pair) -> None:
    async with serving(**of(server)) as served:
        for port in (served.runtime.rest_port, served.runtime.grpc_port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
            answer = await asyncio.wait_for(reader.read(), 20)
            assert b"HTTP" not in answer
            writer.close()
        async with https(served, context(authority)) as client:
            assert (await client.get("/livez")).status_code == 200


async def test_a_client_has_to_show_a_certificate_of_the_authority(
    authority: Authority, server: Pair, client: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = Authority(tmp_path).issue("stranger")
    async with serving(**of(server, tls_client_ca=authority.certificate)) as served:
        finished = calls(served, monkeypatch)
        for wrong in (None, stranger):
            with pytest.raises(httpx.TransportError):
                async with https(served, context(authority, wrong)) as rest:
                    await rest.get("/livez")
            async with rpc(served, authority, wrong) as stub:
                with pytest.raises(aio.AioRpcError) as caught:
                    await stub.ListModels(pb.ListModelsRequest(), timeout=5)
                assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert finished == []
        async with https(served, context(authority, client)) as rest:
            for _ in range(2):
                assert (await rest.get("/api/v1/models")).status_code == 200
        async with rpc(served, authority, client) as stub:
            for _ in range(2):
                await stub.ListModels(pb.ListModelsRequest(), wait_for_ready=True)
        assert [call.certificate for call in finished] == [SHOWN] * 4


async def test_an_authority_below_another_is_enough(authority: Authority, server: Pair, tmp_path: Path) -> None:
    root = Authority(tmp_path, "root")
    below = Authority(tmp_path, "below", root)
    client, sibling = below.issue("trusted"), root.issue("sibling")
    async with serving(**of(server, tls_client_ca=below.certificate)) as served:
        async with https(served, context(authority, client)) as rest, rpc(served, authority, client) as stub:
            assert (await rest.get("/livez")).status_code == 200
            await stub.ListModels(pb.ListModelsRequest(), wait_for_ready=True)
        async with https(served, context(authority, sibling)) as rest, rpc(served, authority, sibling) as stub:
            with pytest.raises(httpx.TransportError):
                await rest.get("/livez")
            with pytest.raises(aio.AioRpcError):
                await stub.ListModels(pb.ListModelsRequest(), timeout=5)


async def test_a_certificate_may_be_optional(
    authority: Authority, server: Pair, client: Pair, tmp_path: Path, grpc_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = of(server, tls_client_ca=authority.certificate, tls_client_certificates="optional")
    if grpc_server == "grpcio":
        with pytest.raises(Exception, match="expected grpc_server h2corn, or tls_client_certificates required"):
            async with serving(**settings):
                pass
        return
    stranger = Authority(tmp_path).issue("stranger")
    async with serving(**settings) as served:
        finished = calls(served, monkeypatch)
        for shown in (None, client):
            async with https(served, context(authority, shown)) as rest:
                assert (await rest.get("/api/v1/models")).status_code == 200
            async with rpc(served, authority, shown) as stub:
                await stub.ListModels(pb.ListModelsRequest(), wait_for_ready=True)
        assert [call.certificate for call in finished] == [None, None, SHOWN, SHOWN]
        with pytest.raises(httpx.TransportError):
            async with https(served, context(authority, stranger)) as rest:
                await rest.get("/livez")


async def test_the_access_log_says_whose_certificate_it_was(
    authority: Authority, server: Pair, client: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    nameless = authority.issue("nameless", subject="/", names="URI:spiffe://example.org/nameless")
    caplog.set_level("INFO", "tensorgate.access")
    async with serving(**of(server, tls_client_ca=authority.certificate, access_log="all")) as served:
        for shown in (client, nameless):
            async with rpc(served, authority, shown) as stub:
                await stub.ListModels(pb.ListModelsRequest(), wait_for_ready=True)
    logged: list[Any] = [record for record in caplog.records if record.name == "tensorgate.access"]
    assert [record.fields["certificate"] for record in logged] == [SHOWN.subject, "URI:spiffe://example.org/nameless"]


async def test_clients_that_do_not_finish_the_handshake_are_let_go_and_keep_nobody_out(
    authority: Authority, server: Pair, grpc_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("rest.server", "grpc.h2corn_server"):
        monkeypatch.setattr(f"service.transport.{module}.HANDSHAKE_SECONDS", 2)
    monkeypatch.setattr("service.transport.grpc.aio_options._HANDSHAKE_MS", 2000)
    async with serving(**of(server)) as served:
        for port in (served.runtime.rest_port, served.runtime.grpc_port):
            silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(200)]
            for number, (_, writer) in enumerate(silent):
                if number % 2:
                    writer.write(b"\x16\x03\x01\x02\x00\x01")  # the beginning of a ClientHello
            async with https(served, context(authority)) as client:
                assert (await client.get("/livez")).status_code == 200
            async with rpc(served, authority) as stub:
                await stub.ListModels(pb.ListModelsRequest(), wait_for_ready=True)
            for reader, writer in silent:
                await asyncio.wait_for(reader.read(), 60)
                writer.close()


async def test_a_client_whose_connection_is_idle_does_not_hold_up_the_stop(authority: Authority, server: Pair) -> None:
    async with serving(**of(server, drain_timeout=3600)) as served:

        def connect(port: int) -> ssl.SSLSocket:
            plain = socket.create_connection(("127.0.0.1", port))
            return context(authority).wrap_socket(plain, server_hostname="127.0.0.1")

        ports = (served.runtime.rest_port, served.runtime.grpc_port)
        idle = [await asyncio.to_thread(connect, port) for port in ports]
    for one in idle:
        one.close()


async def test_an_expired_certificate_is_served_with_a_warning(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    expired = authority.issue("expired", days=-1)
    unverified = ssl.create_default_context()
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    async with serving(**of(expired)) as served, https(served, unverified) as client:
        metrics = (await client.get("/metrics")).text
        assert (await client.get("/livez")).status_code == 200
    assert f"the certificate in {expired.certificate} expired on " in caplog.text
    (sample,) = [
        line for line in metrics.splitlines() if line.startswith("tensorgate_tls_certificate_expiry_timestamp")
    ]
    found = ssl.cert_time_to_seconds(ssl._ssl._test_decode_cert(str(expired.certificate))["notAfter"])  # type: ignore[attr-defined]
    assert float(sample.split()[1]) == found


async def test_a_server_without_tls_has_nothing_of_it() -> None:
    async with serving() as served:
        answer = await served.rest.get(READY)
        assert "strict-transport-security" not in answer.headers
        assert await served.metric("tensorgate_tls_certificate_expiry_timestamp_seconds") == 0
