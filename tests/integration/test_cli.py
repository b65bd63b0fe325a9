"""The command line: help, questions to a running server, and what it says when they cannot be asked."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from service.app.settings import Settings
from tests.processes import ROOT, ServerProcess, free_port, server_process


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with server_process("--backend", "tests.fakes:FakeBackend", "--allow-model-control") as server:
        server.announcement()
        yield server


def tensorgate(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "service", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "200"} | environment,
        timeout=60,
        check=False,
    )


def ask(server: ServerProcess, *arguments: object) -> str:
    done = tensorgate(*arguments, TENSORGATE_ADDRESS=server.grpc)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture
def image(tmp_path: Path) -> Path:
    file = tmp_path / "dark.png"
    Image.new("L", (5, 5)).save(file)
    return file


@pytest.fixture
def table(tmp_path: Path) -> Path:
    file = tmp_path / "values.csv"
    file.write_text("year,low,high\n" + "".join(f"{2000 + year},{year},{year * 10}\n" for year in range(7)))
    (tmp_path / "pair.csv").write_text("year,high\n" + "".join(f"{2000 + year},{year * 10}\n" for year in range(7)))
    return file


def test_help_documents_every_setting() -> None:
    text = " ".join(tensorgate("serve", "--help").stdout.split())
    for name, field in Settings.model_fields.items():
        assert f"--{name.replace('_', '-')}" in text
        assert f"TENSORGATE_{name.upper()}" in text
        assert " ".join(str(field.description).split())[:40] in text


def test_help_lists_the_commands_and_loads_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "service", "--help"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    for command in ("train", "serve", "models", "label", "classify", "forecast", "replay"):
        assert command in done.stdout
    for module in ("tensorflow", "numpy", "grpc", "pydantic"):
        assert f" {module}\n" not in done.stderr


def test_models_are_listed(server: ServerProcess) -> None:
    text = ask(server, "models")
    for words in ("shades", "image_classifier", "4 x 4 x 1 pixels, files", "3 classes", "half of it is missing"):
        assert words in text
    assert "6 steps" in text
    assert "x float32" in text
    assert "y float32" in text
    names = [model["name"] for model in json.loads(ask(server, "models", "--json"))["models"]]
    assert names == ["double", "shades", "steps"]


def test_images_are_classified(server: ServerProcess, image: Path) -> None:
    text = ask(server, "classify", image, image, "--top-k", 1)
    assert text.count(str(image)) == 2
    assert "dark" in text
    answer = json.loads(ask(server, "classify", image, "--json"))
    assert answer["results"][0]["classes"][0]["label"] == "dark"


def test_a_label_is_put_on_shown_asked_for_and_taken_away(server: ServerProcess, image: Path, table: Path) -> None:
    text = ask(server, "label", "shades", "stable", 1)
    assert re.search(r"shades +\W +1 +\W +stable +\W +AVAILABLE", text)
    assert "steps" not in text
    assert "stable" in ask(server, "models")
    assert json.loads(ask(server, "classify", image, "--model-label", "stable", "--json"))["version"] == "1"
    assert json.loads(ask(server, "label", "shades", "stable", 2, "--json"))["model"]["labels"] == {"stable": "2"}
    ask(server, "label", "steps", "stable", 7)
    assert "+3" in ask(server, "forecast", table.with_name("pair.csv"), "--model-label", "stable")
    for model in ("shades", "steps"):
        assert "stable" not in ask(server, "label", model, "stable", "--remove")


def test_a_label_is_shared_by_versions(server: ServerProcess) -> None:
    text = ask(server, "label", "shades", "beta", "1=95", "2:5")
    assert "beta 95 %" in text
    assert "beta 5 %" in text
    answer = json.loads(ask(server, "label", "shades", "beta", "1=3", "2=1", "--json"))
    assert answer["model"]["splits"] == {"beta": {"weights": {"1": 3, "2": 1}}}
    assert "beta" not in ask(server, "label", "shades", "beta", "--remove")
    assert "there is no rollout of shades" in ask(server, "rollout", "status", "shades")
    assert "shades has no shadow" in ask(server, "shadow", "shades")


def test_a_series_is_forecast(server: ServerProcess, table: Path) -> None:
    text = ask(server, "forecast", table.with_name("pair.csv"))
    assert "+3" in text
    assert re.search(r"\+3 +\W +63 ", text)
    assert "10.0%" in text
    answer = json.loads(ask(server, "forecast", table, "--column", "low", "--horizon", 1, "--json"))
    assert answer["forecasts"][0]["values"] == [7.0]


def test_a_series_is_read_as_training_reads_it(server: ServerProcess, tmp_path: Path) -> None:
    file = tmp_path / "werte.csv"
    rows = "".join(f"{day:02}.01.2024;{1000 * day},5\n" for day in reversed(range(1, 15)))
    file.write_text("Tag;Höhe\n" + rows, encoding="cp1252")
    done = tensorgate("forecast", file, "--json", TENSORGATE_ADDRESS=server.grpc)
    assert json.loads(done.stdout)["forecasts"][0]["values"][0] == 14001.5
    for note in ("read as Windows-1252", "separated by semicolons", "'14000,5' is read as 14000.5", "newest first"):
        assert f"{file}: " in done.stderr
        assert note in done.stderr
    refused = tensorgate("forecast", file, "--time-column", "none", "--decimal", ".", TENSORGATE_ADDRESS=server.grpc)
    assert refused.returncode == 1
    assert f"tensorgate: {file}, line 2, column 'Höhe': expected a finite number, got '14000,5'" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["classify", "/nonexistent.png"], "/nonexistent.png cannot be read"),
        (["classify", "README.md"], "images[0].encoded: expected a PNG, JPEG, GIF or BMP file"),
        (["classify", "README.md", "--model", "steps"], "expected an image classifier"),
        (["classify", "README.md", "--model", "nope"], "one of the models served"),
        (["classify", "README.md", "--model-version", "9" * 30], "range"),
        (["classify", "{image}", "--model-label", "nope"], "label: expected one of the labels of 'shades': none"),
        (["label", "nope", "stable", "1"], "one of the models served"),
        (["label", "shades", "stable", "3"], "FAILED_PRECONDITION"),
        (["label", "shades", "1", "1"], "label: expected a label of one character or more"),
        (["label", "shades", "stable", "9" * 30], "range"),
        (["label", "shades", "stable", "--remove"], "label: expected one of the labels"),
        (["classify", "README.md", "--top-k", "9" * 12], "range"),
        (["forecast", "{table}", "--column", "low", "--horizon", "9" * 12], "range"),
        (["forecast", "{table}", "--column", "nope"], "has no column 'nope'; it has 'year', 'low', 'high'"),
        (["forecast", "{table}"], "give --column: {table} has the columns year, low, high"),
        (["forecast", "{table}", "--column", "low", "--column", "high"], "series[0]: expected steps of 1 values"),
        (["forecast", "{table}", "--column", "low", "--horizon", "9"], "horizon: expected at most 3 steps"),
        (["forecast", "{words}"], "line 2, column 'value': expected a finite number, got 'x'"),
        (["forecast", "{empty}"], "expected a line of column names"),
        (["forecast", "{short}"], "series[0]: expected at least 6 steps"),
    ],
)
def test_a_question_that_fails_says_why(
    server: ServerProcess, table: Path, image: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    files = {"table": table, "image": image}
    for name, text in {"words": "value\nx\n", "empty": "", "short": "value\n1\n"}.items():
        files[name] = tmp_path / f"{name}.csv"
        files[name].write_text(text)
    done = tensorgate(*(argument.format(**files) for argument in arguments), "--address", server.grpc)
    assert (done.returncode, done.stdout) == (1, "")
    assert words.format(**files) in done.stderr
    assert "Traceback" not in done.stderr


def test_names_are_printed_as_they_are(server: ServerProcess, image: Path) -> None:
    odd = image.rename(image.with_name("[bold]x[red].png"))
    assert "[bold]x[red].png" in ask(server, "classify", odd)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this machine")
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_output_that_cannot_be_written_is_reported(server: ServerProcess, options: list[str]) -> None:
    command = [sys.executable, "-m", "service", "models", "--address", server.grpc, *options]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False)
    assert done.returncode == 1
    assert done.stderr == "tensorgate: the output could not be written: No space left on device\n"


def test_without_a_server_it_says_so(image: Path) -> None:
    done = tensorgate("classify", image, "--address", f"127.0.0.1:{free_port()}", "--timeout", 5)
    assert done.returncode == 1
    assert "no server answers at" in done.stderr


def test_a_misspelt_flag_is_answered_with_the_nearest() -> None:
    done = tensorgate("serve", "--rest-prot=1")
    assert done.returncode == 2
    assert "unrecognized arguments: --rest-prot=1; the nearest: --rest-port" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nope"],
        ["serve", "--nope"],
        ["classify"],
        ["classify", "x.png", "--model-version", "1", "--model-label", "stable"],
        ["label", "shades"],
        ["label", "shades", "stable"],
        ["label", "shades", "stable", "one"],
        ["label", "shades", "stable", "1", "2"],
        ["label", "shades", "stable", "1=5", "2"],
        ["rollout", "start", "shades", "--canary", "2"],
        ["label", "shades", "stable", "1", "--remove"],
    ],
)
def test_wrong_usage_ends_with_status_two(arguments: list[str]) -> None:
    done = tensorgate(*arguments)
    assert done.returncode == 2
    assert "usage: tensorgate" in done.stderr


@pytest.fixture(scope="module")
def watched() -> Iterator[ServerProcess]:
    with server_process("--backend", "tests.drift:WatchedBackend") as server:
        server.announcement()
        yield server


def test_drift_is_a_table_or_json(watched: ServerProcess) -> None:
    table = ask(watched, "drift", "shades")
    for word in ("Statistic", "Reference rows", "Rows seen", "images (input)", "argmax", "1000", "too few rows"):
        assert word in table
    answer = json.loads(ask(watched, "drift", "shades", "--model-version", "1", "--json"))
    assert (answer["version"], answer["watched"], len(answer["statistics"])) == ("1", True, 6)


def test_drift_says_what_is_not_watched_and_what_is_not_there(watched: ServerProcess) -> None:
    assert "version 1 of double is not watched for drift: it has no" in ask(watched, "drift", "double")
    assert not json.loads(ask(watched, "drift", "double", "--json")).get("watched")
    done = tensorgate("drift", "none", TENSORGATE_ADDRESS=watched.grpc)
    assert done.returncode == 1
    assert "NOT_FOUND" in done.stderr
