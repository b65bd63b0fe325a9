"""What only REST has: bodies, headers, verbs, and connections that break."""

import asyncio
import base64
import io
import json
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.clients import problem_outcome
from tests.conftest import Served, serving, too_late, until

CLASSIFY = "/api/v1/models/shades/classify"
FORECAST = "/api/v1/models/steps/forecast"
BLACK = {"images": [{"pixels": [[0] * 4] * 4}]}
RAMP = {"series": [[1, 2, 3, 4, 5, 6]]}


def image(file_format: str, size: int = 5) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (size, size), "red").save(file, file_format)
    return file.getvalue()


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "GIF", "BMP"])
async def test_an_image_file_is_a_body(served: Served, file_format: str) -> None:
    headers = {"content-type": f"image/{file_format.lower()}"}
    response = await served.rest.post(CLASSIFY, content=image(file_format), headers=headers, params={"top_k": 1})
    assert problem_outcome(response).code == "ok"
    [result] = response.json()["results"]
    assert len(result["classes"]) == 1


async def test_several_files_are_a_form(served: Served) -> None:
    small, large = image("PNG"), image("BMP", 20)
    files = [("file", ("a.png", small, "image/png")), ("other", ("b.bmp", large, "image/bmp"))]
    response = await served.rest.post(CLASSIFY, files=files, data={"top_k": "1", "version": "1"})
    body = response.json()
    assert body["version"] == 1
    assert [result["classes"][0]["label"] for result in body["results"]] == ["dark", "bright"]
    alone = await served.rest.post(CLASSIFY, content=large, headers={"content-type": "image/bmp"}, params={"top_k": 1})
    assert alone.json()["results"] == body["results"][1:]


async def test_fields_may_stand_in_the_query(served: Served) -> None:
    response = await served.rest.post(FORECAST, params={"horizon": 1, "quantiles": [0.1, 0.9], "version": 7}, json=RAMP)
    [forecast] = response.json()["forecasts"]
    assert len(forecast["values"]) == 1
    assert [quantile["level"] for quantile in forecast["quantiles"]] == [0.1, 0.9]


@pytest.mark.parametrize(
    ("params", "body", "where"),
    [
        ({"top_k": 1}, BLACK | {"top_k": 1}, "top_k"),
        ({"model": "x"}, BLACK, "model"),
        ([("top_k", 1), ("top_k", 2)], BLACK, "top_k"),
        ({"topk": 1}, BLACK, "topk"),
        ({"top_k": "one"}, BLACK, "top_k"),
        ({}, BLACK | {"top_k": "1"}, "top_k"),
        ({}, BLACK | {"top_k": True}, "top_k"),
        ({}, BLACK | {"top_k": 1.0}, "top_k"),
        ({}, BLACK | {"top_k": None}, "top_k"),
        ({}, {"images": "x"}, "images"),
        ({}, {"images": {}}, "images"),
        ({}, {"images": [1]}, "images[0]"),
        ({}, {"images": [{"pixels": None}]}, "images[0]"),
        ({}, {"images": [{"encoded": 1}]}, "images[0].encoded"),
        ({}, {"images": [{"encoded": "a b"}]}, "images[0].encoded"),
        ({}, {"images": [{"pixels": [[0] * 4] * 4, "encoded": ""}]}, "images[0]"),
        ({}, {"images": [{"pixels": [[0] * 4, [0] * 3]}]}, "images[0].pixels[1]"),
        ({}, {"images": [{"pixels": [["0"] * 4] * 4}]}, "images[0].pixels[0][0]"),
        ({}, {"images": [{"colour": 1}]}, "images[0].colour"),
        ({}, {}, "images"),
        ({}, [], "body"),
        ({}, "x", "body"),
    ],
)
async def test_fields_that_are_wrong(served: Served, params: Any, body: Any, where: str) -> None:
    outcome = problem_outcome(await served.rest.post(CLASSIFY, params=params, json=body))
    assert outcome.code == "invalid_input"
    assert where in outcome.where
    assert served.backend.runs == 0


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff", b'{"series": [[NaN]]}', b'{"series": [[1e400]]}', b"null,", b"[" * 100_000]
)
async def test_what_is_not_json(served: Served, data: bytes) -> None:
    response = await served.rest.post(FORECAST, content=data, headers={"content-type": "application/json"})
    outcome = problem_outcome(response)
    assert (response.status_code, outcome.code) in {(400, "malformed"), (422, "invalid_input")}
    assert outcome.where


