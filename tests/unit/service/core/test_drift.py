"""What is looked at, what is forgotten, and that neither memory nor errors grow."""

import asyncio
import gc
import logging
import tracemalloc
import weakref
from typing import Any

import numpy as np
import pytest

from service.core.drift import Drift, DriftMonitor
from service.core.drift_measures import Verdict
from service.core.model_version import ModelVersion
from service.core.request import InferenceRequest
from tests.drift import version_of

MEANS: dict[str, Any] = {"histograms": [{"statistic": "mean", "edges": [1.0, 2.0, 3.0], "counts": [50, 50, 50, 50]}]}


class Watch:
    """A monitor whose clock stands still until it is moved, and a version that it watches."""

    def __init__(self, reference: dict[str, Any] = MEANS, shape: tuple[int, ...] = (2,), **options: float) -> None:
        self.now = 0.0
        self.version = version_of(shape, reference)
        self.monitor = DriftMonitor(**{"share": 1.0, "half_life": 100.0} | options, clock=lambda: self.now)

    async def ask(self, rows: Any) -> None:
        tensor = np.asarray(rows, np.float32)
        signature = self.version.signatures["serving_default"]
        self.monitor.observe(InferenceRequest(self.version, signature, {"x": tensor}, len(tensor)), {})
        await asyncio.sleep(0)

    @property
    def counts(self) -> list[float]:
        """The rows in each bin of the one histogram."""
        self.report()
        found: list[float] = self.window.counts[0][0].tolist()
        return found

    @property
    def window(self) -> Any:
        assert self.version.reference is not None
        [window] = self.monitor._windows[self.version.reference].values()
        return window

    def report(self) -> list[Drift]:
        return self.monitor.report(self.version)

    @property
    def rows(self) -> float:
        return self.report()[0].rows


async def test_what_looks_as_it_did_has_not_drifted_and_what_does_not_has() -> None:
    watch = Watch()
    assert watch.report()[0].distance is None
    assert watch.report()[0].verdict is Verdict.TOO_FEW_ROWS
    for _ in range(60):
        await watch.ask([[value, value] for value in (0.5, 1.5, 2.5, 3.5)])
    [stable] = watch.report()
    assert (stable.reference_rows, stable.rows, stable.verdict) == (200, 240, Verdict.STABLE)
    for _ in range(60):
        await watch.ask([[9.0, 9.0]] * 4)
    assert watch.report()[0].verdict is Verdict.DRIFTED


async def test_rows_count_half_after_a_half_life_and_an_old_day_is_forgotten() -> None:
    watch = Watch()
    await watch.ask([[1.5, 1.5]] * 8)
    assert watch.rows == 8
    watch.now = 100
    assert watch.rows == pytest.approx(4)
    await watch.ask([[1.5, 1.5]] * 8)
    watch.now = 200
    assert watch.rows == pytest.approx(6)
    watch.now = 1e6
    assert watch.rows == 0
    assert watch.report()[0].distance is None


async def test_a_burst_after_a_quiet_day_is_noticed() -> None:
    watch = Watch()
    for hour in range(24):
        watch.now = hour * 50
        for _ in range(4):
            await watch.ask([[value, value] for value in (0.5, 1.5, 2.5, 3.5)] * 8)
    assert watch.report()[0].verdict is Verdict.STABLE
    for _ in range(20):
        await watch.ask([[9.0, 9.0]] * 32)
    assert watch.report()[0].verdict is Verdict.DRIFTED


async def test_a_share_of_the_requests_is_looked_at_and_few_requests_all() -> None:
    watch = Watch(share=0.05, half_life=1e9)
    for _ in range(10_000):
        await watch.ask([[1.5, 1.5]])
    assert 350 < watch.rows < 650
    seldom = Watch(share=1e-9, half_life=1e9)
    for second in range(50):
        seldom.now = second
        await seldom.ask([[1.5, 1.5]])
        await seldom.ask([[1.5, 1.5]])
    assert seldom.rows == pytest.approx(50, abs=0.01)


async def test_without_a_share_nothing_is_looked_at() -> None:
    watch = Watch(share=0)
    await watch.ask([[1.5, 1.5]])
    assert watch.report() == []


async def test_other_signatures_and_other_versions_are_left_alone() -> None:
    watch = Watch()
    other = version_of((2,), MEANS).signatures["serving_default"]
    object.__setattr__(other, "name", "other")
    watch.monitor.observe(InferenceRequest(watch.version, other, {"x": np.ones((1, 2), np.float32)}, 1), {})
    assert watch.rows == 0
    assert watch.monitor.report(ModelVersion("m", 2, watch.version.state)) == []


async def test_a_request_is_counted_once_the_event_loop_has_time_and_many_together() -> None:
    watch = Watch()
    asked = asyncio.create_task(watch.ask([[1.5, 1.5]]))
    asyncio.get_running_loop().call_soon(lambda: before.append(sum(watch.window.counts[0][0])))
    before: list[float] = []
    await asked
    assert before == [0]
    for expected in [1] * 32 + [33]:
        assert sum(watch.window.counts[0][0]) == expected
        await watch.ask([[1.5, 1.5]])


