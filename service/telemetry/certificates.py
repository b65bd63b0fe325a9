"""The metric of the server's certificate."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge


def report_expiry(registry: CollectorRegistry, expiry: Callable[[], float]) -> None:
    """Reports when the server's certificate expires.

    Args:
        registry: Of the server's metrics.
        expiry: Returns that in seconds since 1970; called at each scrape.
    """
    Gauge(
        "tensorgate_tls_certificate_expiry_timestamp_seconds",
        "When the server's certificate, or the first of those between it and the root, expires.",
        registry=registry,
    ).set_function(expiry)