@pytest.mark.parametrize("path", [CLASSIFY, FORECAST])
@pytest.mark.parametrize("content_type", [None, "", "text/plain", "application/x-www-form-urlencoded", "image/webp"])
async def test_other_content_types_are_refused(served: Served, path: str, content_type: str | None) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    response = await served.rest.post(path, content=b"{}", headers=headers)
    outcome = problem_outcome(response)
    assert (response.status_code, outcome.code, outcome.where) == (415, "unsupported_format", ("Content-Type",))
    assert "application/json" in outcome.message


async def test_compressed_bodies_are_refused(served: Served) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    response = await served.rest.post(FORECAST, content=b"x", headers=headers)
    assert response.status_code == 415


@pytest.mark.parametrize(
    ("content_type", "data"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b"x"),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data\r\n\r\n\r\n--b--"),
    ],
)
async def test_forms_that_are_none(served: Served, content_type: str, data: bytes) -> None:
    outcome = problem_outcome(await served.rest.post(CLASSIFY, content=data, headers={"content-type": content_type}))
    assert outcome.code in {"malformed", "invalid_input"}


@pytest.mark.parametrize(
    ("verb", "path", "allowed"),
    [
        ("GET", CLASSIFY, "POST"),
        ("PUT", FORECAST, "POST"),
        ("DELETE", "/api/v1/models", "GET, HEAD"),
        ("POST", "/api/v1/models/shades", "GET, HEAD"),
        ("OPTIONS", "/api/v1/models/shades/labels/stable", "DELETE, PUT"),
    ],
)
async def test_other_verbs_are_refused(served: Served, verb: str, path: str, allowed: str) -> None:
    response = await served.rest.request(verb, path)
    assert (response.status_code, problem_outcome(response).code) == (405, "method_not_allowed")
    assert sorted(response.headers["allow"].split(", ")) == sorted(allowed.split(", "))


@pytest.mark.parametrize("path", ["/nope", "/api/v1/models/", "/api/v1/models/a/b/c", "/api/v2/models"])
async def test_other_paths_are_not_found(served: Served, path: str) -> None:
    response = await served.rest.get(path)
    assert (response.status_code, problem_outcome(response).code) == (404, "not_found")


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_over_the_limit_is_refused(chunked: bool) -> None:
    async def chunks() -> Any:
        for _ in range(50):
            yield b" " * 100

    async with serving(max_request_bytes=4096) as served:
        content = chunks() if chunked else b" " * 5000
        response = await served.rest.post(CLASSIFY, content=content, headers={"content-type": "application/json"})
        outcome = problem_outcome(response)
        assert (response.status_code, outcome.code, outcome.where) == (413, "too_large", ("body",))
        assert "max_request_bytes" in outcome.message
        assert (await served.rest.post(CLASSIFY, json=BLACK)).status_code == 200


async def test_the_clients_request_id_comes_back(served: Served) -> None:
    response = await served.rest.post(CLASSIFY, json=BLACK, headers={"x-request-id": "mine-1"})
    assert response.headers["x-request-id"] == "mine-1"


@pytest.mark.parametrize("request_id", ["", "a b", "x" * 129, "é".encode()])
async def test_a_request_id_that_is_none_is_replaced(served: Served, request_id: Any) -> None:
    response = await served.rest.get("/api/v1/models", headers={"x-request-id": request_id})
    assert len(response.headers["x-request-id"]) == 32


async def test_a_request_ends_with_its_timeout(served: Served) -> None:
    served.backend.gate.clear()

    async def ask(seconds: float) -> httpx.Response:
        return await served.rest.post(CLASSIFY, json=BLACK, headers={"x-request-timeout": str(seconds)})

    response, seconds = await too_late(served, ask)
    outcome = problem_outcome(response)
    assert (response.status_code, outcome.code) == (504, "timeout")
    assert f"{seconds:g} s" in outcome.message
    assert served.backend.cancelled == 1


