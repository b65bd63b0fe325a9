"""Whether calls are traced, as OpenTelemetry's environment variables say.

They are its own, and no settings of ours: operators set them for all their services at once, and the SDK reads them.
"""

import logging
import os
from typing import Protocol

from service.core.tracing import Tracer
from service.errors import not_installed

logger = logging.getLogger(__name__)

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class ClosingTracer(Tracer, Protocol):
    """A tracer that sends what it has when the server stops."""

    async def close(self) -> None:
        """Sends what is left, for some seconds at most."""


def tracer() -> ClosingTracer | None:
    """Returns what traces calls; ``None`` where spans have nowhere to go, and then nothing of OpenTelemetry is loaded.

    What keeps it from being made is logged, and no reason not to serve.
    """
    environment = os.environ
    endpoint = next((value for name in _ENDPOINTS if (value := environment.get(name, "").strip())), "")
    disabled = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    exporters = environment.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
    if not endpoint or disabled or exporters == "none":
        return None
    try:
        from service.telemetry import tracing  # noqa: PLC0415

        made = tracing.OtelTracer(tracing.exporter())
    except ModuleNotFoundError as error:
        logger.warning("nothing is traced: %s", not_installed(error.name, "tracing"))
        return None
    except Exception as error:
        logger.warning("nothing is traced: %s", error)
        return None
    logger.info("traces are sent to %s", endpoint)
    return made
