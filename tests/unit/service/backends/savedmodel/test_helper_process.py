"""A real helper process: what it answers, how it is watched, and how it ends. It loads no TensorFlow until told to."""

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.backends.savedmodel.helper_process import HelperProcess
from service.errors import RunEndedError

SILENCE = 3.0


@pytest.fixture
def process() -> Iterator[HelperProcess]:
    process = HelperProcess(1)
    try:
        yield process
    finally:
        process.close()


def asked_for_nothing(process: HelperProcess) -> None:
    """Asks for something that it does not have, so that it answers without TensorFlow."""
    with pytest.raises(RuntimeError, match=r"helper process: Traceback[\s\S]*KeyError: 7"):
        process.ask("drop", model=7)


def stop(process: HelperProcess) -> None:
    """Stops all its threads."""
    os.kill(process.number, signal.SIGSTOP)
    os.waitid(os.P_PID, process.number, os.WSTOPPED | os.WNOWAIT)


def test_what_goes_wrong_there_is_told_here_and_ends_nothing(process: HelperProcess) -> None:
    asked_for_nothing(process)
    asked_for_nothing(process)
    assert not process.ended


def test_one_that_has_ended_answers_nobody_and_nothing_of_it_is_left(process: HelperProcess) -> None:
    asked_for_nothing(process)
    open_files = len(list(Path("/proc/self/fd").iterdir()))
    process.kill()
    for _ in range(5):  # more than it has connections
        with pytest.raises(RunEndedError):
            process.ask("drop", model=7)
    assert process.ended
    assert process.close() == "SIGKILL"
    assert not Path(f"/proc/{process.number}").exists()
    assert len(list(Path("/proc/self/fd").iterdir())) < open_files


def test_who_waits_for_an_answer_is_told_that_it_ended(process: HelperProcess) -> None:
    asked_for_nothing(process)
    stop(process)
    outcomes: list[str] = []

    def ask() -> None:
        try:
            process.ask("drop", model=7)
        except RunEndedError:
            outcomes.append("ended")

    asking = [threading.Thread(target=ask) for _ in range(8)]
    for thread in asking:
        thread.start()
    process.close()
    for thread in asking:
        thread.join(10)
    assert outcomes == ["ended"] * 8


async def test_it_gives_signs_of_life_until_it_ends(process: HelperProcess) -> None:
    watching = asyncio.create_task(process.watch(60))
    await asyncio.to_thread(asked_for_nothing, process)
    assert not watching.done()
    process.kill()
    assert await asyncio.wait_for(watching, 10) is False


async def test_one_that_hangs_is_ended(process: HelperProcess) -> None:
    await asyncio.to_thread(asked_for_nothing, process)
    stop(process)
    assert await asyncio.wait_for(process.watch(SILENCE), 30) is True
    assert process.close() == "SIGKILL"


def test_it_ends_with_who_started_it_and_for_no_signal_before() -> None:
    process = HelperProcess(1)
    asked_for_nothing(process)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(process.number, number)
    asked_for_nothing(process)
    process._control.close()  # all that a server which is killed does
    assert process._process.wait(10) == 0
    process.close()
