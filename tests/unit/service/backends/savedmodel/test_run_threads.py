"""Models run on threads of their own."""

import asyncio
import gc
import logging
import threading

import pytest

from service.backends.savedmodel import run_threads
from service.backends.savedmodel.run_threads import RunThreads
from service.errors import ErrorKind, GatewayError
from tests.conftest import until


class Model:
    """Stands for one."""


async def test_runs_that_were_given_up_keep_no_threads_of_other_models(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_threads, "_WORTH_TELLING_SECONDS", 0.0)
    threads, slow, other, begun, over = RunThreads(2), Model(), Model(), threading.Semaphore(0), threading.Event()

    def work() -> None:
        begun.release()
        over.wait(30)

    left = [asyncio.create_task(threads.run(slow, "slow", work)) for _ in range(3)]
    for _ in range(2):
        await asyncio.to_thread(begun.acquire)
    for task in left:
        task.cancel()
    await asyncio.wait(left)
    assert await threads.run(other, "other", lambda: 7) == 7
    with pytest.raises(GatewayError, match="2 runs of model 'slow'") as caught:
        await threads.run(slow, "slow", lambda: 7)
    assert caught.value.kind is ErrorKind.OVERLOADED
    over.set()
    with caplog.at_level(logging.WARNING):
        await until(lambda: caplog.text.count("a run of model slow went on") == 2)
    assert await threads.run(slow, "slow", lambda: 7) == 7
    assert not begun.acquire(blocking=False)  # the third, which had not begun, never does
    threads.close()


async def test_threads_end_with_their_model() -> None:
    threads, model = RunThreads(2), Model()
    own = await threads.run(model, "m", threading.current_thread)
    assert own is not threading.current_thread()
    assert own.is_alive()
    del model
    gc.collect()
    await until(lambda: not own.is_alive())
