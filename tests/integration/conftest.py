"""A receiver of traces that servers of this process send theirs to, and who signs the certificates of servers."""

import shutil
from collections.abc import Iterator

import pytest

from tests.certificates import Authority
from tests.otlp import Receiver, receiving_grpc


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving_grpc() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
        yield receiver


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make certificates with")
    return Authority(tmp_path_factory.mktemp("authority"))
