from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, disable_created_metrics, generate_latest

from service.telemetry.distribution import Distribution

BOUNDS = (0.0005, 0.01, 0.25, 1.0, 30.0)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", 'b "\n\\']), st.sampled_from([*BOUNDS, 0.0, 31.0]) | st.floats(0, 100, width=32)
        )
    )
)
def test_it_exposes_what_the_library_would(values: list[tuple[str, float]]) -> None:
    disable_created_metrics()  # type: ignore[no-untyped-call]
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    distribution = Distribution("seconds", "How long.", ["what"], bounds=BOUNDS, registry=ours)
    histogram = Histogram("seconds", "How long.", ["what"], buckets=BOUNDS, registry=theirs)
    for label, value in values:
        distribution.labels(label).observe(value)
        histogram.labels(label).observe(value)
    assert generate_latest(ours) == generate_latest(theirs)


def test_a_series_that_is_removed_is_no_longer_exposed() -> None:
    registry = CollectorRegistry()
    distribution = Distribution("rows", "How many.", ["model", "version"], bounds=(1, 2), registry=registry)
    distribution.labels("m", "1").observe(1)
    distribution.labels("m", "2").observe(1)
    distribution.remove("m", "1")
    distribution.remove("m", "7")
    assert distribution.label_sets() == [{"model": "m", "version": "2"}]
    assert b'version="1"' not in generate_latest(registry)
