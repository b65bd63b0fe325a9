"""What users import: the stubs of the typed API, in ``tensorgate.v1``, and ``export``, for models of Keras."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from training.keras_export import export

__all__ = ["export"]


def __getattr__(name: str) -> Any:
    """Imports what is asked for, then and not before: ``export`` needs Keras, which the extra ``training`` brings."""
    if name == "export":
        from training.keras_export import export  # noqa: PLC0415

        return export
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
