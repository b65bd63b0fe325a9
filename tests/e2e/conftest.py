"""What a new user has after ``make run``, by the names that the tests here use."""

from pathlib import Path

import pytest

from tests.processes import ServerProcess


@pytest.fixture(scope="session")
def models(default_models: Path) -> Path:
    return default_models


@pytest.fixture(scope="session")
def server(default_server: ServerProcess) -> ServerProcess:
    return default_server
