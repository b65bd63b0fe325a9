"""What tools ask a server of gRPC: its health and each change of it, its services, and what there is instead."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from service.core.model_version import State
from tests.clients import error_outcome
from tests.conftest import Served, serving, until
from tests.http2 import SECONDS, SERVERS

Health = health_pb2.HealthCheckResponse
CHECKED = health_pb2.HealthCheckRequest
NATIVE, HEALTH = "tensorgate.v1.TensorgateService", "grpc.health.v1.Health"
REFLECTIONS = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")
SERVICES = {
    NATIVE,
    HEALTH,
    *REFLECTIONS,
    "tensorflow.serving.PredictionService",
    "tensorflow.serving.ModelService",
    "inference.GRPCInferenceService",
}


@pytest.fixture(params=SERVERS)
async def served(request: pytest.FixtureRequest) -> AsyncIterator[Served]:
    async with serving(grpc_server=request.param, ready_when="all") as served:
        yield served


def health_of(served: Served) -> Any:
    return health_pb2_grpc.HealthStub(served.channel)


async def test_a_watch_is_told_of_every_change(served: Served) -> None:
    health, catalog = health_of(served), served.runtime.catalog
    watches = [health.Watch(CHECKED(service=service)) for service in ("", NATIVE, "")]

    async def told(status: int) -> None:
        for watch in watches:
            assert (await asyncio.wait_for(watch.read(), SECONDS)).status == status
        assert (await health.Check(CHECKED(service=NATIVE))).status == status

    [version] = catalog.versions("double")
    await told(Health.SERVING)
    for _ in range(3):
        catalog.put(replace(version, state=State.LOADING))  # a model without a version to answer with
        await told(Health.NOT_SERVING)
        catalog.put(version)
        await told(Health.SERVING)
    stopping = asyncio.create_task(served.runtime.__aexit__(None, None, None))
    for watch in watches:
        assert (await asyncio.wait_for(watch.read(), SECONDS)).status == Health.NOT_SERVING
        await asyncio.wait_for(watch.code(), SECONDS)
    await asyncio.wait_for(stopping, SECONDS)


async def test_of_a_service_that_there_is_not_a_watch_says_so_and_stays(served: Served) -> None:
    watch = health_of(served).Watch(CHECKED(service="nope"))
    assert (await watch.read()).status == Health.SERVICE_UNKNOWN
    assert not watch.done()
    watch.cancel()


async def test_a_watch_that_is_cancelled_leaves_nothing(served: Served) -> None:
    await health_of(served).Check(CHECKED())
    before = len(asyncio.all_tasks())
    for _ in range(20):
        watch = health_of(served).Watch(CHECKED())
        assert (await watch.read()).status == Health.SERVING
        watch.cancel()
    await until(lambda: len(asyncio.all_tasks()) <= before + 1)


async def test_the_health_of_each_service_is_told_and_of_no_other(served: Served) -> None:
    health = health_of(served)
    for service in ("", *SERVICES - {HEALTH, *REFLECTIONS}):
        assert (await health.Check(CHECKED(service=service))).status == Health.SERVING
    messages: Any = health_pb2
    every = (await health.List(messages.HealthListRequest())).statuses
    assert {"", *SERVICES - {HEALTH, *REFLECTIONS}} <= every.keys()
    assert {answer.status for answer in every.values()} == {Health.SERVING}
    for service in ("nope", NATIVE.lower(), NATIVE + "/Classify", "tensorgate.v1"):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await health.Check(CHECKED(service=service))
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


class Reflection:
    """A client of reflection, under either of its names."""

    def __init__(self, served: Served, name: str) -> None:
        self._method: Any = served.channel.stream_stream(
            f"/{name}/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )

    async def ask(self, *requests: dict[str, Any]) -> list[reflection_pb2.ServerReflectionResponse]:
        return [answer async for answer in self._method(reflection_pb2.ServerReflectionRequest(**r) for r in requests)]

    async def files(self, **request: Any) -> dict[str, FileDescriptorProto]:
        [answer] = await self.ask(request)
        assert not answer.HasField("error_response"), answer
        found = map(FileDescriptorProto.FromString, answer.file_descriptor_response.file_descriptor_proto)
        return {file.name: file for file in found}


@pytest.mark.parametrize("name", REFLECTIONS)
async def test_reflection_describes_every_service_it_lists(served: Served, name: str) -> None:
    reflection = Reflection(served, name)
    [answer] = await reflection.ask({"list_services": ""})
    assert {service.name for service in answer.list_services_response.service} == SERVICES
    for service in SERVICES:
        files = await reflection.files(file_containing_symbol=service)
        # A client asks for what is imported, by its file's name.
        wanted = {imported for file in files.values() for imported in file.dependency} - files.keys()
        while wanted:
            files |= await reflection.files(file_by_filename=wanted.pop())
            wanted = {imported for file in files.values() for imported in file.dependency} - files.keys()
        pool = DescriptorPool()
        while files:
            for file in [file for file in files.values() if not set(file.dependency) & files.keys()]:
                pool.Add(files.pop(file.name))
        assert pool.FindServiceByName(service).methods
        for method in pool.FindServiceByName(service).methods:
            if service not in {HEALTH, *REFLECTIONS}:  # which Python's own servicer describes
                assert await reflection.files(file_containing_symbol=f"{service}.{method.name}")
            assert await reflection.files(file_containing_symbol=method.input_type.full_name)


@pytest.mark.parametrize("name", REFLECTIONS)
async def test_every_method_that_reflection_describes_can_be_called(served: Served, name: str) -> None:
    reflection = Reflection(served, name)
    for service in SERVICES:
        for file in (await reflection.files(file_containing_symbol=service)).values():
            for described in file.service:
                if f"{file.package}.{described.name}" != service:
                    continue
                for method in described.method:
                    stream: Any = served.channel.stream_stream(f"/{service}/{method.name}")
                    assert await stream(iter([b"\xff"])).code() is not grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("name", REFLECTIONS)
async def test_reflection_says_what_it_does_not_know_and_goes_on(served: Served, name: str) -> None:
    answers = await Reflection(served, name).ask(
        {"file_containing_symbol": "nope.Nope"},
        {"file_by_filename": "nope.proto"},
        {"file_containing_symbol": ""},
        {"list_services": "*"},
    )
    for answer in answers[:3]:
        assert answer.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]
    assert answers[3].HasField("list_services_response")


async def test_what_there_is_not_is_unimplemented_and_what_there_is_instead_is_said(served: Served) -> None:
    for path, words in (
        ("/nope.Service/Nope", "the services are inference.GRPCInferenceService, tensorflow.serving.ModelService"),
        (f"/{NATIVE}/Nope", f"the methods of {NATIVE} are Classify, ClassifyStream, DeleteLabel"),
        (f"/{NATIVE}/", f"the methods of {NATIVE} are"),
        (f"/{NATIVE.lower()}/Classify", "the services are"),
        ("/", "the services are"),
    ):
        call: Any = served.channel.unary_unary(path)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(b"")
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert words in error_outcome(caught.value).message