async def test_a_timeout_is_bounded_by_the_setting() -> None:
    async with serving(max_timeout=0.05) as served:
        served.backend.gate.clear()
        response = await served.rest.post(CLASSIFY, json=BLACK, headers={"x-request-timeout": "1000"})
        assert response.status_code == 504


@pytest.mark.parametrize("timeout", ["0", "-1", "soon", "nan", "inf", "", "1_0", "1e999"])
async def test_a_timeout_that_is_none_is_refused(served: Served, timeout: str) -> None:
    response = await served.rest.post(CLASSIFY, json=BLACK, headers={"x-request-timeout": timeout})
    assert problem_outcome(response).where == ("X-Request-Timeout",)


async def _connection(served: Served, data: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.runtime.rest_port)
    writer.write(data)
    await writer.drain()
    return reader, writer


def _raw(body: bytes, length: int | None = None) -> bytes:
    head = f"POST {CLASSIFY} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += f"Content-Length: {length or len(body)}\r\n\r\n"
    return head.encode() + body


async def test_a_client_that_goes_away_stops_costing(served: Served) -> None:
    served.backend.gate.clear()
    _, writer = await _connection(served, _raw(json.dumps(BLACK).encode()))
    await until(lambda: served.backend.runs > 0)
    writer.close()
    await until(lambda: served.backend.cancelled > 0)
    assert await served.metric("tensorgate_requests_total", code="cancelled") == 1
    assert not any(served.runtime.admission.in_flight.values())


async def test_a_client_that_sends_half_a_body_is_not_waited_for_beyond_the_timeout() -> None:
    async with serving(default_timeout=0.1) as served:
        reader, writer = await _connection(served, _raw(b'{"images"', 1000))
        assert b"504" in await reader.readline()
        writer.close()
        assert not any(served.runtime.admission.in_flight.values())


async def test_more_requests_than_admitted_are_refused_at_once() -> None:
    async with serving(max_requests_in_flight=2, max_batches_per_model=2) as served:
        served.backend.gate.clear()
        waiting = [asyncio.create_task(served.rest.post(CLASSIFY, json=BLACK)) for _ in range(2)]
        await until(lambda: served.backend.runs >= 2)
        refused = await served.rest.post(CLASSIFY, json=BLACK)
        assert (refused.status_code, problem_outcome(refused).code) == (429, "overloaded")
        assert refused.headers["retry-after"] == "1"
        assert (await served.rest.get("/livez")).status_code == 200
        served.backend.gate.set()
        assert [response.status_code for response in await asyncio.gather(*waiting)] == [200, 200]


async def test_many_clients_each_get_their_own_answer(served: Served) -> None:
    async def ask(first: int) -> bool:
        response = await served.rest.post(FORECAST, json={"series": [[*range(5), first]], "horizon": 1})
        return bool(response.json()["forecasts"][0]["values"] == [first + 1])

    assert all(await asyncio.gather(*(ask(first) for first in range(200))))


async def test_base64_of_a_file_and_the_file_itself_score_the_same(served: Served) -> None:
    data = image("PNG")
    as_json = await served.rest.post(CLASSIFY, json={"images": [{"encoded": base64.b64encode(data).decode()}]})
    as_body = await served.rest.post(CLASSIFY, content=data, headers={"content-type": "image/png"})
    assert as_json.json() == as_body.json()


async def test_probes_tell_what_is_served(served: Served) -> None:
    assert (await served.rest.get("/livez")).json() == {"status": "ok"}
    ready = await served.rest.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    assert ready.json()["models"]["shades"]["versions"]["3"] == {"state": "END", "error": "half of it is missing"}


async def test_http_that_is_none_gets_an_answer_and_the_server_goes_on(served: Served) -> None:
    reader, writer = await _connection(served, b"NONSENSE\r\n\r\n")
    assert b"400" in await reader.readline()
    writer.close()
    assert (await served.rest.get("/livez")).status_code == 200


async def test_pipelined_and_kept_alive_requests_are_answered(served: Served) -> None:
    body = json.dumps(BLACK).encode()
    async with httpx.AsyncClient(base_url=served.rest.base_url, limits=httpx.Limits(max_connections=1)) as client:
        for _ in range(3):
            assert (await client.post(CLASSIFY, content=body, headers={"content-type": "application/json"})).is_success
