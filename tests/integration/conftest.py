"""What several files have in common: models, a receiver of traces, who signs certificates, the page in a browser."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browser import running_browser
from tests.certificates import Authority
from tests.otlp import Receiver, receiving_grpc
from tests.page import opened
from tests.processes import ServerProcess, server_process


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


@pytest.fixture(scope="module")
def others() -> Iterator[ServerProcess]:
    """Serves models of which none is a default one."""
    with server_process("--backend", "tests.documented:DocumentedBackend") as server:
        server.announcement()
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with opened(browser) as page:
        yield page


@pytest.fixture(scope="session")
def saved_steps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version to copy: a forecaster."""
    from tests import savedmodels  # imports tensorflow

    return savedmodels.save_steps(tmp_path_factory.mktemp("saved") / "1")


@pytest.fixture
def four_models(tmp_path: Path, saved_steps: Path) -> Path:
    """A folder with the models a, b, c and d, which are alike."""
    for name in "abcd":
        shutil.copytree(saved_steps, tmp_path / "models" / name / "1")
    return tmp_path / "models"
