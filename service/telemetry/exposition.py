"""The text that a scrape of the metrics returns."""

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder


def encoded(registry: CollectorRegistry, accept: str) -> tuple[bytes, str]:
    """Returns all metrics, and the content type that was chosen for this ``Accept`` header."""
    try:
        encode, content_type = choose_encoder(accept)
    except (TypeError, ValueError):  # a version in it that is none
        encode, content_type = choose_encoder("")
    return encode(registry), content_type
