"""The variables of the Compose files: settings hold what the server takes, and nothing else has the name of one."""

import re

import pytest

from service.app.settings import PREFIX, Settings, load
from tests.processes import ROOT

FILES = ["docker-compose.yml", "docker-compose.local.yml"]
SETTINGS = {PREFIX + name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize("file", FILES)
def test_settings_of_containers_are_what_the_server_takes(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / file).read_text("utf-8")
    given = dict(re.findall(rf'^ +({PREFIX}\w+): "?(.+?)"?$', text, re.MULTILINE))
    assert given
    monkeypatch.setenv("TENSORGATE_HOST", "0.0.0.0")  # which is in the image
    for name, value in given.items():
        monkeypatch.setenv(name, re.sub(r"\$\{\w+:-(.*)\}", r"\1", value))
    load({})


def test_what_compose_reads_has_no_name_of_a_setting() -> None:
    # A variable of the shell that one of the two reads would mean something else to the other.
    texts = [(ROOT / file).read_text("utf-8") for file in FILES]
    read = {name for text in texts for name in re.findall(r"(?<!\$)\$\{(\w+)", text)}
    given = set(re.findall(r"^(\w+)=", (ROOT / ".env").read_text("utf-8"), re.MULTILINE))
    assert "PUBLISHED_REST_PORT" in read & given
    assert not (read | given) & SETTINGS
