"""Two requests that differ in one byte are never answered from each other, whatever was asked before or is beside it.

Messages that differ a little from valid ones are answered by a server that has answered all the others, and answers
many at this moment, just as by one that has just been started and is asked nothing else of the kind.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any

import grpc
import pytest
from grpc import aio
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fuzz.limits import LIMITS
from tests.fresh import Fresh, fresh_server
from tests.length import SECONDS
from tests.mutated_json import mutated_json
from tests.mutated_messages import mutated_message
from tests.mutations import mutated_bytes
from tests.valid_bodies import BODIES, JSON, RestBody
from tests.valid_rpcs import RPCS, RpcMethod

EXAMPLES = round(SECONDS)
_MOST_OF_A_METHOD = 4
_OWN_CONNECTION = (("grpc.use_local_subchannel_pool", 1),)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it is sent; a stream has several messages."""

    to: RpcMethod | RestBody
    messages: tuple[bytes, ...]
    id: str
    headers: tuple[tuple[str, str], ...] = ()


async def answer(server: Fresh, asked: Asked) -> tuple[Any, ...]:
    """Returns all that comes back but for the time of day."""
    if isinstance(asked.to, RpcMethod):
        return await _rpc(server, asked.to, asked)
    headers = {**JSON, **dict(asked.headers), "x-request-id": asked.id}
    response = await server.rest.post(asked.to.path, content=asked.messages[0], headers=headers)
    kept = sorted((name, value) for name, value in response.headers.items() if name != "date")
    return response.status_code, kept, response.content


async def _rpc(server: Fresh, method: RpcMethod, asked: Asked) -> tuple[Any, ...]:
    if not method.is_stream:
        return await _called(server.channel.unary_unary(method.path), method, asked.messages[0], asked.id)
    # A client gives up the rest of a stream that ends before its last message: too often, for one connection. And at
    # times it says no more than that (https://github.com/grpc/grpc/issues/36066).
    while True:
        async with aio.insecure_channel(server.address, _OWN_CONNECTION) as channel:
            said = await _called(channel.stream_stream(method.path), method, iter(asked.messages), asked.id)
        if said[1] != "Internal error from Core":
            return said


async def _called(open_call: Any, method: RpcMethod, sent: Any, request_id: str) -> tuple[Any, ...]:
    call = open_call(sent, metadata=(("x-request-id", request_id),), timeout=60)
    said = []
    with suppress(grpc.aio.AioRpcError):
        async for each in call if method.is_stream else _only(call):
            # What a map has is written in any order. What came before an error counts, too.
            said.append(method.response.FromString(each).SerializeToString(deterministic=True))  # noqa: PERF401
    return await call.code(), await call.details(), sorted(await call.trailing_metadata() or ()), said


async def _only(call: Any) -> AsyncIterator[bytes]:
    yield await call


def valid(random: Random) -> list[Asked]:
    """Returns a few requests of each method, and one of each path."""
    asked = []
    for number, (method, messages) in enumerate(RPCS.items()):
        written = [each.SerializeToString() for each in messages]
        if method.is_stream:
            asked.append(Asked(method, tuple(written), f"stream-{number}"))
            continue
        chosen = random.sample(range(len(written)), min(len(written), _MOST_OF_A_METHOD))
        asked += [Asked(method, (written[index],), f"rpc-{number}-{index}") for index in chosen]
    for number, body in enumerate(BODIES):
        asked.append(_with_blobs(body, body.document, body.blobs, f"rest-{number}"))
    return asked


def mutated(asked: Asked, random: Random) -> Asked:
    """Returns a request that differs from a valid one, but for its id too."""
    made_up = f"{random.getrandbits(64):x}"
    if isinstance(asked.to, RpcMethod):
        messages = list(asked.messages)
        for _ in range(random.randint(1, 2) if asked.to.is_stream else 1):
            index = random.randrange(len(messages))
            messages[index] = mutated_message(asked.messages[index], asked.to.request, random)
        return Asked(asked.to, tuple(messages), made_up)
    body = asked.to
    blobs = mutated_bytes(body.blobs, random) if body.blobs and random.random() < 0.5 else body.blobs
    return _with_blobs(body, mutated_json(body.document, random), blobs, made_up, beyond=random.choice((0,) * 9 + (1,)))


def _with_blobs(body: RestBody, document: bytes, blobs: bytes, id_: str, *, beyond: int = 0) -> Asked:
    length = (("inference-header-content-length", str(len(document) - beyond)),) if body.blobs else ()
    return Asked(body, (document + blobs,), id_, length)


@pytest.fixture(scope="module", params=["h2corn", "grpcio"])
def options(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {**LIMITS, "grpc_server": request.param}


@pytest.fixture(scope="module")
async def experienced(options: dict[str, Any]) -> AsyncIterator[Fresh]:
    async with fresh_server(**options) as server:
        yield server


@pytest.mark.timeout(300 + 20 * SECONDS)
@settings(
    max_examples=EXAMPLES,
    phases=[Phase.generate],  # what is found depends on what was asked before: there is nothing to be made smaller
    suppress_health_check=list(HealthCheck),
)
@given(st.randoms(use_true_random=True))
async def test_whatever_was_asked_before(experienced: Fresh, options: dict[str, Any], random: Random) -> None:
    usual = valid(random)
    changed = [mutated(asked, random) for asked in usual]
    crowd = [*usual, *changed, *changed]
    random.shuffle(crowd)
    answers = await asyncio.gather(*(answer(experienced, asked) for asked in crowd))
    async with fresh_server(**options) as fresh:
        expected = {asked.id: await answer(fresh, asked) for asked in (*changed, *usual)}
    for asked, said in zip(crowd, answers, strict=True):
        if said != expected[asked.id]:
            pytest.fail(f"{asked} was answered {said}, and not {expected[asked.id]}")


@pytest.mark.parametrize("method", [method for method in RPCS if not method.is_stream], ids=lambda method: method.path)
async def test_what_is_said_twice(experienced: Fresh, method: RpcMethod) -> None:
    """Of numbers and names the last counts, lists are joined, messages merged: two messages in a row are one."""
    messages = RPCS[method]
    for first, second in itertools.product(messages, messages[:3]):
        merged = method.request()
        merged.MergeFrom(first)
        merged.MergeFrom(second)
        in_a_row = first.SerializeToString() + second.SerializeToString()
        said = [
            await answer(experienced, Asked(method, (data,), "id")) for data in (in_a_row, merged.SerializeToString())
        ]
        assert said[0] == said[1]
