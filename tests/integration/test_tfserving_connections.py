"""How the gateway reaches its replicas: names that stand for several, TLS; and how it tells them what to serve."""

import asyncio
import shutil
import subprocess
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import aio
from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc

from service.app.lifecycle import Server
from service.app.settings import SettingsError, load
from service.backends.registry import BackendChoiceError
from service.backends.tfserving import addresses
from tests.conftest import until
from tests.gateway import gateway
from tests.real_server import serving_models
from tests.replicas import Replica, replicas
from tests.zoo_models import save_versions


async def test_replicas_come_and_go_with_the_addresses_of_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.backends.tfserving.backend._RESOLVE_SECONDS", 0.05)
    one, two = Replica(), Replica()
    async with replicas(one, two):
        known = [one.address]

        async def resolve(*_: Any) -> frozenset[str]:
            return frozenset(known)

        monkeypatch.setattr("service.backends.tfserving.backend.resolve", resolve)
        async with gateway(one, tfserving_addresses="dns:///replicas.example:8500") as served:
            assert (await served.ask(1))[0] == 200
            known[:] = [two.address]
            await until(lambda: [status.name for status in served.runtime._parts.backend.replicas()] == [two.address])  # type: ignore[attr-defined]
            await until(lambda: served.states() == ["serving"])
            one.asked.clear()
            assert [(await served.ask(value))[0] for value in range(5)] == [200] * 5
            assert one.asked == []
            assert all(
                one.address not in labels for labels in await served.metrics("tensorgate_replica_requests_total")
            )
            known.append(one.address)
            await until(lambda: served.states() == ["serving", "serving"])


async def test_requests_wait_for_a_replica_that_takes_over_and_has_yet_to_tell_its_versions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("service.backends.tfserving.backend._RESOLVE_SECONDS", 0.05)
    one, two = Replica(1), Replica(2)
    two.telling.clear()
    async with replicas(one, two):
        known = [one.address]

        async def resolve(*_: Any) -> frozenset[str]:
            return frozenset(known)

        monkeypatch.setattr("service.backends.tfserving.backend.resolve", resolve)
        async with gateway(one, tfserving_addresses="dns:///replicas.example:8500", probe_timeout=30) as served:
            known[:] = [two.address]
            await until(lambda: [status.name for status in served.runtime._parts.backend.replicas()] == [two.address])  # type: ignore[attr-defined]
            asked = [asyncio.create_task(served.ask(value)) for value in range(5)]
            await until(lambda: served.runtime.admission.in_flight["requests"] == 5)
            two.telling.set()
            assert [await task for task in asked] == [(200, {"predictions": [value + 2.0]}) for value in range(5)]


async def test_a_replica_that_left_its_name_and_is_silent_loses_its_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.backends.tfserving.backend._RESOLVE_SECONDS", 0.05)
    one, two = Replica(), Replica()
    async with replicas(one, two):
        known = [one.address, two.address]

        async def resolve(*_: Any) -> frozenset[str]:
            return frozenset(known)

        monkeypatch.setattr("service.backends.tfserving.backend.resolve", resolve)
        # No probe notices the silence before the replica has left.
        async with gateway(one, max_batch_size=1, probe_seconds=0.6) as served:
            await until(lambda: served.states() == ["serving", "serving"])
            one.silent.clear()
            asked = [asyncio.create_task(served.ask(value)) for value in range(6)]
            await asyncio.sleep(0.1)
            known.remove(one.address)
            assert [await task for task in asked] == [(200, {"predictions": [value + 1.0]}) for value in range(6)]


async def test_a_name_is_looked_up_by_the_system() -> None:
    async with (
        replicas(Replica()) as (one,),
        gateway(one, tfserving_addresses=f"dns:///localhost:{one.port}") as served,
    ):
        assert "127.0.0.1" in {status.name.rpartition(":")[0] for status in served.runtime._parts.backend.replicas()}  # type: ignore[attr-defined]
        assert await served.ask(1) == (200, {"predictions": [2.0]})
    assert addresses.parse_addresses("dns:///localhost:1")[0].all_of_name


