"""Certificates that are renewed on disk are taken up while requests run, and none of those is lost."""

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from grpc import aio

from tensorgate.v1 import tensorgate_pb2 as pb
from tensorgate.v1.tensorgate_pb2_grpc import TensorgateServiceStub
from tests.certificates import Authority, Pair, install
from tests.clients import forecast_request
from tests.conftest import Served, serving, until

pytestmark = pytest.mark.usefixtures("with_grpc_server")
RAMP = [1, 2, 3, 4, 5, 6]


@pytest.fixture(scope="module")
def pairs(authority: Authority) -> list[Pair]:
    return [authority.issue(name) for name in ("first", "second", "third")]


@asynccontextmanager
async def following(pair: Pair, **settings: Any) -> AsyncIterator[Served]:
    """Serves with files that are followed."""
    chosen = {"tls_certificate": pair.certificate, "tls_key": pair.key, "poll_seconds": 0.05, "drain_timeout": 5}
    async with serving(**(chosen | settings)) as served:
        yield served


def context(authority: Authority, client: Pair | None = None) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=authority.certificate)
    if client is not None:
        made.load_cert_chain(client.certificate, client.key)
    return made


async def shown(port: int, made: ssl.SSLContext) -> str:
    """Returns the common name of the certificate that whoever connects is shown."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=made)
    subject: Any = writer.get_extra_info("ssl_object").getpeercert()["subject"]
    writer.transport.abort()
    return str(subject[0][0][1])


async def shown_by_both(served: Served, made: ssl.SSLContext) -> set[str]:
    return {await shown(port, made) for port in (served.runtime.rest_port, served.runtime.grpc_port)}


class Load:
    """Clients of both ports, some on one connection for all their requests, some on one for each."""

    def __init__(self, served: Served, authority: Authority) -> None:
        self.counts: Counter[str] = Counter()
        self._served, self._authority = served, authority
        self._ended = asyncio.Event()
        self._messages = 0

    @property
    def answered(self) -> int:
        return min((self.counts[name] for name in ("rest", "rest anew", "unary", "unary anew", "stream")), default=0)

    async def run(self) -> None:
        kinds = (self._rest("rest"), self._rest("rest anew"), self._unary("unary"), self._unary("unary anew"))
        await asyncio.gather(*kinds, self._rest("rest"), self._unary("unary"), self._stream())

    def end(self) -> None:
        self._ended.set()

    async def _rest(self, name: str) -> None:
        url = f"https://127.0.0.1:{self._served.runtime.rest_port}/api/v1/models/steps/forecast"
        made = context(self._authority)
        client = httpx.AsyncClient(verify=made, timeout=30)
        while not self._ended.is_set():
            answer = await client.post(url, json={"series": [RAMP]})
            assert answer.status_code == 200, answer.text
            self.counts[name] += 1
            if name.endswith("anew"):
                await client.aclose()
                client = httpx.AsyncClient(verify=made, timeout=30)
        await client.aclose()

    @asynccontextmanager
    async def _stub(self) -> AsyncIterator[Any]:
        address = f"127.0.0.1:{self._served.runtime.grpc_port}"
        own = [("grpc.use_local_subchannel_pool", 1)]
        async with aio.secure_channel(address, self._authority.channel_credentials(), own) as channel:
            yield TensorgateServiceStub(channel)  # type: ignore[no-untyped-call]

    async def _unary(self, name: str) -> None:
        while not self._ended.is_set():
            async with self._stub() as stub:
                while not self._ended.is_set():
                    answers = (stub.Forecast(forecast_request("steps", series=[RAMP]), timeout=30) for _ in range(4))
                    await asyncio.gather(*answers)
                    self.counts[name] += 4
                    if name.endswith("anew"):
                        break

    async def _stream(self) -> None:
        """Has one stream open all the time."""
        async with self._stub() as stub:
            stream = stub.ForecastStream()
            while not self._ended.is_set():
                await stream.write(forecast_request("steps", series=[RAMP]))
                assert (await stream.read()).response.model == "steps"
                self.counts["stream"] += 1
            await stream.done_writing()
            assert await stream.read() is aio.EOF


async def test_no_request_is_lost_when_the_certificate_is_renewed(
    authority: Authority, pairs: list[Pair], tmp_path: Path
) -> None:
    made = context(authority)
    async with following(install(pairs[0], tmp_path)) as served:
        load = Load(served, authority)
        running = asyncio.create_task(load.run())
        for pair in (*pairs[1:], pairs[0]):
            wanted = load.answered + 8
            await until(lambda wanted=wanted: load.answered > wanted or running.done())  # type: ignore[misc]
            install(pair, tmp_path)
            while await shown_by_both(served, made) != {pair.certificate.stem}:
                assert not running.done(), running.exception()
        wanted = load.answered + 8
        await until(lambda: load.answered > wanted or running.done())
        load.end()
        await running


async def test_who_signs_clients_can_change_too(authority: Authority, pairs: list[Pair], tmp_path: Path) -> None:
    other = Authority(tmp_path, "other")
    old, new = authority.issue("old"), other.issue("new")
    trusted = tmp_path / "clients.pem"
    trusted.write_bytes(authority.certificate.read_bytes())
    async with following(pairs[0], tls_client_ca=trusted) as served:

        async def served_to(client: Pair) -> list[bool]:
            url = f"https://127.0.0.1:{served.runtime.rest_port}/livez"
            try:
                async with httpx.AsyncClient(verify=context(authority, client), timeout=20) as rest:
                    over_rest = (await rest.get(url)).status_code == 200
            except httpx.TransportError:
                over_rest = False
            address = f"127.0.0.1:{served.runtime.grpc_port}"
            async with aio.secure_channel(address, authority.channel_credentials(client)) as channel:
                try:
                    await TensorgateServiceStub(channel).ListModels(pb.ListModelsRequest(), timeout=10)  # type: ignore[no-untyped-call]
                except grpc.RpcError:
                    return [over_rest, False]
            return [over_rest, True]

        assert (await served_to(old), await served_to(new)) == ([True, True], [False, False])
        trusted.write_bytes(other.certificate.read_bytes())
        async with asyncio.timeout(30):
            while await served_to(new) != [True, True]:
                pass
        assert await served_to(old) == [False, False]


async def test_what_is_half_written_changes_nothing_until_it_is_whole(
    authority: Authority, pairs: list[Pair], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = context(authority)
    installed = install(pairs[0], tmp_path)
    async with following(installed) as served:
        installed.key.write_bytes(pairs[1].key.read_bytes())
        await until(lambda: "the certificate is not renewed" in caplog.text)
        await served.runtime._tls._look()  # type: ignore[union-attr]
        assert caplog.text.count("the certificate is not renewed") == 1
        assert await shown_by_both(served, made) == {"first"}
        installed.certificate.unlink()
        await until(lambda: "No such file" in caplog.text)
        assert await shown_by_both(served, made) == {"first"}
        installed.certificate.write_bytes(pairs[1].certificate.read_bytes())
        async with asyncio.timeout(30):
            while await shown_by_both(served, made) != {"second"}:
                pass


async def test_a_signal_has_them_looked_at_where_they_are_not_followed(
    authority: Authority, pairs: list[Pair], tmp_path: Path
) -> None:
    async with following(install(pairs[0], tmp_path), poll_seconds=0) as served:
        install(pairs[1], tmp_path)
        await served.runtime.look()
        assert await shown_by_both(served, context(authority)) == {"second"}


async def test_a_server_stops_though_streams_are_open_from_before_a_renewal(
    authority: Authority, pairs: list[Pair], tmp_path: Path
) -> None:
    made = context(authority)
    async with following(install(pairs[0], tmp_path)) as served:
        address = f"127.0.0.1:{served.runtime.grpc_port}"
        async with aio.secure_channel(address, authority.channel_credentials()) as channel:
            stream = TensorgateServiceStub(channel).ForecastStream()  # type: ignore[no-untyped-call]
            await stream.write(forecast_request("steps", series=[RAMP]))
            await stream.read()
            install(pairs[1], tmp_path)
            async with asyncio.timeout(30):
                while await shown_by_both(served, made) != {"second"}:
                    pass
            await stream.write(forecast_request("steps", series=[RAMP]))
            assert (await stream.read()).response.model == "steps"
            stopping = asyncio.create_task(served.runtime.__aexit__(None, None, None))
            with pytest.raises(aio.AioRpcError) as caught:
                await stream.read()
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            await asyncio.wait_for(stopping, 60)
