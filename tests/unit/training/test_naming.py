import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.errors import TrainingError
from training.naming import checked_model_name, model_name_from


@pytest.mark.parametrize(
    ("source", "name"),
    [("digits", "digits"), ("My Photos (2024)", "my-photos-2024"), ("../../etc", "etc"), ("_A_", "a"), ("Ünï", "n")],
)
def test_a_name_is_made_of_what_is_plain_in_the_source(source: str, name: str) -> None:
    assert model_name_from(source) == name


@given(st.text(max_size=100))
def test_whatever_name_is_made_is_one_that_is_accepted(source: str) -> None:
    try:
        name = model_name_from(source)
    except TrainingError:
        return
    assert checked_model_name(name) == name


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a.b", "A", "-a", "a-", "a b", "a" * 65, "a\n"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(TrainingError, match="--name must be"):
        checked_model_name(name)


def test_a_source_without_any_plain_character_asks_for_a_name() -> None:
    with pytest.raises(TrainingError, match="--name"):
        model_name_from("…")