def certificates(folder: Path) -> dict[str, bytes]:
    """Writes a CA and, signed by it, certificates of a replica and of a client, with their keys; returns the files."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    new = ("-newkey", "rsa:2048", "-nodes")
    openssl("req", "-x509", *new, "-days", "1", "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.pem")
    for name in ("replica", "client"):
        openssl("req", *new, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        (folder / "names").write_text(f"subjectAltName=DNS:{name}.example")
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names", "-days", "1")
        openssl("x509", "-req", "-in", f"{name}.csr", *signed, "-out", f"{name}.pem")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make certificates with")
async def test_mutual_tls(tmp_path: Path) -> None:
    pem = await asyncio.to_thread(certificates, tmp_path)
    credentials = grpc.ssl_server_credentials(
        [(pem["replica.key"], pem["replica.pem"])], root_certificates=pem["ca.pem"], require_client_auth=True
    )
    one = Replica()
    await one.start(credentials)
    tls: dict[str, Any] = {"tfserving_ca": tmp_path / "ca.pem", "tfserving_server_name": "replica.example"}
    mutual: dict[str, Any] = {
        "tfserving_certificate": tmp_path / "client.pem",
        "tfserving_key": tmp_path / "client.key",
    }
    async with gateway(one, **tls, **mutual) as served:
        assert await served.ask(1) == (200, {"predictions": [2.0]})
    for wrong in (tls, tls | mutual | {"tfserving_server_name": "other.example"}, {}):
        async with gateway(one, ready=False, **wrong) as served:
            await until(lambda: served.states() == ["ejected"])
            assert (await served.ask(1))[0] == 503
    await one.stop()


async def test_a_client_tells_all_replicas_what_to_serve_and_those_that_come_later(tmp_path: Path) -> None:
    one, two = Replica(1, 2), Replica(1, 2)
    async with replicas(one, two), gateway(one, two, models=tmp_path) as served:
        await two.stop()
        await until(lambda: "ejected" in served.states())
        request = model_management_pb2.ReloadConfigRequest()
        config = request.config.model_config_list.config.add(name="m", base_path=str(tmp_path / "m"))
        config.model_version_policy.all.SetInParent()
        config.version_labels["stable"] = 1
        async with aio.insecure_channel(f"127.0.0.1:{served.runtime.grpc_port}") as channel:
            stub = model_service_pb2_grpc.ModelServiceStub(channel)
            await stub.HandleReloadConfigRequest(request)
            expected = request.config.model_config_list.config[0]
            expected.model_platform = "tensorflow"
            assert [told.config.model_config_list.config[:] for told in one.configs] == [[expected]]
            assert await served.ask(0, path="m/labels/stable") == (200, {"predictions": [1.0]})
            await two.start()
            await until(lambda: two.configs == one.configs)

            one.refusal = "disk full"
            expected.version_labels["stable"] = 2
            with pytest.raises(aio.AioRpcError, match="disk full"):
                await stub.HandleReloadConfigRequest(request)
            assert one.configs[-1] == one.configs[0]  # told to serve what it served before
            assert await served.ask(0, path="m/labels/stable") == (200, {"predictions": [1.0]})


async def test_the_operators_file_is_followed_by_gateway_and_replica(tmp_path: Path) -> None:
    save_versions(tmp_path / "adds", 1, 2)
    config = tmp_path / "models.config"

    def write(*labelled: int) -> None:
        labels = "".join(f'version_labels {{ key: "v{version}" value: {version} }}' for version in labelled)
        policy = "model_version_policy { all {} }"
        made = f'model_config_list {{ config {{ name: "adds" base_path: "{tmp_path}/adds" {policy} {labels} }} }}'
        config.write_text(made)

    write(1)
    options = {"model_config_file": config, "poll_seconds": 0.1}
    async with serving_models(tmp_path, **options) as replica:
        address = f"127.0.0.1:{replica.runtime.grpc_port}"
        front = {"backend": "tfserving", "tfserving_addresses": address, "probe_seconds": 0.1}
        async with serving_models(tmp_path, **options, **front) as served:

            async def ask(label: str) -> Any:
                answer = await served.rest.post(f"/v1/models/adds/labels/{label}:predict", json={"instances": [0.0]})
                return answer.json().get("predictions")

            assert (await ask("v1"), await ask("v2")) == ([1.0], None)
            write(2)
            await until(lambda: served.runtime.catalog.labels("adds") == {"v2": 2})
            assert (await ask("v1"), await ask("v2")) == (None, [2.0])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"tfserving_addresses": "nowhere"}, "tfserving_addresses: expected host:port"),
        ({"tfserving_ca": "missing.pem"}, "missing.pem for TLS cannot be read: No such file"),
        ({"tfserving_ca": __file__}, "for TLS cannot be read: it is no PEM file"),
    ],
)
def test_what_is_misconfigured_is_said_at_the_start(settings: dict[str, str], words: str) -> None:
    with pytest.raises(BackendChoiceError, match=words):
        Server(load({"backend": "tfserving", "rest_port": 0, "grpc_port": 0} | settings))


@pytest.mark.parametrize("name", ["tfserving_certificate", "tfserving_key", "tfserving_server_name"])
def test_parts_of_tls_that_would_be_ignored_are_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="tfserving_"):
        load({name: "x.pem"})
