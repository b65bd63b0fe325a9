"""`tensorgate models pull` and `push`: stores without a server of models."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.commands.main import main
from tests.processes import ROOT
from tests.store_servers import FileServer, running
from tests.stores import FILES, write


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FileServer]:
    server = FileServer(tmp_path / "site")
    publish(server, "m", 1)
    with running(server):
        yield server


def publish(server: FileServer, model: str, number: int) -> None:
    write(server.folder / model / str(number))
    assert main(["models", "index", str(server.folder)]) == 0


def test_the_command_pulls_and_says_what_went_wrong(
    server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(server, "other", 7)
    capsys.readouterr()
    to = tmp_path / "to"
    assert main(["models", "pull", server.url, str(to), "--model", "m"]) == 0
    assert capsys.readouterr().out == "m/1\n"
    assert (to / "m" / "1" / "saved_model.pb").read_bytes() == FILES["saved_model.pb"]
    assert not (to / "other").exists()
    assert main(["models", "pull", server.url, str(to)]) == 0
    assert capsys.readouterr().out == "other/7\n"
    assert main(["models", "pull", "http://models.example", str(to)]) == 1
    assert "expected https://, or http:// for this machine alone" in capsys.readouterr().err
    assert main(["models", "push", str(to / "m" / "1"), server.url]) == 1
    assert "takes no files" in capsys.readouterr().err
    server.status = 503
    assert main(["models", "pull", server.url, str(to)]) == 1


def test_the_command_follows_until_it_is_stopped(server: FileServer, tmp_path: Path) -> None:
    to = tmp_path / "to"
    command = [
        sys.executable,
        "-m",
        "service",
        "models",
        "pull",
        server.url,
        str(to),
        "--follow",
        "--poll-seconds",
        "0.1",
    ]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "m/1\n"
            publish(server, "m", 2)
            assert process.stdout.readline() == "m/2\n"
            assert main(["models", "pull", server.url, str(to)]) == 1  # one process a folder
            before = len(server.requests)
            server.status = 503
            while len(server.requests) < before + 3:
                time.sleep(0.01)
            assert process.poll() is None
            assert (to / "m" / "2" / "saved_model.pb").read_bytes() == FILES["saved_model.pb"]
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["pull", "ftp://x", "{}"], "expected a folder, or a URL that begins with s3://"),
        (["pull", "http://127.0.0.1:1", "{}", "--version-policy", "newest"], "expected latest, latest:N, all"),
        (["push", "{}/m/latest", "s3://bucket"], "expected the folder of a version, <model>/<number>"),
        (["push", "{}/m/1", "s3://bucket"], "there is no saved_model.pb in it"),
        (["index", "{}/none"], "No such file or directory"),
        (["push", "{}/model:2/1", "s3://bucket/models"], "'model:2': the name of a model has no slash, colon"),
    ],
)
def test_what_cannot_be_done_is_said(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for model in ("m", "model:2"):
        (tmp_path / model / "1").mkdir(parents=True)
    assert main(["models", *(argument.format(tmp_path) for argument in arguments)]) == 1
    assert words in capsys.readouterr().err
