"""An address for operators: what is theirs is answered there, in every protocol, and nowhere else."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from grpc import aio

from service.core.rights import FOR_ADMIN
from service.seam.grpc import GrpcService
from service.seam.method import Method
from tensorgate.v1 import tensorgate_pb2 as pb
from tensorgate.v1.tensorgate_pb2_grpc import TensorgateServiceStub
from tests.certificates import Authority
from tests.clients import classify_request
from tests.conftest import Served, serving
from tests.processes import server_process

BLACK = {"images": [{"pixels": [[0] * 4] * 4}]}
METRICS = "/metrics", "/monitoring/prometheus/metrics"
CONTROL = [
    ("PUT", "/api/v1/models/shades/labels/stable"),
    ("DELETE", "/api/v1/models/shades/labels/stable"),
    ("POST", "/v2/repository/models/steps/load"),
    ("POST", "/v2/repository/models/steps/unload"),
]
RPCS = [
    "/tensorgate.v1.TensorgateService/SetLabel",
    "/tensorgate.v1.TensorgateService/DeleteLabel",
    "/tensorflow.serving.ModelService/HandleReloadConfigRequest",
    "/inference.GRPCInferenceService/RepositoryModelLoad",
    "/inference.GRPCInferenceService/RepositoryModelUnload",
]


@asynccontextmanager
async def apart(**settings: Any) -> AsyncIterator[tuple[Served, httpx.AsyncClient]]:
    """Serves with an admin address; yields a client of it, too."""
    chosen = {"backend": "tests.fakes:ControllableFake", "admin_address": "127.0.0.1:0"} | settings
    async with serving(**chosen) as served:
        base = f"http://127.0.0.1:{served.runtime.admin_port}"
        async with httpx.AsyncClient(base_url=base, timeout=20) as admin:
            yield served, admin


def rest_ports(served: Served) -> Iterator[httpx.AsyncClient]:
    ports = [served.runtime.rest_port] + [served.runtime.grpc_port] * (served.grpc_server == "h2corn")
    for port in ports:
        yield httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20)


async def code_of(port: int, rpc: str, request: bytes = b"") -> tuple[grpc.StatusCode, str]:
    async with aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            method: Any = channel.unary_unary(rpc)
            await method(request, timeout=20)
        except aio.AioRpcError as error:
            return error.code(), error.details() or ""
    return grpc.StatusCode.OK, ""


async def test_what_is_for_operators_is_not_there_for_others_over_rest(grpc_server: str) -> None:
    async with apart(grpc_server=grpc_server) as (served, _):
        for client in rest_ports(served):
            async with client:
                for verb, path in [("GET", path) for path in METRICS] + CONTROL:
                    answer = await client.request(verb, path, json={"version": 1})
                    assert answer.status_code == 404, path
                    assert "there is nothing at" in answer.text
                assert (await client.post("/api/v1/models/shades/classify", json=BLACK)).status_code == 200
                for path in ("/livez", "/readyz", "/docs", "/v1/models/shades", "/v2/models/shades", "/api/v1/models"):
                    assert (await client.get(path)).status_code == 200, path
                paths = (await client.get("/openapi.json")).json()["paths"]
                assert not [
                    path for path in paths if "repository/models" in path or ("/api" in path and "label" in path)
                ]


async def test_nor_over_grpc(grpc_server: str) -> None:
    async with apart(grpc_server=grpc_server) as (served, _):
        for rpc in RPCS:
            code, text = await code_of(served.runtime.grpc_port, rpc)
            assert code is grpc.StatusCode.UNIMPLEMENTED, rpc
            assert "there is no method" in text
        assert (await served.stub.Classify(classify_request("shades", **BLACK))).version


async def test_nor_over_grpc_web() -> None:
    async with apart() as (served, _):
        for client in rest_ports(served):
            async with client:
                for rpc in RPCS:
                    headers = {"content-type": "application/grpc-web+proto"}
                    answer = await client.post(rpc, content=b"\0\0\0\0\0", headers=headers)
                    assert b"grpc-status: 12" in answer.content


async def test_operators_have_everything(grpc_server: str) -> None:
    """Over whatever the gRPC port has: the address speaks HTTP/1.1, gRPC-Web and gRPC."""
    async with apart(grpc_server=grpc_server) as (served, admin):
        assert "tensorgate_requests_total" in (await admin.get("/metrics")).text
        assert (await admin.post("/api/v1/models/shades/classify", json=BLACK)).status_code == 200
        assert (await admin.put("/api/v1/models/shades/labels/stable", json={"version": 1})).status_code == 200
        assert (await admin.post("/v2/repository/models/steps/unload")).status_code == 200
        assert "/metrics" in (await admin.get("/openapi.json")).json()["paths"]
        async with aio.insecure_channel(f"127.0.0.1:{served.runtime.admin_port}") as channel:
            stub: Any = TensorgateServiceStub(channel)  # type: ignore[no-untyped-call]
            answer = await stub.SetLabel(pb.SetLabelRequest(model="shades", label="canary", version=1))
            assert set(answer.model.labels) == {"stable", "canary"}
        for rpc in RPCS:
            code, _ = await code_of(served.runtime.admin_port, rpc)
            assert code is not grpc.StatusCode.UNIMPLEMENTED, rpc


async def test_whoever_may_change_nothing_may_not_there_either() -> None:
    async with apart(allow_model_control=False) as (_, admin):
        assert (await admin.post("/v2/repository/models/steps/unload")).status_code == 403
        assert (await admin.get("/metrics")).status_code == 200


async def test_pages_of_other_sites_and_other_names_are_refused_there_too() -> None:
    async with apart() as (_, admin):
        unload = "/v2/repository/models/steps/unload"
        assert (await admin.post(unload, headers={"origin": "https://evil.example"})).status_code == 403
        assert (await admin.get("/metrics", headers={"host": "evil.example"})).status_code == 421


async def test_every_method_that_changes_something_is_for_operators(served: Served) -> None:
    """Whoever adds one is to think of it: what can be refused by the setting is what they alone may ask."""
    apis = served.runtime._apis
    assert sum(route.access in FOR_ADMIN for api in apis for route in api.rest.routes) == len(CONTROL)
    methods = {f"/{service.name}/{name}" for api in apis for service in api.grpc for name in _for_admin(service)}
    assert methods == set(RPCS)
    for verb, path in CONTROL:
        async with serving(allow_model_control=False) as closed:
            assert (await closed.rest.request(verb, path, json={"version": 1})).status_code == 403


def _for_admin(service: GrpcService) -> Iterator[str]:
    for name, method in service.methods.items():
        if isinstance(method, Method) and method.access in FOR_ADMIN:
            yield name


async def test_without_such_an_address_all_of_it_is_on_both_ports(served: Served) -> None:
    for client in rest_ports(served):
        async with client:
            assert (await client.get("/metrics")).status_code == 200
    assert served.runtime.admin_port == 0


async def test_it_speaks_tls_where_the_others_do(grpc_server: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("server")
    tls = {"tls_certificate": pair.certificate, "tls_key": pair.key}
    async with apart(grpc_server=grpc_server, **tls) as (served, _):
        port = served.runtime.admin_port
        trusted = ssl.create_default_context(cafile=str(authority.certificate))
        async with httpx.AsyncClient(base_url=f"https://127.0.0.1:{port}", verify=trusted, timeout=20) as admin:
            answer = await admin.get("/metrics")
            assert (answer.status_code, answer.headers["x-content-type-options"]) == (200, "nosniff")
            assert "strict-transport-security" in answer.headers
        async with httpx.AsyncClient(timeout=20) as plain:
            with pytest.raises(httpx.TransportError):
                await plain.get(f"http://127.0.0.1:{port}/metrics")


async def test_a_drain_ends_it_with_the_others() -> None:
    async with apart() as (served, admin):
        served.backend.gate.clear()
        asked = asyncio.create_task(admin.post("/api/v1/models/shades/classify", json=BLACK))
        while not served.runtime.admission.in_flight["requests"]:  # noqa: ASYNC110  # what is waited for is no event
            await asyncio.sleep(0.01)
        asyncio.get_running_loop().call_later(0.3, served.backend.gate.set)
        port = served.runtime.admin_port
        await served.runtime.__aexit__(None, None, None)
        assert (await asked).status_code == 200
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)


def test_an_address_that_is_taken_ends_the_start() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with server_process("--backend", "tests.fakes:FakeBackend", "--admin-address", address) as server:
            assert server.process.wait(60) == 2
    assert any(f"cannot listen on {address} for operators" in line for line in server.lines)


def test_the_log_says_where_it_is() -> None:
    with server_process("--backend", "tests.fakes:FakeBackend", "--admin-address", "127.0.0.1:0") as server:
        server.announcement()
        assert httpx.get(server.rest + "/metrics").status_code == 404
        assert server.stop() == 0
    assert any("operators on port" in line for line in server.lines)
