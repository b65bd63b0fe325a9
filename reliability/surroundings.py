"""What a server stands on fails: its disk, its models folder, its clock, its names, its replicas' certificates."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from reliability.asking import DEADLINE, client
from reliability.findings import Finding
from reliability.load import Outcomes, steady
from reliability.options import Work
from reliability.servers import Server, run

RATE = 20.0
"""Requests a second."""
_FULL_SECONDS = 20.0


class NotHereError(Exception):
    """It cannot be tried on this machine; the message says why."""


def dwell(work: Work) -> float:
    """Returns for how many seconds something stays broken."""
    return work.seconds(_FULL_SECONDS, least=2)


async def run_all(work: Work, checks: Mapping[str, Callable[[Work], Awaitable[Finding]]]) -> list[Finding]:
    """Runs some, one after the other, each in a folder of its own; returns a line for each."""
    found = []
    for name, check in checks.items():
        folder = work.folder / name.replace(" ", "-")
        folder.mkdir()
        try:
            found.append(await check(Work(folder, work.models, work.share)))
        except NotHereError as error:
            found.append(Finding(name, "", str(error), holds=None))
    return found


@asynccontextmanager
async def asked(server: Server) -> AsyncIterator[Outcomes]:
    """Asks a server while the body runs."""
    async with (
        client(server.rest, server.grpc) as asking,
        steady(asking.ask, rate=RATE, deadline=DEADLINE) as outcomes,
    ):
        yield outcomes


def finding(what: str, state: str, outcomes: Outcomes, *, holds: bool) -> Finding:
    """Returns a line.

    Args:
        what: Was broken.
        state: What was seen of it.
        outcomes: Of the requests meanwhile.
        holds: Whether that was what is to be seen.
    """
    failures = outcomes.failures()
    more = "".join(f" ({count} {code})" for code, count in failures.most_common(2))
    return Finding(
        what,
        "what is loaded is served on; the state says what is wrong",
        f"{len(outcomes.answers):,} requests, {failures.total()} failed{more}; {state}",
        holds and not failures,
    )


async def command(*arguments: object) -> None:
    """Runs a command.

    Raises:
        NotHereError: When there is none of that name, or it fails.
    """
    words = [str(argument) for argument in arguments]
    try:
        done = await run(*words)
    except OSError as error:
        raise NotHereError(f"no {words[0]} here: {error.strerror}") from None
    if done.returncode:
        raise NotHereError(f"{words[0]}: {done.stderr.strip()[-200:]}")


@asynccontextmanager
async def mounted(place: Path, *options: object) -> AsyncIterator[None]:
    """Mounts something in a folder while the body runs.

    Raises:
        NotHereError: When this user may not.
    """
    await command("mkdir", "-p", place)
    await command("mount", *options, place)
    try:
        yield
    finally:
        await run("umount", "--lazy", str(place))
