"""Layouts that are nearly right, and what is said of them."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from service.backends.savedmodel.folder import find_versions
from tests.version_folders import empty_version


def _file(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"content")


WRONG: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "no version folder": (
        lambda models: empty_version(models / "sales"),
        "sales",
        "sales is a version, not a model: move what is in it to sales/1",
    ),
    "one level too high": (
        lambda models: empty_version(models / "1"),
        "1",
        "this is a version, not a model: the folder above 1 is a model's; serve the one above that",
    ),
    "two levels too high": (
        lambda models: _file(models / "saved_model.pb"),
        "saved_model.pb",
        "saved_model.pb lies in the models folder itself: move all of its folder to NAME/1",
    ),
    "one level too deep": (
        lambda models: empty_version(models / "sales" / "2" / "export"),
        "sales",
        "sales/2/export lies one folder too deep: move what is in it to sales/2",
    ),
    "a version that is no number": (
        lambda models: empty_version(models / "sales" / "v1"),
        "sales",
        "sales/v1 has no number for a name: rename it, such as sales/1",
    ),
    "a Keras file in a version": (
        lambda models: _file(models / "pets" / "1" / "pets.keras"),
        "pets",
        "pets/1/pets.keras is no SavedModel: export it, model.export('pets/1')",
    ),
    "a Keras file in a model": (
        lambda models: _file(models / "pets" / "pets.h5"),
        "pets",
        "pets/pets.h5 is no SavedModel: export it, model.export('pets/1')",
    ),
    "a Keras file": (
        lambda models: _file(models / "pets.keras"),
        "pets.keras",
        "pets.keras is no SavedModel: export it, model.export('pets/1')",
    ),
    "an empty version": (
        lambda models: (models / "sales" / "3").mkdir(parents=True),
        "sales",
        "sales/3 holds nothing, and so no saved_model.pb: publish a SavedModel there",
    ),
    "a version of something else": (
        lambda models: _file(models / "sales" / "3" / "readme.txt"),
        "sales",
        "sales/3 holds no saved_model.pb: publish a SavedModel there",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_each_has_its_cure(case: str, tmp_path: Path) -> None:
    make, name, cure = WRONG[case]
    empty_version(tmp_path / "good" / "1")
    make(tmp_path)
    scan = find_versions(tmp_path)
    assert scan.misplaced == {name: cure}
    assert list(scan.versions) == [("good", 1)]


def test_names_that_are_not_utf8_can_be_told(tmp_path: Path) -> None:
    (tmp_path / "pets").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path / "pets") + b"/\xfe.h5")).touch()
    hint = find_versions(tmp_path).misplaced["pets"]
    assert (
        hint.encode("utf-8").decode() == hint == "pets/\\udcfe.h5 is no SavedModel: export it, model.export('pets/1')"
    )


def test_what_is_nobodys_business_has_none(tmp_path: Path) -> None:
    _file(tmp_path / "readme.md")
    _file(tmp_path / "notes" / "todo.txt")
    (tmp_path / "empty").mkdir()
    empty_version(tmp_path / ".new" / "v1")
    empty_version(tmp_path / "good" / "1")
    empty_version(tmp_path / "good" / "bad-2")  # as operators name what they took away
    assert find_versions(tmp_path).misplaced == {}
