import argparse
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from training import cli
from training.classifier import train
from training.display import Display
from training.manifest import tool_versions
from training.options import ClassifierOptions, PublishOptions
from training.progress import Progress


def _run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    cli.add_commands(parser)
    return cli.run(parser.parse_args(arguments))


def test_building_the_parser_imports_nothing_heavy() -> None:
    script = (
        "import argparse, sys; from training import cli; cli.add_commands(argparse.ArgumentParser());"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"tensorflow", "keras", "numpy", "sklearn", "statsmodels", "matplotlib", "pandas"} & set(loaded)


@pytest.mark.parametrize("family", ["classifier", "forecaster"])
def test_help_names_every_option_with_its_default(family: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        _run(family, "--help")
    assert exit_.value.code == 0
    text = capsys.readouterr().out
    for option in (
        "--data",
        "--models",
        "--name",
        "--seed",
        "--epochs",
        "--tolerance",
        "--force",
        "--resume",
        "--if-missing",
    ):
        assert option in text
    assert text.count("default") >= 6


@pytest.mark.parametrize(
    "arguments",
    [
        ("classifier", "--epochs", "0"),
        ("classifier", "--seed", "-1"),
        ("classifier", "--tolerance", "-0.1"),
        ("classifier", "--tolerance", "nan"),
        ("forecaster", "--window", "0"),
        ("forecaster", "--horizon", "x"),
        ("forecaster", "--preset", "best"),
        ("forecaster", "--delimiter", "::"),
        ("forecaster", "--encoding", "utf-9"),
        ("forecaster", "--fill", "guess"),
        ("classifier", "--max-broken", "-1"),
        ("classifier", "--preset", "huge"),
        ("classifier", "--preset", "small", "--weights", "mobilenetv2.h5"),
        ("classifier", "--architecture", "AlexNet"),
        ("painter",),
        (),
    ],
)
def test_an_impossible_option_is_refused_with_its_name(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        _run(*arguments)
    assert exit_.value.code == cli.BAD_INPUT
    assert "error:" in capsys.readouterr().err


def test_if_missing_does_nothing_when_there_is_a_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "digits" / "4").mkdir(parents=True)
    assert _run("classifier", "--models", str(tmp_path), "--if-missing") == cli.PUBLISHED
    assert capsys.readouterr().out.count("\n") == 1
    assert [path.name for path in (tmp_path / "digits").iterdir()] == ["4"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("classifier", "--data", "nowhere"), "expected one of digits, mnist, fashion-mnist, cifar10, or a folder"),
        (("classifier", "--name", "a/b"), "--name must be"),
        (("classifier", "--weights", "nowhere.h5"), "--weights: expected a file, got 'nowhere.h5'"),
        (
            ("classifier", "--data", "nowhere", "--architecture", "ResNet50"),
            "--architecture: expected --weights with it",
        ),
        (("classifier", "--data", "nowhere", "--sweep-minutes", "5"), "--sweep-minutes: expected --sweep with it"),
        (("forecaster", "--data", "nowhere", "--sweep-minutes", "5"), "--sweep-minutes: expected --sweep with it"),
        (("forecaster", "--data", "nowhere.csv"), "expected one of sunspots, co2, elnino, or a file of columns"),
        (("forecaster", "--column", "x"), "--column, --time-column and how a file is read belong to a file"),
        (("forecaster", "--window", "300"), "need"),
        (("forecaster", "--period", "300"), "--period"),
    ],
)
def test_bad_input_gets_one_sentence_and_no_stack_trace(
    tmp_path: Path, arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(*arguments, "--models", str(tmp_path / "models")) == cli.BAD_INPUT
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_models_folder_that_is_none_is_found_before_anything_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "models").write_text("no folder")
    assert _run("forecaster", "--models", str(tmp_path / "models")) == cli.UNWRITABLE
    output, error = capsys.readouterr()
    assert f"error: --models {tmp_path / 'models'}: expected a folder, got a file" in error
    assert not output


@pytest.mark.parametrize("module", ["rich", "tensorflow", "sklearn"])
def test_a_package_of_the_training_that_is_missing_is_one_sentence(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("training.extras.installed", lambda name: name != module)
    assert _run("classifier", "--models", str(tmp_path)) == cli.BAD_INPUT
    error = capsys.readouterr().err
    assert error.startswith(f"error: {module} is not installed; it comes with the extra training: ")
    assert error.count("\n") == 1


def test_a_release_that_is_of_cpus_alone_is_told_and_none_other_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name in {"tensorflow", "scikit-learn"}:
            raise PackageNotFoundError(name)
        return f"{name} 1"

    monkeypatch.setattr("importlib.metadata.version", version)
    monkeypatch.setattr("training.manifest._TOOLS", ("tensorflow",))
    assert tool_versions()["tensorflow"] == "tensorflow-cpu 1"
    monkeypatch.setattr("training.manifest._TOOLS", ("scikit-learn",))
    with pytest.raises(PackageNotFoundError, match=r"^No package metadata was found for scikit-learn$"):
        tool_versions()


def test_the_pictures_of_a_sweep_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []

    def prepare(options: ClassifierOptions, *_: object) -> str:
        read.append(options.data)
        return "prepared"

    monkeypatch.setattr(train, "prepare", prepare)
    monkeypatch.setattr(train, "train", lambda *given: given)
    parser = argparse.ArgumentParser()
    cli.add_commands(parser)
    arguments = parser.parse_args(["classifier", "--data", "pets"])
    trial = cli._trainer("classifier")
    progress = Progress(Display(Console(quiet=True)))
    place = PublishOptions(Path("models"), "pets", force=False, tolerance=0.0)
    results: list[Any] = [trial(arguments, place, progress) for _ in range(3)]
    assert [given[3] for given in results] == ["prepared"] * 3
    assert read == ["pets"]


@pytest.mark.parametrize(
    ("arguments", "module", "extra"),
    [(("--sweep", "3"), "optuna", "sweep"), (("--mlflow-uri", "file:///tmp/mlruns"), "mlflow", "mlflow")],
)
def test_a_missing_extra_is_named_before_anything_is_done(
    arguments: tuple[str, ...],
    module: str,
    extra: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("training.extras.installed", lambda name: name != module)
    assert _run("classifier", "--models", str(tmp_path), *arguments) == cli.BAD_INPUT
    told = capsys.readouterr().err
    assert f"{arguments[0]}: {module} is not installed" in told
    assert f"pip install '.[{extra}]' in a clone of Tensorgate" in told
    assert not list(tmp_path.iterdir())
