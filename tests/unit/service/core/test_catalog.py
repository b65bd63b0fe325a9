import pytest

from service.core.catalog import Catalog
from service.core.model_version import ModelRef, ModelVersion, State
from service.errors import ErrorKind, GatewayError


def catalog(*entries: tuple[str, int, State]) -> Catalog:
    made = Catalog()
    made.announce(ModelVersion(name, version, state) for name, version, state in entries)
    return made


MIXED = [("a", 1, State.AVAILABLE), ("a", 2, State.AVAILABLE), ("a", 3, State.LOADING), ("b", 1, State.LOADING)]


def test_the_newest_available_version_answers() -> None:
    assert catalog(*MIXED).resolve(ModelRef("a")).version == 2


def test_a_version_answers_when_it_is_named() -> None:
    assert catalog(*MIXED).resolve(ModelRef("a", 1)).version == 1


@pytest.mark.parametrize(
    ("wanted", "kind", "words"),
    [
        (ModelRef("c"), ErrorKind.MODEL_NOT_FOUND, "a, b"),
        (ModelRef("a", 9), ErrorKind.MODEL_NOT_FOUND, "3, 2, 1"),
        (ModelRef("a", 3), ErrorKind.NOT_READY, "LOADING"),
        (ModelRef("b"), ErrorKind.NOT_READY, "LOADING"),
    ],
)
def test_what_cannot_answer_says_why(wanted: ModelRef, kind: ErrorKind, words: str) -> None:
    with pytest.raises(GatewayError, match=words) as caught:
        catalog(*MIXED).resolve(wanted)
    assert caught.value.kind is kind


def test_it_is_ready_after_the_first_fill_while_any_model_can_answer() -> None:
    made = catalog(*MIXED)
    assert made.readiness() == {"a": True, "b": False}
    assert not made.ready()
    made.fill_ended()
    assert made.ready()
    made.put(ModelVersion("c", 1, State.END, error="it is broken"))
    assert made.ready()
    for version in (1, 2):
        made.put(ModelVersion("a", version, State.END))
    assert not made.ready()


def test_it_is_ready_while_every_model_can_answer_where_all_are_needed() -> None:
    made = Catalog(needs_all=True)
    made.announce(ModelVersion(*entry) for entry in MIXED)
    assert not made.ready()
    made.put(ModelVersion("b", 1, State.AVAILABLE))
    assert made.ready()
    made.put(ModelVersion("c", 1, State.END, error="it is broken"))
    assert not made.ready()


def test_it_is_not_ready_before_the_backend_has_announced_its_models() -> None:
    for needs_all in (False, True):
        made = Catalog(needs_all=needs_all)
        made.put(ModelVersion("a", 1, State.AVAILABLE))
        assert not made.ready()


def test_no_model_is_unknown_before_the_backend_has_announced_its_models() -> None:
    made = Catalog()
    with pytest.raises(GatewayError, match="nothing is known of its versions yet") as raised:
        made.versions("a")
    assert raised.value.kind is ErrorKind.NOT_READY
    made.announce(())
    with pytest.raises(GatewayError) as raised:
        made.versions("a")
    assert raised.value.kind is ErrorKind.MODEL_NOT_FOUND


def test_it_is_not_ready_without_a_model() -> None:
    made = catalog()
    made.fill_ended()
    assert not made.ready()


def test_listeners_hear_of_each_change() -> None:
    heard: list[ModelVersion] = []
    made = Catalog()
    made.subscribe(heard.append)
    made.announce([ModelVersion("a", 1, State.START)])
    made.put(ModelVersion("a", 1, State.AVAILABLE))
    assert [version.state for version in heard] == [State.START, State.AVAILABLE]
