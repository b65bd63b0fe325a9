"""Who is answered at all: no page of another site, no host that this server is not; and what pages are sent with."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import httpx
import pytest
from grpc import aio
from playwright.async_api import async_playwright

from service.seam.grpc import GrpcService
from service.wire import open_inference_pb2 as oip
from tests.browser import CHROMIUM, needs_chromium
from tests.clients import classify_request, problem_outcome
from tests.conftest import Served, serving
from tests.http2 import connected, message

CLASSIFY = "/api/v1/models/shades/classify"
RPC = "/tensorgate.v1.TensorgateService/Classify"
BLACK = {"images": [{"pixels": [[0] * 4] * 4}]}
GOOD = classify_request("shades", **BLACK).SerializeToString()
WEB = {"content-type": "application/grpc-web+proto"}
FOREIGN = [{"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}]
UNLOAD = "/v2/repository/models/steps/unload"


@pytest.fixture(scope="module")
async def open_to_change() -> AsyncIterator[Served]:
    async with serving(backend="tests.fakes:ControllableFake") as served:
        yield served


def clients(served: Served, **more: str) -> Iterator[httpx.AsyncClient]:
    """Yields a client of each port that answers REST."""
    for port in (served.runtime.rest_port, served.runtime.grpc_port):
        yield httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20, headers=more)


def changing(served: Served) -> Iterator[tuple[str, str]]:
    """Yields verb and path of everything that REST lets do; the tables have all that there is."""
    for api in served.runtime._apis:
        for route in api.rest.routes:
            if route.verb not in {"GET", "HEAD"}:
                yield (
                    route.verb,
                    route.template.replace("{model}", "steps").replace("{version}", "7").replace("{label}", "l"),
                )
    for verb in ("predict", "classify", "regress"):
        yield "POST", f"/v1/models/steps:{verb}"


def services(served: Served) -> Iterator[GrpcService]:
    for api in served.runtime._apis:
        yield from api.grpc


@pytest.mark.parametrize("headers", FOREIGN)
async def test_no_page_of_another_site_has_anything_done_over_rest(
    open_to_change: Served, headers: dict[str, str]
) -> None:
    """As a form or a script may send it without asking first: text/plain is what needs no leave."""
    asked = list(changing(open_to_change))
    assert ("POST", UNLOAD) in asked
    for client in clients(open_to_change):
        async with client:
            for verb, path in asked:
                answer = await client.request(
                    verb, path, content=b"{}", headers={"content-type": "text/plain"} | headers
                )
                assert (answer.status_code, "cors_origins" in answer.text) == (403, True), path
            for path in ("/livez", "/v2/models/steps", "/docs"):
                assert (await client.get(path, headers=headers)).status_code == 200
    assert {entry.state.value for entry in open_to_change.runtime.catalog.versions("steps")} == {"AVAILABLE"}


@pytest.mark.parametrize("headers", FOREIGN)
async def test_no_page_of_another_site_has_anything_done_over_grpc_web(
    open_to_change: Served, headers: dict[str, str]
) -> None:
    for client in clients(open_to_change):
        async with client:
            for service in services(open_to_change):
                for name in service.methods:
                    answer = await client.post(f"/{service.name}/{name}", content=message(b""), headers=WEB | headers)
                    assert b"grpc-status: 7" in answer.content, name


async def test_a_body_is_not_waited_for(open_to_change: Served) -> None:
    """The refusal is there while the client has sent nothing but the head."""
    reader, writer = await asyncio.open_connection("127.0.0.1", open_to_change.runtime.rest_port)
    head = (
        f"POST {CLASSIFY} HTTP/1.1\r\nhost: localhost\r\norigin: {FOREIGN[0]['origin']}\r\ncontent-length: 99\r\n\r\n"
    )
    writer.write(head.encode())
    assert b" 403 " in await asyncio.wait_for(reader.readline(), 20)
    writer.close()


async def test_the_servers_own_page_may_ask(open_to_change: Served) -> None:
    for client in clients(open_to_change):
        async with client:
            for headers in ({"origin": str(client.base_url).rstrip("/")}, {"sec-fetch-site": "same-origin"}):
                assert (await client.post(CLASSIFY, json=BLACK, headers=headers)).status_code == 200
                answer = await client.post(RPC, content=message(GOOD), headers=WEB | headers)
                assert b"grpc-status: 0" in answer.content


async def test_by_default_nobody_changes_anything() -> None:
    async with serving(allow_model_control=False) as served:
        answer = await served.rest.post(UNLOAD)
        assert answer.status_code == 403
        assert "--allow-model-control" in answer.json()["error"]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "localhost.evil.example", "x"])
async def test_a_name_that_was_made_to_point_here_is_refused_whatever_is_asked(served: Served, host: str) -> None:
    for client in clients(served, host=host):
        async with client:
            for path in (
                "/livez",
                "/metrics",
                "/docs",
                "/openapi.json",
                "/v1/models/steps",
                "/v2/models",
                "/api/v1/models",
            ):
                answer = await client.get(path)
                assert answer.status_code == 421, path
                assert "allowed_hosts" in answer.text
            outcome = problem_outcome(await client.post(CLASSIFY, json=BLACK))
            assert (outcome.code, outcome.where) == ("misdirected", ("Host",))
            answer = await client.post(RPC, content=message(GOOD), headers=WEB)
            assert b"grpc-status: 7" in answer.content
    assert await served.metric("tensorgate_requests_total", code="misdirected") > 0


async def test_the_authority_of_http2_is_the_host() -> None:
    async with serving() as served, connected(served.runtime.grpc_port) as client:
        for authority, status in (("localhost:1", 0), ("[::1]:1", 0), ("evil.example", 7), ("127.0.0.1", 0)):
            answer = await client.call(RPC, message(GOOD), **{":authority": authority})
            assert answer.status == status


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "app.localhost"])
async def test_clients_of_grpc_reach_it_by_any_of_its_names(grpc_server: str, host: str) -> None:
    async with serving(grpc_server=grpc_server) as served:
        target, options = f"127.0.0.1:{served.runtime.grpc_port}", [("grpc.default_authority", f"{host}:1")]
        for given in ([], options):
            async with aio.insecure_channel(target, options=given) as channel:
                live: Any = channel.unary_unary("/inference.GRPCInferenceService/ServerLive")
                assert oip.ServerLiveResponse.FromString(await live(b"")).live


async def test_clients_of_grpc_may_not_use_others_names() -> None:
    """With grpcio as the server it is not known; but no browser speaks to that one."""
    async with serving() as served:
        options = [("grpc.default_authority", "evil.example")]
        async with aio.insecure_channel(f"127.0.0.1:{served.runtime.grpc_port}", options=options) as channel:
            live: Any = channel.unary_unary("/inference.GRPCInferenceService/ServerLive")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await live(b"")
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
        assert "allowed_hosts" in str(caught.value.details())


async def test_what_listens_for_other_machines_answers_to_any_name_unless_told_otherwise() -> None:
    elsewhere = {"host": "0.0.0.0", "insecure": True}
    for more, host, status in (
        ({}, "anything.example", 200),
        ({"allowed_hosts": "models.example"}, "anything.example", 421),
        ({"allowed_hosts": "models.example"}, "models.example:443", 200),
        ({"allowed_hosts": "models.example"}, "10.9.8.7:8000", 200),  # as load balancers and kubelets probe
    ):
        async with serving(**elsewhere, **more) as served:
            for client in clients(served, host=host):
                async with client:
                    assert (await client.get("/readyz")).status_code == status


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is missing")
async def test_health_checks_without_a_host_are_answered(served: Served) -> None:
    url = f"http://127.0.0.1:{served.runtime.rest_port}/livez"
    command = ("curl", "-s", "--http1.0", "-H", "Host:", "-w", "%{http_code}", "-o", "/dev/null", url)
    curl = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert (await curl.communicate())[0] == b"200"


async def test_no_answer_is_taken_for_what_it_is_not(served: Served) -> None:
    for client in clients(served):
        async with client:
            for path in (
                "/livez",
                "/metrics",
                "/docs",
                "/v1/models/nope",
                "/v2/models/steps",
                "/nope",
                "/api/v1/models",
            ):
                assert (await client.get(path)).headers["x-content-type-options"] == "nosniff", path


async def test_pages_are_framed_by_nobody_and_tell_nobody_where_they_are(served: Served) -> None:
    for client in clients(served):
        async with client:
            for path in ("/docs", "/docs/start.js", "/docs/swagger-ui.js", "/docs/swagger-ui.css"):
                headers = (await client.get(path)).headers
                assert "frame-ancestors 'none'" in headers["content-security-policy"]
                assert headers["x-frame-options"] == "DENY"
                assert headers["referrer-policy"] == "no-referrer"
                assert headers["cross-origin-opener-policy"] == "same-origin"
                assert headers["cross-origin-resource-policy"] == "same-origin"


@needs_chromium
async def test_a_page_of_another_site_cannot_unload_a_model_in_a_real_browser(open_to_change: Served) -> None:
    """What was possible before: a request that browsers send without asking first, from any page."""
    other = await asyncio.start_server(_page, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{other.sockets[0].getsockname()[1]}/"
    target = f"http://127.0.0.1:{open_to_change.runtime.rest_port}{UNLOAD}"
    before = await open_to_change.metric("tensorgate_requests_total", code="forbidden")
    async with other, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await browser.new_page()
        await page.goto(url)
        sent = "url => fetch(url, {method: 'POST', mode: 'no-cors', body: '{}'}).then(() => 'sent')"
        assert await page.evaluate(sent, target) == "sent"
        await browser.close()
    assert {entry.state.value for entry in open_to_change.runtime.catalog.versions("steps")} == {"AVAILABLE"}
    assert await open_to_change.metric("tensorgate_requests_total", code="forbidden") == before + 1
    assert (await open_to_change.rest.post(UNLOAD)).status_code == 200  # as whoever is no page may


async def _page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi")
    await writer.drain()
    writer.close()
