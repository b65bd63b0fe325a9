"""What stands beside the messages: timeouts, binary metadata, and the text and details of an error."""

from base64 import b64decode
from urllib.parse import unquote_to_bytes

import grpc
import pytest
from google.rpc import status_pb2

from service.errors import ErrorKind, GatewayError
from tests.clients import classify_request, error_outcome
from tests.conftest import Served, serving
from tests.http2 import SERVERS, Answer, connected, grpc_headers, message

CLASSIFY = "/tensorgate.v1.TensorgateService/Classify"
REQUEST = classify_request("shades", images=[{"pixels": [[0] * 4] * 4}])
GOOD = message(REQUEST.SerializeToString())
OK, INVALID_ARGUMENT, DEADLINE_EXCEEDED, INTERNAL = 0, 3, 4, 13

AWKWARD = {
    "nothing": "",
    "a space": " ",
    "spaces at the ends": "  in here   ",
    "lines": "one\ntwo\r\nthree\rfour",
    "tabs and bells": "\ta\a\x00b\x1f\x7f",
    "a per cent sign": "100%",
    "what looks like an escape": "%41 %zz %",
    "not ASCII": "Zürich, 東京",
    "emoji": "🦊",
    "a header of its own": "x\r\ngrpc-status: 0",
    "all of ASCII": "".join(map(chr, range(128))),
    "long": "é" * 300,
}


async def asked(served: Served, **headers: str) -> Answer:
    """Makes a call on a connection of its own: what grpcio cannot read stays in its table of headers."""
    async with connected(served.runtime.grpc_port) as client:
        return await client.call(CLASSIFY, GOOD, **headers)


@pytest.mark.parametrize(
    "text", ["", "x", "S", "1", "1X", "1s", "-1S", "+1S", "1.5S", "0x1S", "123456789S", "²S", "1S,2S"]
)
@pytest.mark.parametrize("grpc_server", SERVERS)
async def test_a_timeout_that_is_none_is_refused(grpc_server: str, text: str) -> None:
    async with serving(grpc_server=grpc_server) as served:
        answer = await asked(served, grpc_timeout=text)
        if grpc_server == "grpcio":
            assert answer.status in {OK, INTERNAL}  # it reads more than the protocol allows
            return
        assert answer.status == INVALID_ARGUMENT
        assert answer.text.startswith(b"grpc-timeout: expected up to 8 digits and a unit")
        assert await served.metric("tensorgate_requests_total", code="invalid_input") == 1
        assert served.backend.runs == 0


@pytest.mark.parametrize("text", ["0n", "0S", "00000000H"])
@pytest.mark.parametrize("grpc_server", SERVERS)
async def test_no_time_at_all_is_too_little(grpc_server: str, text: str) -> None:
    async with serving(grpc_server=grpc_server) as served:
        assert (await asked(served, grpc_timeout=text)).status == DEADLINE_EXCEEDED
        assert served.backend.runs == 0


@pytest.mark.parametrize("text", ["99999999H", "99999999M", "99999999S", "1H"])
@pytest.mark.parametrize("grpc_server", SERVERS)
async def test_a_client_may_wait_for_ever_but_a_call_does_not_last_longer_than_the_server_allows(
    grpc_server: str, text: str
) -> None:
    async with serving(grpc_server=grpc_server) as served:
        assert (await asked(served, grpc_timeout=text)).status == OK
    async with serving(grpc_server=grpc_server, max_timeout=0.5) as served:
        served.backend.gate.clear()
        answer = await asked(served, grpc_timeout=text)
        assert answer.status == DEADLINE_EXCEEDED
        assert b"0.5 s" in answer.text


@pytest.mark.parametrize("text", ["10S", "10000m", "9999999u", "99999999u"])
async def test_each_unit_is_understood(served: Served, text: str) -> None:
    assert (await asked(served, grpc_timeout=text)).status == OK


