"""Runners of SavedModels: what the backend requires of one, and the one that runs them in this process."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar, cast

from service.backends.savedmodel.disposal import Disposal
from service.backends.savedmodel.loading import Recorded, load_and_warm_up
from service.backends.savedmodel.run_threads import RunThreads
from service.core.batch_policy import ShapeMode
from service.core.deadline import Deadline
from service.core.load_progress import LoadProgress
from service.core.model_version import ModelVersion
from service.core.tensors import Signature, Tensor
from service.errors import OutdatedVersionError

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a version is loaded from.

    Attributes:
        folder: The folder to load it from now.
        again: Yields the folder to load it from later: with trusted versions, a copy that is checked anew.
    """

    folder: Path
    again: Callable[[], AbstractContextManager[Path]]


class Model(Protocol):
    """A model that has been loaded."""

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """Those that can be served, by name."""

    @property
    def unservable(self) -> Mapping[str, str]:
        """Why others cannot, by name."""

    @property
    def stateful(self) -> Mapping[str, str]:
        """An operation of a signature that keeps state or draws at random, by the signature's name."""

    def run(self, signature: Signature, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Runs a signature on this thread, and returns its outputs by name.

        Raises:
            GatewayError: INVALID_INPUT when the model refuses the values, else OVERLOADED or a BACKEND kind.
        """


class HasModel(Protocol):
    """The handle of a version."""

    @property
    def model(self) -> Model | None:
        """The model, while it is in memory."""


class Holder(Protocol):
    """Keeps the versions that are served."""

    def held(self) -> Sequence[ModelVersion]:
        """Returns all of them."""

    def suspend(self) -> None:
        """Notes that no version can answer for now."""

    def resume(self, version: ModelVersion) -> None:
        """Notes that a version can answer again."""

    def give_up(self, version: ModelVersion, error: str, *, as_it_is: bool) -> None:
        """Notes that a version has failed; with ``as_it_is`` it is not tried again before its files change."""


class Runner(Protocol):
    """Loads models and runs them."""

    async def start(self, holder: Callable[[], Holder]) -> None:
        """Starts; ``holder`` returns the current `Holder`."""

    async def attempt(self, loading: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Awaits what loads a version and tries it out; may repeat it."""

    def load(
        self, source: Source, shapes: ShapeMode | None, progress: LoadProgress, *, ended: Callable[[], None]
    ) -> tuple[Model, Recorded]:
        """Loads a version on this thread; returns it, and some of the requests that warmed it up.

        Args:
            source: Where the version is loaded from.
            shapes: The shapes of the requests that warm it up; ``None`` for no warm-up.
            progress: Updated with each stage.
            ended: Called, on any thread, when the model has been freed.

        Raises:
            GatewayError: BACKEND_FAILED when it cannot be served.
        """

    async def run(
        self,
        version: ModelVersion,
        signature: Signature,
        inputs: Mapping[str, Tensor],
        deadline: Deadline,
        *,
        alone: bool = False,
    ) -> Mapping[str, Tensor]:
        """Runs a signature of a loaded version as soon as there is a free thread; ``alone``, once nothing else runs.

        Raises:
            GatewayError: As `Model.run` does; BACKEND_FAILED when it ran alone and ended the process.
            RunEndedError: When it may have been.
        """

    async def close(self) -> None:
        """Releases everything; results of runs that have begun are dropped."""


def model_of(version: ModelVersion) -> Model:
    """Returns the model of a version that is in memory.

    Raises:
        OutdatedVersionError: When it was evicted; this cannot happen to users of the version.
    """
    model = cast("HasModel", version.handle).model
    if model is None:
        raise OutdatedVersionError("the version left memory while the request was on its way; try again")
    return model


class OwnProcess:
    """Runs models in this process, each on threads of its own.

    Args:
        runs: Maximum number of concurrent runs of one model.
        threads: Number of threads for one operation of TensorFlow.
    """

    def __init__(self, *, runs: int, threads: int) -> None:
        self._threads = threads
        self._runs = RunThreads(runs)
        self._disposal = Disposal()

    async def start(self, holder: Callable[[], Holder]) -> None:
        """Does nothing: TensorFlow is imported by the first load."""

    async def attempt(self, loading: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Awaits it, once."""
        return await loading()

    def load(
        self, source: Source, shapes: ShapeMode | None, progress: LoadProgress, *, ended: Callable[[], None]
    ) -> tuple[Model, Recorded]:
        """Loads a version; imports TensorFlow before the first one."""
        model, recorded, _ = load_and_warm_up(source.folder, self._threads, shapes, progress)
        self._disposal.after(model, model.calls.clear, ended)  # the first ends its session
        return model, recorded

    async def run(
        self,
        version: ModelVersion,
        signature: Signature,
        inputs: Mapping[str, Tensor],
        deadline: Deadline,
        *,
        alone: bool = False,
    ) -> Mapping[str, Tensor]:
        """Runs on the model's next free thread; a run that has begun cannot be stopped, whatever its deadline."""
        model = model_of(version)
        return await self._runs.run(model, version.name, partial(model.run, signature, inputs))

    async def close(self) -> None:
        """Cancels runs that have not begun; results of those that have are dropped."""
        self._runs.close()
        self._disposal.close()
