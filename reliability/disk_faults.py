"""The disk is full; the models folder is not there any more; the clock is set back."""

import asyncio
import email.utils
import shutil
import struct
import time
from pathlib import Path

import httpx

from reliability import surroundings
from reliability.asking import MODEL
from reliability.findings import Finding
from reliability.options import Work
from reliability.servers import Server, starter, until

_BYTES = 256 * 1024
"""Of the disk that is full."""
_SET_BACK = -3600
_POLL = ("--poll-seconds", 0.2, "--log-level", "warning")
_SHIM = Path(__file__).with_name("clock.c")


async def run(work: Work) -> list[Finding]:
    """Runs it; returns a line for each."""
    return await surroundings.run_all(
        work, {"disk full": _disk, "models folder unmounted": _folder, "clock set back": _clock}
    )


async def _disk(work: Work) -> Finding:
    disk = work.folder / "disk"
    async with (
        surroundings.mounted(disk, "-t", "tmpfs", "-o", f"size={_BYTES}", "tmpfs"),
        starter(work.folder, work.models) as start,
    ):
        server = await start.tensorgate("server", "--request-log", disk / "log", "--log-level", "warning")
        await server.started()

        async def written() -> float:
            return await server.metric("tensorgate_request_log_written_total")

        async def dropped() -> float:
            return await server.metric("tensorgate_request_log_dropped_total", 'reason="disk"')

        async with surroundings.asked(server) as outcomes:
            await until(written, "requests are recorded")
            filler = disk / "filler"
            await asyncio.to_thread(_fill, filler)
            await until(dropped, "requests are not recorded")
            await asyncio.sleep(surroundings.dwell(work))
            ready, missing = await server.ready(), await dropped()
            filler.unlink()
            before = await written()

            async def goes_on() -> bool:
                return await written() > before

            await until(goes_on, "requests are recorded again")
    state = f'ready, {missing:.0f} in tensorgate_request_log_dropped_total{{reason="disk"}}; recorded again with room'
    return surroundings.finding("the disk of the request log is full", state, outcomes, holds=ready and missing > 0)


def _fill(file: Path) -> None:
    with file.open("wb", buffering=0) as filling:
        try:
            while True:
                filling.write(bytes(1024))
        except OSError:
            return


async def _folder(work: Work) -> Finding:
    models, place = work.folder / "models", work.folder / "mounted"
    shutil.copytree(work.models, models)
    async with surroundings.mounted(place, "--bind", models), starter(work.folder, place) as start:
        server = await start.tensorgate("server", *_POLL)
        await server.started()
        async with surroundings.asked(server) as outcomes:
            await surroundings.command("umount", "--lazy", place)
            await until(lambda: server.said(str(place)), "the log says that the folder cannot be read", seconds=10)
            await asyncio.sleep(surroundings.dwell(work))
            ready = await server.ready() and await server.metric("tensorgate_models_unserved") > 0
            await surroundings.command("mount", "--bind", models, place)
            await _publish(models, server)
    state = (
        "ready; the log, /readyz and tensorgate_models_unserved tell of the folder; a version that came meanwhile is"
    )
    state += " served once it is back"
    return surroundings.finding("the models folder is unmounted", state, outcomes, holds=ready)


async def _publish(models: Path, server: Server) -> None:
    partial = models / MODEL / ".2.partial"
    await asyncio.to_thread(shutil.copytree, models / MODEL / "1", partial)
    partial.rename(models / MODEL / "2")

    async def is_served() -> bool:
        samples = await server.metrics("tensorgate_model_state")
        return any('version="2"' in each and "AVAILABLE" in each and value for each, value in samples.items())

    await until(is_served, "the new version is served")


async def _clock(work: Work) -> Finding:
    library, offset = work.folder / "clock.so", work.folder / "offset"
    await surroundings.command("cc", "-shared", "-fPIC", "-O1", "-o", library, _SHIM)
    offset.write_bytes(struct.pack("=q", 0))
    models = work.folder / "models"
    shutil.copytree(work.models, models)
    async with starter(work.folder, models) as start:
        before = ["env", f"LD_PRELOAD={library}", f"CLOCK_OFFSET_FILE={offset}"]
        server = await start.tensorgate("server", *_POLL, before=before)
        await server.started()
        async with surroundings.asked(server) as outcomes:
            await asyncio.sleep(1)
            with offset.open("r+b") as file:
                file.write(struct.pack("=q", _SET_BACK))
            await asyncio.sleep(surroundings.dwell(work))
            behind = await _behind(server)
            ready = await server.ready()
            await _publish(models, server)
            seconds = await server.metrics("tensorgate_request_duration_seconds_sum")
    sane = all(0 <= value < len(outcomes.answers) for value in seconds.values())
    state = f"ready; its clock was {behind:.0f} s behind; no time of a request is negative; a new version is served"
    holds = ready and sane and abs(behind + _SET_BACK) < 60
    return surroundings.finding("the clock is set back by an hour", state, outcomes, holds=holds)


async def _behind(server: Server) -> float:
    """Returns by how many seconds the clock of a server is behind this one."""
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"http://{server.rest}/livez")
    return time.time() - email.utils.parsedate_to_datetime(answer.headers["date"]).timestamp()