@pytest.mark.parametrize("value", ["AAEC", "AAE=", "AAE", "AAEC,AAEC", "", "!!!", "a b", "\xff"])
async def test_binary_metadata_does_no_harm(served: Served, value: str) -> None:
    async with connected(served.runtime.grpc_port) as client:
        headers = {"x-trace-bin": value, "x-request-id": "mine"}
        for path in (CLASSIFY, CLASSIFY.replace("Classify", "ClassifyStream")):
            answer = await client.call(path, GOOD, **headers)
            assert answer.status == OK
            assert answer.trailers[b"x-request-id"] == b"mine"


@pytest.mark.parametrize("grpc_server", SERVERS)
async def test_a_client_of_grpc_may_send_binary_metadata(grpc_server: str) -> None:
    async with serving(grpc_server=grpc_server) as served:
        metadata = (("x-trace-bin", bytes(range(256))), ("x-text", "a"), ("x-text", "b"))
        assert (await served.stub.Classify(REQUEST, metadata=metadata)).model == "shades"
        assert [answer async for answer in served.stub.ClassifyStream(iter([REQUEST]), metadata=metadata)]


@pytest.mark.parametrize("value", ["x" * 129, "ä", "a b", "", "\x7f"])
async def test_a_request_id_that_is_none_gets_another(served: Served, value: str) -> None:
    async with connected(served.runtime.grpc_port) as client:
        stream = client.start(grpc_headers(CLASSIFY, **{"x-request-id": value}))
        await client.send(stream, GOOD, end=True)
        answer = await client.answer(stream)
        if answer.reset is None:  # no header at all
            assert answer.status == OK
            assert len(answer.trailers[b"x-request-id"]) == 32


@pytest.mark.parametrize("case", AWKWARD)
@pytest.mark.parametrize("grpc_server", SERVERS)
async def test_every_text_of_an_error_comes_through(grpc_server: str, case: str) -> None:
    text = AWKWARD[case]
    async with serving(grpc_server=grpc_server) as served:
        served.backend.failure = GatewayError(ErrorKind.INVALID_INPUT, text)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await served.stub.Classify(REQUEST)
        assert caught.value.details() == text
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert error_outcome(caught.value).message == text
        assert (await served.rest.post("/api/v1/models/shades/classify", json={})).status_code == 422


@pytest.mark.parametrize("case", AWKWARD)
async def test_what_is_sent_of_an_error_is_a_header_that_everybody_reads(served: Served, case: str) -> None:
    text = AWKWARD[case]
    served.backend.failure = GatewayError(ErrorKind.INVALID_INPUT, text)
    for path in (CLASSIFY, "/a%25/&"):
        answer = await _failed(served, path)
        assert answer.text == answer.text.strip(b" ")
        assert all(0x20 <= byte <= 0x7E for byte in answer.text)
        details = answer.headers[b"grpc-status-details-bin"]
        assert b"=" not in details
        found = status_pb2.Status.FromString(b64decode(details + b"=" * (-len(details) % 4)))
        assert found.code == answer.status
        assert found.message == unquote_to_bytes(answer.text).decode()
        if path == CLASSIFY:
            assert found.message == text


async def _failed(served: Served, path: str) -> Answer:
    async with connected(served.runtime.grpc_port) as client:
        answer = await client.call(path, GOOD)
        assert not answer.trailers  # in the headers, as nothing was sent before
        return answer


async def test_an_error_after_answers_is_in_the_trailers(served: Served) -> None:
    async with connected(served.runtime.grpc_port) as client:
        stream = client.start(grpc_headers(CLASSIFY.replace("Classify", "ClassifyStream")))
        await client.send(stream, GOOD)
        await client.until(lambda: client.answers[stream].body != b"")
        await client.send(stream, message(b"\xff\xff"), end=True)
        answer = await client.answer(stream)
        assert answer.status == INVALID_ARGUMENT
        assert b"grpc-status" not in answer.headers
        assert answer.trailers[b"grpc-status-details-bin"]


async def test_the_code_of_an_error_can_be_read_without_the_details(served: Served) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await served.stub.Classify(classify_request("nope", images=[]))
    assert ("tensorgate-code", "invalid_input") in [tuple(pair) for pair in caught.value.trailing_metadata() or ()]
