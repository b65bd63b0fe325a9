"""Certificates as identities: what a client shows in the handshake, and what the access file says of its names."""

import ssl
from pathlib import Path

import grpc
import httpx
import pytest
from grpc import aio

from tensorgate.v1 import tensorgate_pb2 as pb
from tensorgate.v1.tensorgate_pb2_grpc import TensorgateServiceStub
from tests.access import HIDDEN, SEEN, add, serving_with_access, write
from tests.certificates import Authority

RULES = """
[[certificates]]
name = "DNS:till-?.shop"
models = ["bri*"]
actions = ["read"]
[[certificates]]
name = "CN=ops*"
models = ["*"]
actions = ["read"]
"""
MODELS = "/api/v1/models"


async def test_a_certificate_stands_for_who_has_it(
    grpc_server: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    authority = Authority(tmp_path_factory.mktemp("certificates"))
    server = authority.issue("server")
    till = authority.issue("till", names="DNS:till-1.shop")
    shown = {
        "till": (till, 200, [SEEN]),
        "ops": (authority.issue("ops", names="DNS:elsewhere"), 200, [SEEN, HIDDEN]),
        "other": (authority.issue("other", names="DNS:till-1.shop.other"), 403, []),
    }
    write(tmp_path / "access.toml", RULES)
    key = add(tmp_path / "access.toml", ["*"], ["read"])
    tls = {"tls_certificate": server.certificate, "tls_key": server.key, "tls_client_ca": authority.certificate}
    async with serving_with_access(tmp_path, grpc_server=grpc_server, **tls) as served:
        for pair, status, names in shown.values():
            context = ssl.create_default_context(cafile=authority.certificate)
            context.load_cert_chain(pair.certificate, pair.key)
            rest_url = f"https://127.0.0.1:{served.runtime.rest_port}"
            async with httpx.AsyncClient(base_url=rest_url, verify=context) as rest:
                response = await rest.get(MODELS)
                assert response.status_code == status
                assert [model["name"] for model in response.json().get("models", [])] == names
                with_key = (await rest.get(MODELS, headers={"x-api-key": key})).json()["models"]
                assert len(with_key) == 2  # a key goes before the certificate
                assert (await rest.get(MODELS, headers={"x-api-key": "tg_wrong"})).status_code == 401
            address = f"127.0.0.1:{served.runtime.grpc_port}"
            async with aio.secure_channel(address, authority.channel_credentials(pair)) as channel:
                stub = TensorgateServiceStub(channel)  # type: ignore[no-untyped-call]
                try:
                    answer = await stub.ListModels(pb.ListModelsRequest(), wait_for_ready=True, timeout=20)
                    assert [model.name for model in answer.models] == names
                except aio.AioRpcError as error:
                    assert (error.code(), status) == (grpc.StatusCode.PERMISSION_DENIED, 403)
