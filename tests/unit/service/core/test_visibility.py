import pytest

from service.core.call import Call
from service.core.catalog import Catalog
from service.core.deadline import Deadline
from service.core.identity import ANYBODY, Identity
from service.core.model_version import ModelRef, ModelVersion, State
from service.core.rights import Access, Grant, Rights
from service.core.visibility import Models, VisibleModels
from service.errors import ErrorKind, GatewayError


def catalog(*names: str) -> Catalog:
    made = Catalog()
    made.announce(ModelVersion(name, 1, State.AVAILABLE) for name in names)
    for name in names:
        made.set_labels(name, {"stable": 1})
    return made


def call(*models: str, actions: tuple[Access, ...] = (Access.READ,), access: Access = Access.READ) -> Call:
    identity = Identity("somebody", Rights([Grant(models, actions)]))
    return Call("rest", "m", "id", Deadline.after(5), identity=identity, access=access)


def seen(made: Catalog, asking: Call) -> VisibleModels:
    found = Models(made, controlled=True).of(asking)
    assert isinstance(found, VisibleModels)
    return found


def error_of(models: VisibleModels, name: str) -> tuple[ErrorKind, str]:
    with pytest.raises(GatewayError) as caught:
        models.resolve(ModelRef(name))
    return caught.value.kind, caught.value.message.replace(repr(name), "")


def test_where_access_is_not_controlled_everybody_sees_everything() -> None:
    made = catalog("a", "b")
    asking = Call("rest", "m", "id", Deadline.after(5))
    assert Models(made).of(asking) is made
    assert Models(made).shown_in_metrics(asking) is None
    Models(made).check_control_of_all(asking)


def test_whoever_is_not_known_sees_nothing() -> None:
    asking = Call("rest", "m", "id", Deadline.after(5), identity=ANYBODY)
    assert seen(catalog("a"), asking).names() == []
    with pytest.raises(GatewayError):
        seen(catalog("a"), asking).resolve(ModelRef("a"))


def test_a_model_is_seen_where_there_is_a_right_to_it() -> None:
    models = seen(catalog("abc", "abd", "x"), call("ab*"))
    assert models.names() == ["abc", "abd"]
    assert models.resolve(ModelRef("abc")).name == "abc"
    assert models.labels("abc") == {"stable": 1}
    assert models.labelled("abc", "stable") == 1
    assert models.is_available("abc")
    assert models.readiness() == {"abc": True, "abd": True}


def test_one_that_may_not_be_seen_is_like_one_that_there_is_not() -> None:
    made = catalog("abc", "x")
    models = seen(made, call("ab*"))
    assert error_of(models, "x") == error_of(models, "y") == error_of(models, "abz")
    assert error_of(models, "x")[1] == "model: expected one of the models served: abc, got "
    assert "x" not in models
    assert not models.is_available("x")
    assert models.labels("x") == models.labels("y") == {}


def test_one_that_is_to_come_is_not_told_of_either() -> None:
    made = catalog("abc")
    made.expect(["x", "abd"])
    models = seen(made, call("ab*"))
    assert error_of(models, "abd")[0] is ErrorKind.NOT_READY
    assert error_of(models, "x") == error_of(models, "y")
    assert models.readiness() == {"abc": True, "abd": False}


def test_before_anything_is_known_nothing_is_told_of_any_name() -> None:
    made = Catalog()
    made.expect(["x", "abc"])
    models = seen(made, call("ab*"))
    kinds = {error_of(models, name) for name in ("x", "y", "abc", "abd")}
    assert len(kinds) == 1
    assert kinds.pop()[0] is ErrorKind.NOT_READY


def test_what_lies_beside_the_models_is_told_to_who_may_read_it() -> None:
    made = catalog("abc")
    made.unserved = {"abx": "no version", "x": "no version"}
    assert seen(made, call("ab*")).unserved == {"abx": "no version"}
    assert seen(made, call("ab*", actions=(Access.INFER,))).unserved == {}


def test_one_that_may_be_seen_and_not_asked_for_this_says_which_right_is_missing() -> None:
    models = seen(catalog("abc"), call("ab*", access=Access.INFER))
    with pytest.raises(GatewayError) as caught:
        models.resolve(ModelRef("abc"))
    assert caught.value.kind is ErrorKind.FORBIDDEN
    assert caught.value.message == "model 'abc': this needs the right to infer it, which is not granted"
    assert models.names() == []


def test_metrics_of_all_are_for_who_may_see_those_of_all() -> None:
    models = Models(catalog("a"), controlled=True)
    assert models.shown_in_metrics(call("*", actions=(Access.METRICS,))) is None
    shows = models.shown_in_metrics(call("a", actions=(Access.METRICS,)))
    assert shows is not None
    assert (shows("a"), shows("b")) == (True, False)
