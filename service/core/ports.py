"""The backend ports: what the core requires of whatever runs the models."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from service.core.catalog import Catalog
from service.core.deadline import Deadline
from service.core.model_config import ModelConfig
from service.core.model_version import ModelVersion
from service.core.tensors import Signature, Tensor


class Backend(Protocol):
    """Runs models. It raises no exceptions of its own libraries, only `GatewayError`."""

    async def start(self, catalog: Catalog) -> None:
        """Finds and loads the models, and keeps the catalog up to date from then on.

        Returns when every model that was there is available or has failed. It is not called twice.
        """

    async def run(
        self, version: ModelVersion, signature: Signature, inputs: Mapping[str, Tensor], deadline: Deadline
    ) -> Mapping[str, Tensor]:
        """Runs one signature on inputs that fit it.

        Cancelling the call stops waiting, and cancels work that has not begun.

        Args:
            version: An available entry of the catalog.
            signature: One of its signatures.
            inputs: Tensors by input name, checked against the signature.
            deadline: Until when the answer is waited for.

        Returns:
            Tensors by output name.

        Raises:
            GatewayError: INVALID_INPUT when the model refuses the values, else a BACKEND kind.
            OutdatedVersionError: The backend no longer has the version.
            RunEndedError: The process that ran it has ended; only a `RepeatingBackend` raises it.
        """

    async def close(self) -> None:
        """Releases all resources, also while it is starting."""


@runtime_checkable
class FollowingBackend(Backend, Protocol):
    """A backend that follows a folder, and can be told to look at it."""

    async def look(self) -> None:
        """Looks at once, and returns when what has changed is available or has failed.

        What is still being copied is left for later. It is not called before `start` has returned.
        """


@runtime_checkable
class RepeatingBackend(Backend, Protocol):
    """A backend that runs models in a process that may end."""

    async def repeat(
        self, version: ModelVersion, signature: Signature, inputs: Mapping[str, Tensor], deadline: Deadline
    ) -> Mapping[str, Tensor]:
        """Runs once more, with nothing else beside it, what ended with `RunEndedError`.

        Raises:
            GatewayError: As `run` does; BACKEND_FAILED when the process ends again.
        """


Accept = Callable[[Catalog], None]
"""Takes a catalog as it would be, and puts the labels in it; raises when it must not be."""


@runtime_checkable
class ControllableBackend(Backend, Protocol):
    """A backend whose set of models can be changed while it runs; the catalog receives the results."""

    async def reload(self, configs: Sequence[ModelConfig], accept: Accept) -> None:
        """Serves these models and no others.

        What was served is served unchanged until each new version has been loaded or has failed. Then `accept` gets the
        catalog as it would be: where that raises nothing changes, else all of it takes effect at once. Nothing
        changes either where it is cancelled before; what cannot be undone any more is finished first.

        Raises:
            Exception: What `accept` raises.
        """

    async def load(self, name: str) -> None:
        """Looks for versions of a model again and loads those to serve; returns when that is done or has failed.

        Raises:
            GatewayError: MODEL_NOT_FOUND.
        """

    async def unload(self, name: str) -> None:
        """Drops all versions of a model, until it is loaded again.

        Raises:
            GatewayError: MODEL_NOT_FOUND.
        """
