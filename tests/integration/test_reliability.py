"""What must hold when something fails, in short: the runs of `make faults` that no other test makes."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from reliability import asking, certificate_faults, clients, disk_faults, name_faults
from reliability.findings import Finding
from reliability.options import Work
from reliability.proxy import Fault, Proxy
from reliability.servers import EXPORT
from tests.conftest import until
from tests.gateway import gateway
from tests.processes import ROOT
from tests.real_server import serving_models
from tests.replicas import Replica, replicas

_SHARE = 0.001
_RUNS = [clients.run, disk_faults.run, name_faults.run, certificate_faults.run]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with the model that the runs ask."""
    folder = tmp_path_factory.mktemp("models")
    subprocess.run([sys.executable, "-c", EXPORT, folder], cwd=ROOT, check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("run", _RUNS, ids=lambda run: run.__module__)
async def test_it_holds(models: Path, tmp_path: Path, run: Callable[[Work], Awaitable[Sequence[Finding]]]) -> None:
    found = await run(Work(tmp_path, models, _SHARE))
    assert found
    assert [finding for finding in found if finding.holds is False] == []


async def test_the_questions_know_their_answers(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving_models(models) as server:
        runtime = server.runtime
        async with asking.client(f"127.0.0.1:{runtime.rest_port}", f"127.0.0.1:{runtime.grpc_port}") as client:
            assert {await client.ask(number) for number in range(10)} == {"ok"}
            monkeypatch.setattr(asking, "FACTOR", 4.0)
            assert {await client.ask(number) for number in range(10)} == {"wrong"}


@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.value)
async def test_what_a_network_does_to_one_of_two_replicas_fails_no_request(fault: Fault) -> None:
    async with replicas(Replica(), Replica()) as (one, two):
        proxy = Proxy(two.port)
        await proxy.start()
        behind = f"{one.address},{proxy.address}"
        async with gateway(one, two, tfserving_addresses=behind, retry_ratio=1) as served:
            await until(lambda: served.states() == ["serving", "serving"])

            async def ask(number: int) -> None:
                assert await served.ask(float(number)) == (200, {"predictions": [number + 1.0]})

            asked = [asyncio.create_task(ask(number)) for number in range(20)]
            proxy.fault = fault
            for number in range(20, 60):
                asked.append(asyncio.create_task(ask(number)))
                await asyncio.sleep(0.01)
            await asyncio.gather(*asked)
            proxy.fault = Fault.NONE
            await until(lambda: served.states() == ["serving", "serving"], seconds=30)
            await asyncio.gather(*map(ask, range(20)))
        await proxy.stop()
