import pytest

from service.errors import GatewayError
from service.stores.paths import MAX_FILES, check_paths, is_model_name, version_number


def test_paths_of_a_model_are_taken() -> None:
    check_paths(["saved_model.pb", "variables/variables.index", "assets.extra/tensorgate.json", "assets/größe 1.txt"])


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("../saved_model.pb", "empty part, or one of dots"),
        ("variables/../../x", "empty part, or one of dots"),
        ("./x", "empty part, or one of dots"),
        ("a//b", "empty part, or one of dots"),
        ("a/", "empty part, or one of dots"),
        ("", "empty part, or one of dots"),
        ("/etc/passwd", "is absolute"),
        ("C:/x", "is absolute"),
        ("a\\..\\b", "a backslash or a control character"),
        ("a\nb", "a backslash or a control character"),
        ("a\x00", "a backslash or a control character"),
        ("a\u202eb", "a backslash or a control character"),
        ("\udcff", "is not UTF-8"),
        ("a" * 256, "is too long"),
        ("/".join(["a" * 200] * 6), "is too long"),
    ],
)
def test_paths_that_lead_elsewhere_are_refused(path: str, words: str) -> None:
    with pytest.raises(GatewayError, match=words):
        check_paths(["saved_model.pb", path])


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        (["a", "a"], "the same path"),
        (["a/b", "A/c"], "one to some file systems"),
        (["variables/x", "variables/X"], "one to some file systems"),
        (["caf\u00e9", "cafe\u0301"], "one to some file systems"),
        (["a", "a/b"], "is a file and a folder"),
        (["A", "a/b"], "is a file and a folder"),
        ([f"f{number}" for number in range(MAX_FILES + 1)], "more than 10000 files"),
    ],
)
def test_paths_that_are_not_all_different_everywhere_are_refused(paths: list[str], words: str) -> None:
    with pytest.raises(GatewayError, match=words):
        check_paths(paths)


def test_numbers_of_versions_have_one_form() -> None:
    assert [version_number(name) for name in ("0", "7", "9223372036854775807")] == [0, 7, 2**63 - 1]
    for name in ("", "01", "-1", "1.0", "latest", "v1", "\u0661", "9223372036854775808", "1" * 30):
        assert version_number(name) is None, name


def test_names_of_models_are_one_part_of_a_path() -> None:
    assert is_model_name("digits")
    for name in ("", ".", "..", ".hidden", "a/b", "a\\b", "a\nb", "\udcff"):
        assert not is_model_name(name), name
