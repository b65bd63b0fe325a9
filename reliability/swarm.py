"""Docker Swarm rolls, scales, loses and replaces tasks while clients ask: three gateways, two model servers."""

import asyncio
import shutil
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from reliability.asking import DEADLINE, client
from reliability.findings import Finding
from reliability.load import OK, WRONG, Outcomes, steady
from reliability.options import Work
from reliability.servers import until
from reliability.stack import RELEASES, DockerError, Stack, deployed, docker, image, publish_list, swarm

_RATE = 30.0
"""Requests a second: a tenth of what two model servers can do: what is tried is the change, and not the load."""
_QUIET = 5.0
"""Seconds before and after each trial."""
_PAUSED_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class _Trial:
    """What is done while clients ask, and what is told of it."""

    name: str
    make: Callable[[Stack], Awaitable[str]]


async def run(work: Work) -> Sequence[Finding]:
    """Runs it; returns a line for each trial."""
    if shutil.which("docker") is None:
        return [Finding("Docker Swarm", "", "there is no docker on this machine", holds=None)]
    work.models.chmod(0o755)
    publish_list(work.models)
    async with swarm(), deployed(work.models) as stack, client(stack.edge.rest, stack.edge.grpc) as asking:
        found = []
        for trial in _TRIALS:
            async with steady(asking.ask, rate=_RATE, deadline=DEADLINE) as outcomes:
                await asyncio.sleep(_QUIET)
                began = time.monotonic()
                try:
                    told = await trial.make(stack)
                except (DockerError, RuntimeError) as error:
                    told = f"{type(error).__name__}: {error}"[:200]
                    failed = True
                else:
                    failed = False
                took = time.monotonic() - began
                await asyncio.sleep(_QUIET)
            found.append(_finding(trial, outcomes, f"{took:.0f} s{told and '; '}{told}", failed=failed))
        return found


def _finding(trial: _Trial, outcomes: Outcomes, told: str, *, failed: bool) -> Finding:
    failures = outcomes.failures()
    wrong = failures[WRONG]
    lost = failures.total() - wrong
    codes = Counter({code: count for code, count in failures.items() if code not in (OK, WRONG)})
    return Finding(
        trial.name,
        "0 lost, 0 wrong",
        f"{len(outcomes.answers):,} requests, {lost} lost, {wrong} wrong, the longest {outcomes.longest():.1f} s"
        + "".join(f"; {count} {code}" for code, count in codes.most_common(2))
        + f"; {told}",
        not failed and lost == wrong == 0,
    )


async def _new_image(stack: Stack) -> str:
    await stack.update("gateway", "--image", image(RELEASES[1]))
    await stack.whole(gateways=3)
    return "one by one, the new task first"


async def _image_before(stack: Stack) -> str:
    await stack.update("gateway", "--rollback")
    await stack.whole(gateways=3)
    return ""


async def _new_version(stack: Stack) -> str:
    draft = stack.versions / ".new"
    shutil.copytree(stack.versions / "1", draft)
    draft.rename(stack.versions / "2")
    await _version_serves(stack, 2)
    return "until both model servers have it"


async def _version_before(stack: Stack) -> str:
    (stack.versions / "2").rename(stack.versions / "bad-2")
    await _version_serves(stack, 1)
    shutil.rmtree(stack.versions / "bad-2")
    return ""


async def _version_serves(stack: Stack, version: int) -> None:
    async def serves() -> bool:
        states = await stack.edge.metrics("tensorgate_model_state")
        available = [labels for labels, value in states.items() if 'state="AVAILABLE"' in labels and value == 1]
        return len(available) == 1 and f'model_version="{version}"' in available[0]

    await until(serves, f"version {version} alone serves")


async def _scaled(stack: Stack) -> str:
    for number in (1, 3, 1, 3):
        await stack.scale("gateway", number)
        await stack.whole(gateways=number)
        await asyncio.sleep(2)
    return ""


async def _killed(stack: Stack, service: str) -> str:
    [oldest, *_] = await stack.containers(service)
    await docker("kill", oldest)

    async def replaced() -> bool:
        return oldest not in await stack.containers(service)

    await until(replaced, "Swarm replaces it", seconds=180)
    await stack.whole(gateways=3)
    return "until Swarm has another one in its place"


async def _paused(stack: Stack, service: str) -> str:
    """Swarm does not notice: Docker looks at the health of no container that is paused."""
    [oldest, *_] = await stack.containers(service)
    await docker("pause", oldest)
    await asyncio.sleep(_PAUSED_SECONDS)
    await docker("unpause", oldest)
    await stack.whole(gateways=3)
    return "Swarm does not notice"


async def _replaced(stack: Stack, service: str) -> str:
    await stack.update(service, "--force")
    await stack.whole(gateways=3)
    return ""


_TRIALS = [
    _Trial("the gateways get a new image (`docker service update --image`)", _new_image),
    _Trial("and the one before again (`--rollback`)", _image_before),
    _Trial("a version of the model is published", _new_version),
    _Trial("and taken away again", _version_before),
    _Trial("the gateways are scaled from 3 to 1, to 3, to 1 and to 3", _scaled),
    _Trial("a gateway is killed (SIGKILL)", partial(_killed, service="gateway")),
    _Trial("a model server is killed (SIGKILL)", partial(_killed, service="tfserving")),
    _Trial("a gateway is paused: it hangs", partial(_paused, service="gateway")),
    _Trial("a model server is paused: it hangs", partial(_paused, service="tfserving")),
    _Trial("every model server is replaced (`docker service update --force`)", partial(_replaced, service="tfserving")),
    _Trial("every gateway is replaced", partial(_replaced, service="gateway")),
]
