"""KServe's runtime, started as KServe starts it: the container of the manifest, with its placeholder filled in.

What KServe's controller does to a runtime: the container is written as JSON, run through Go's text/template with the
metadata of the InferenceService, and read back; the storage initialiser puts what
``storageUri`` names directly into ``/mnt/models``, or a volume or an image is mounted there, which may be a link; port
8080 is what is asked.
"""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from grpc import aio

from service.wire import open_inference_pb2 as oip
from tests.conftest import until
from tests.kubernetes import read
from tests.processes import ROOT, free_port
from tests.questions import Question
from tests.savedmodels import SIZE, black, save_shades
from tests.speakers import SPEAKERS

NAME = "shades-of-grey"
START_SECONDS = 90


class Pod:
    """The runtime's container as a process of this machine, without a container around it.

    Args:
        folder: Takes the place of the container's root.
        storage: What is at ``/mnt/models``.
    """

    def __init__(self, folder: Path, storage: Path) -> None:
        [runtime] = read("kserve/serving-runtime.yaml")
        [container] = runtime["spec"]["containers"]
        self.container: dict[str, Any] = json.loads(json.dumps(container).replace("{{.Name}}", NAME))
        assert "{{" not in json.dumps(self.container), "KServe would take it for its own"
        [port] = self.container["ports"]
        self.given = {variable["name"]: variable["value"] for variable in self.container["env"]}
        assert self.given["TENSORGATE_GRPC_PORT"] == str(port["containerPort"]) == "8080"
        self.port = free_port()
        ports = {"TENSORGATE_GRPC_PORT": str(self.port), "TENSORGATE_REST_PORT": str(free_port())}
        ports["TENSORGATE_DRAIN_DELAY"] = "60"  # so that a test on a busy machine sees it
        (folder / "tmp").mkdir()
        # What the image has: its variables, and the program on the path.
        (folder / "bin").mkdir()
        program = folder / "bin" / "tensorgate"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m service "$@"\n')
        program.chmod(0o755)
        image = {"TENSORGATE_HOST": "127.0.0.1", "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}

        def moved(text: str) -> str:
            """Returns a text with the container's paths as they are on this machine."""
            return text.replace("/tmp/", f"{folder}/tmp/").replace("/mnt/models", str(storage))  # noqa: S108

        given = {name: moved(value) for name, value in self.given.items()}
        self.environment = os.environ | image | given | ports
        self.process = subprocess.Popen(
            [moved(word) for word in (*self.container["command"], *self.container["args"])],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def get(self, path: str) -> int:
        """Returns the status of an answer over HTTP/1.1, as a kubelet gets it; 0 where nobody listens yet."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path, headers={"User-Agent": "kube-probe/1.37"})
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()

    def probe(self, name: str) -> bool:
        """Does what the kubelet does for a probe of that name; returns whether it is content."""
        probe = self.container[f"{name}Probe"]
        if "httpGet" in probe:
            assert probe["httpGet"]["port"] == 8080
            return self.get(probe["httpGet"]["path"]) == 200
        command = probe["exec"]["command"]
        done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, timeout=30, check=False)
        return done.returncode == 0

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.process.stderr and self.process.stderr.read()
        return self.probe("readiness")


@contextmanager
def running(folder: Path, storage: Path) -> Iterator[Pod]:
    pod = Pod(folder, storage)
    try:
        yield pod
    finally:
        pod.process.kill()
        pod.process.communicate()


@pytest.mark.parametrize("storage", ["copied", "a link"])
async def test_an_inference_service_runs_on_it(tmp_path: Path, storage: str) -> None:
    save_shades(tmp_path / "bucket" / "1")
    (place := tmp_path / "mnt").mkdir()
    models = place / "models"
    if storage == "a link":  # as an image with models is mounted
        models.symlink_to(tmp_path / "bucket")
    else:
        (tmp_path / "bucket").rename(models)
    (root := tmp_path / "root").mkdir()
    with running(root, models) as pod:
        await until(pod.is_ready, seconds=START_SECONDS)
        assert pod.probe("startup")
        assert pod.probe("liveness")
        await answers(pod)
        if storage == "copied":
            await ends(pod)


async def answers(pod: Pod) -> None:
    """Asks in each protocol that the runtime says it speaks, all on the one port."""
    [runtime] = read("kserve/serving-runtime.yaml")
    assert runtime["spec"]["protocolVersions"] == ["v1", "v2", "grpc-v1", "grpc-v2"]
    address = f"127.0.0.1:{pod.port}"
    async with (
        httpx.AsyncClient(base_url=f"http://{address}", timeout=20) as rest,
        aio.insecure_channel(address) as channel,
    ):
        body = {"instances": black().tolist()}
        v1 = await rest.post(f"/v1/models/{NAME}:predict", json=body)
        assert v1.json()["predictions"][0]["classes"] == ["dark", "bright"], v1.text
        assert (await rest.get(f"/v1/models/{NAME}")).json()["model_version_status"][0]["state"] == "AVAILABLE"
        tensor = {"name": "images", "datatype": "FP32", "shape": [1, SIZE, SIZE, 1], "data": black().ravel().tolist()}
        v2 = await rest.post(f"/v2/models/{NAME}/infer", json={"inputs": [tensor]})
        assert v2.json()["model_name"] == NAME, v2.text
        assert (await rest.get(f"/v2/models/{NAME}/ready")).status_code == 200
        for speaker in ("tfserving-grpc-content", "open-inference-grpc-raw"):
            clients: Any = Clients(rest, channel)
            said = await SPEAKERS[speaker].ask(clients, Question(NAME, {"images": black()}))
            assert said.code == "ok", said
        live: Any = channel.unary_unary("/inference.GRPCInferenceService/ServerLive")
        assert oip.ServerLiveResponse.FromString(await live(b"")).live
        metrics = await rest.get(runtime["spec"]["annotations"]["prometheus.kserve.io/path"])
        assert f'model_name="{NAME}"' in metrics.text


class Clients:
    """What speakers ask with."""

    def __init__(self, rest: httpx.AsyncClient, channel: aio.Channel) -> None:
        self.rest = rest
        self.channel = channel


async def ends(pod: Pod) -> None:
    """As a pod is deleted: not ready at once, still serving, until the second signal."""
    pod.process.send_signal(signal.SIGTERM)
    await until(lambda: not pod.probe("readiness"))
    assert pod.probe("liveness"), "what drains is alive"
    assert pod.get(f"/v1/models/{NAME}") == 200, "what comes meanwhile is answered"
    pod.process.send_signal(signal.SIGTERM)
    assert pod.process.wait(30) == 130


def test_its_drain_fits_into_the_time_that_kubernetes_gives() -> None:
    [runtime] = read("kserve/serving-runtime.yaml")
    [container] = runtime["spec"]["containers"]
    text = {variable["name"]: variable["value"] for variable in container["env"]}
    assert float(text["TENSORGATE_DRAIN_DELAY"]) + float(text["TENSORGATE_DRAIN_TIMEOUT"]) + 10 < 30
    assert re.fullmatch(r"\d+Gi", container["resources"]["limits"]["memory"])
    held = int(text["TENSORGATE_MAX_BYTES_IN_FLIGHT"])
    assert held * 4 == int(container["resources"]["limits"]["memory"].removesuffix("Gi")) << 30