@pytest.mark.parametrize(
    ("statistic", "row", "expected"),
    [
        ("mean", [0.5, 1.9], [0, 1, 0, 0]),
        ("deviation", [0.0, 4.2], [0, 0, 1, 0]),
        ("largest", [0.0, 7.0], [0, 0, 0, 1]),
        ("values", [0.0, 2.0], [0.5, 0, 0.5, 0]),
        ("changes", [2.0, 3.0], [0, 1, 0, 0]),
        ("mean", [np.nan, 0.0], [0, 0, 0, 1]),
        ("mean", [-np.inf, 0.0], [1, 0, 0, 0]),
        ("deviation", [np.inf, 0.0], [0, 0, 0, 1]),
    ],
)
async def test_statistics(statistic: str, row: list[float], expected: list[float]) -> None:
    watch = Watch({"histograms": [{**MEANS["histograms"][0], "statistic": statistic}]})
    await watch.ask([row])
    assert watch.rows == 1
    assert watch.counts == pytest.approx(expected)


async def test_classes_are_counted() -> None:
    watch = Watch({"histograms": [{"statistic": "argmax", "counts": [5, 5, 5]}]}, shape=(3,))
    await watch.ask([[0.1, 0.8, 0.1], [0.1, 0.2, 0.7], [0, 0, 1]])
    assert watch.counts == [0, 1, 2]


async def test_columns_are_scaled_each_for_itself() -> None:
    scale = {"power": [0.5, 1.0], "mean": [1.0, 100.0], "deviation": [2.0, 50.0]}
    watch = Watch({**MEANS, "scale": scale}, shape=(1, 2))
    await watch.ask([[[49.0, 100.0]], [[-4.0, 350.0]]])  # (7 - 1) / 2 and 0; (0 - 1) / 2 and 5
    assert watch.counts == [0, 1, 1, 0]


async def test_a_large_row_is_looked_at_here_and_there_in_all_its_channels() -> None:
    watch = Watch(shape=(None, None, 3))  # type: ignore[arg-type]
    image = np.zeros((1, 512, 512, 3), np.float32)
    image[..., 2] = 4.5  # the mean is 1.5 if all three are seen
    await watch.ask(image)
    assert sum(tensor.size for tensor in watch.window._kept[0]) < 10_000
    assert watch.report()[0].rows == 1
    assert watch.counts == [0, 1, 0, 0]


async def test_a_row_that_is_too_long_to_be_looked_at_as_a_whole_is_left_out() -> None:
    histogram = {**MEANS["histograms"][0], "statistic": "largest"}
    watch = Watch({"histograms": [histogram]}, shape=(None,))  # type: ignore[arg-type]
    await watch.ask(np.ones((1, 2**18 + 1)))
    assert watch.rows == 0
    await watch.ask(np.ones((1, 2**18)))
    assert watch.rows == 1


async def test_of_a_long_request_rows_all_over_it_are_looked_at() -> None:
    watch = Watch()
    await watch.ask([[value, value] for value in (0.5, 1.5, 2.5, 3.5) for _ in range(1000)])
    assert watch.rows == 32
    assert watch.counts == [8, 8, 8, 8]


async def test_memory_does_not_grow_with_what_comes() -> None:
    watch = Watch(shape=(None,))  # type: ignore[arg-type]
    random = np.random.default_rng(0)

    async def ask(requests: int) -> None:
        for _ in range(requests):
            watch.now += 0.01
            await watch.ask(random.random((random.integers(1, 9), random.integers(1, 99)), np.float32))
            await asyncio.sleep(0)

    await ask(200)
    tracemalloc.start()
    try:
        await ask(200)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        await ask(5000)
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < 100_000
    finally:
        tracemalloc.stop()


async def test_what_is_kept_of_a_request_does_not_keep_the_request() -> None:
    watch = Watch()
    whole: Any = np.ones((1000, 2), np.float32)
    await watch.ask(whole)
    gone = weakref.ref(whole)
    del whole
    gc.collect()
    assert gone() is None


async def test_windows_go_with_their_version() -> None:
    watch = Watch()
    await watch.ask([[1.5, 1.5]])
    assert len(watch.monitor._windows) == 1
    watch.version = version_of((2,), MEANS)
    gc.collect()
    assert len(watch.monitor._windows) == 0


async def test_what_a_reference_does_not_foresee_is_told_once_and_harms_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    watch = Watch({**MEANS, "scale": {"power": [1.0, 1.0], "mean": [0.0, 0.0], "deviation": [1.0, 1.0]}}, shape=(2,))
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            await watch.ask([[1.0, 2.0, 3.0]])  # of another width, as a graph may take it
            assert watch.rows == 0
    assert len(caplog.records) == 1
    assert "m 1, serving_default" in caplog.text
