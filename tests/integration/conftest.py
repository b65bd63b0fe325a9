"""A receiver of traces that servers of this process send theirs to."""

from collections.abc import Iterator

import pytest

from tests.otlp import Receiver, receiving_grpc


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving_grpc() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
        yield receiver
