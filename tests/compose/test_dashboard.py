"""Every query of the dashboard and of the rules has an answer, in a Prometheus that scraped the system under load."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.compose.dashboard import complaints
from tests.compose.system import ComposeSystem
from tests.compose.traffic import Traffic

pytestmark = [pytest.mark.compose, pytest.mark.timeout(2700)]  # the images may be built, and the models trained
_FULL_SECONDS = 180
"""Two scrapes of each series, and an evaluation of each rule after them."""


@contextmanager
def under_load(system: ComposeSystem) -> Iterator[Traffic]:
    """Asks the gateway everything, again and again, while the body runs."""
    stop = threading.Event()
    with Traffic(system.rest, system.grpc) as traffic:
        thread = threading.Thread(target=traffic.until, args=(stop,))
        thread.start()
        try:
            yield traffic
        finally:
            stop.set()
            thread.join()


def test_the_dashboard_fills_and_every_rule_finds_what_it_looks_at(system: ComposeSystem) -> None:
    with under_load(system) as traffic:
        deadline = time.monotonic() + _FULL_SECONDS
        while (missing := complaints(system.prometheus)) and time.monotonic() < deadline:
            time.sleep(5)
    assert not traffic.surprises
    assert not missing, "\n".join(missing)
