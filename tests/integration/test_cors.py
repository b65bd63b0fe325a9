"""Pages of other origins (`cors_origins`): nobody's by default, then those that are named, in every protocol."""

from collections.abc import Callable

import httpx
import pytest

from tests.clients import classify_request
from tests.conftest import Served, serving
from tests.http2 import SECONDS, connected, message

CLASSIFY = "/api/v1/models/shades/classify"
RPC = "/tensorgate.v1.TensorgateService/Classify"
BLACK = {"images": [{"pixels": [[0] * 4] * 4}]}
GOOD = message(classify_request("shades", **BLACK).SerializeToString())
ONE, TWO, OTHER = "https://one.example", "https://two.example:8443", "https://other.example"
WEB = {"content-type": "application/grpc-web+proto"}
ALLOWED, VARY = "access-control-allow-origin", "vary"

PORTS: dict[str, Callable[[Served], int]] = {
    "REST": lambda served: served.runtime.rest_port,
    "gRPC": lambda served: served.runtime.grpc_port,
}


def client_of(served: Served, port: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{PORTS[port](served)}", timeout=SECONDS)


def preflight(
    origin: str, method: str = "POST", headers: str = "content-type,x-grpc-web,x-request-id"
) -> dict[str, str]:
    return {
        "origin": origin,
        "access-control-request-method": method,
        "access-control-request-headers": headers,
    }


@pytest.mark.parametrize("port", PORTS)
async def test_by_default_no_page_of_another_origin_is_told_anything(served: Served, port: str) -> None:
    async with client_of(served, port) as client:
        for path in (CLASSIFY, RPC, "/v2/models/shades"):
            asked = await client.options(path, headers=preflight(ONE))
            assert asked.is_error
            assert ALLOWED not in asked.headers
        answers = [
            await client.get("/readyz", headers={"origin": ONE}),
            await client.post(CLASSIFY, json=BLACK, headers={"origin": ONE}),
            await client.post(RPC, content=GOOD, headers=WEB | {"origin": ONE}),
        ]
        for answer, status in zip(answers, (200, 403, 200), strict=True):  # gRPC-Web has its status in the body
            assert answer.status_code == status
            assert not [name for name in answer.headers if name.startswith("access-control")]
        assert b"grpc-status: 7" in answers[-1].content


@pytest.mark.parametrize("port", PORTS)
async def test_pages_of_the_named_origins_may_ask(port: str) -> None:
    async with serving(cors_origins=f"{ONE} , {TWO}") as served, client_of(served, port) as client:
        for origin in (ONE, TWO):
            for path in (CLASSIFY, RPC):
                asked = await client.options(path, headers=preflight(origin))
                assert (asked.status_code, asked.headers[ALLOWED]) == (200, origin)
                assert "POST" in asked.headers["access-control-allow-methods"]
                assert asked.headers["access-control-allow-headers"] == "content-type,x-grpc-web,x-request-id"
        refused = await client.options(CLASSIFY, headers=preflight(OTHER))
        assert refused.status_code == 400
        assert ALLOWED not in refused.headers


@pytest.mark.parametrize("port", PORTS)
async def test_only_pages_of_the_named_origins_may_read_the_answers(port: str) -> None:
    async with serving(cors_origins=f"{ONE},{TWO}") as served, client_of(served, port) as client:
        for origin in (ONE, OTHER, TWO, None):
            headers = {} if origin is None else {"origin": origin}
            answers = [
                await client.post(CLASSIFY, json=BLACK, headers=headers),
                await client.post(RPC, content=GOOD, headers=WEB | headers),
                await client.get("/nope", headers=headers),
            ]
            for answer in answers:
                assert answer.headers.get(ALLOWED) == (origin if origin in {ONE, TWO} else None)
                assert answer.headers[VARY] == "Origin"
                if origin in {ONE, TWO}:
                    exposed = answer.headers["access-control-expose-headers"]
                    assert {"x-request-id", "grpc-status", "grpc-message"} <= set(exposed.split(", "))


async def test_what_one_call_of_grpc_is_told_no_other_is() -> None:
    async with serving(cors_origins=f"{ONE},{TWO}") as served, connected(served.runtime.grpc_port) as client:
        for origin in (ONE, TWO, OTHER, None, ONE):
            answer = await client.call(RPC, GOOD, **({} if origin is None else {"origin": origin}))
            assert answer.status == (7 if origin == OTHER else 0)
            allowed = answer.headers.get(ALLOWED.encode())
            assert allowed == (origin.encode() if origin in {ONE, TWO} else None)
            assert answer.headers[VARY.encode()] == b"Origin"


@pytest.mark.parametrize("port", PORTS)
async def test_pages_of_all_origins_may_ask_where_the_operator_says_so(port: str) -> None:
    async with serving(cors_origins="*") as served, client_of(served, port) as client:
        asked = await client.options(CLASSIFY, headers=preflight(OTHER))
        assert (asked.status_code, asked.headers[ALLOWED]) == (200, "*")
        answer = await client.post(CLASSIFY, json=BLACK, headers={"origin": OTHER})
        assert (answer.status_code, answer.headers[ALLOWED]) == (200, "*")
        assert "access-control-allow-credentials" not in answer.headers
