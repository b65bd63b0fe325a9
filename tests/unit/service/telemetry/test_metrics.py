"""What is reported of models that come and go."""

import pytest

from service.core.admission import Admission
from service.core.call import Call
from service.core.catalog import Catalog
from service.core.deadline import Deadline
from service.core.model_version import ModelVersion, State
from service.telemetry import metrics
from service.telemetry.metrics import Metrics


def watched() -> tuple[Metrics, Catalog]:
    made, catalog = Metrics(admission=Admission(requests=1, streams=1, request_bytes=1), backend="none"), Catalog()
    made.watch(catalog)
    return made, catalog


def version(name: str, number: int) -> ModelVersion:
    return ModelVersion(name, number, State.AVAILABLE, load_seconds=0.5)


def use(made: Metrics, entry: ModelVersion) -> None:
    """Has a series in every metric of the version, and one of its model."""
    call = Call("rest", "GET /x", "id", Deadline.after(1), model=entry.name, version=entry.version, rows=1)
    with call.phase("decode"):
        pass
    made.observe(call, "ok")
    made.observe(Call("rest", "GET /x", "id", Deadline.after(1), model=entry.name), "model_not_found")
    made.observe_batch(entry, 1, 1)


def exposed(made: Metrics) -> str:
    return made.collect("")()[0].decode()


def test_what_left_is_reported_once_more_and_then_forgotten() -> None:
    made, catalog = watched()
    for entry in (version("kept", 1), version("kept", 2), version("gone", 1)):
        catalog.put(entry)
        use(made, entry)
    catalog.drop("kept", 1)
    catalog.drop("gone", 1)
    last = exposed(made)
    for line in ('tensorgate_batch_rows_count{model_name="gone"', 'load_duration_seconds_count{model_name="gone"} 1.0'):
        assert line in last
    after = exposed(made)
    assert "gone" not in after
    assert 'model_name="kept",model_version="1"' not in after
    assert after.count('model_name="kept"') < last.count('model_name="kept"')
    for lines in (
        'tensorgate_batch_rows_count{model_name="kept",model_version="2"} 1.0',
        '"kept",model_version="_unknown"',
    ):
        assert lines in after
    assert 'load_duration_seconds_count{model_name="kept"} 2.0' in after


def test_a_request_that_ends_after_its_version_left_brings_it_back_once() -> None:
    made, catalog = watched()
    catalog.put(version("gone", 1))
    catalog.drop("gone", 1)
    exposed(made)
    use(made, version("gone", 1))
    assert "gone" in exposed(made)
    assert "gone" not in exposed(made)


def test_a_version_that_comes_back_in_between_goes_on() -> None:
    made, catalog = watched()
    for _ in range(2):
        catalog.put(version("m", 1))
        use(made, version("m", 1))
        catalog.drop("m", 1)
    catalog.put(version("m", 1))
    for _ in range(2):
        assert 'tensorgate_batch_rows_count{model_name="m",model_version="1"} 2.0' in exposed(made)


def test_series_do_not_pile_up_where_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_MOST_LEFT", 10)
    made, catalog = watched()
    for number in range(35):
        entry = version(f"evil{number}", 1)
        catalog.put(entry)
        use(made, entry)
        catalog.drop(entry.name, 1)
    assert exposed(made).count("tensorgate_batch_rows_count{") == 5
