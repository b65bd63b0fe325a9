"""Where SavedModels run: what the backend requires of it, and how that is done in this process."""

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
        folder: Of what is to be loaded now.
        again: Gives the folder to load it from later: a copy that is checked anew, where only trusted ones are loaded.
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
        """Its model, while it is in memory."""


class Holder(Protocol):
    """Holds the versions that are served."""

    def held(self) -> Sequence[ModelVersion]:
        """Returns all of them."""

    def suspend(self) -> None:
        """Takes note that none of them can answer for now."""

    def resume(self, version: ModelVersion) -> None:
        """Takes note that one can again."""

    def give_up(self, version: ModelVersion, error: str, *, as_it_is: bool) -> None:
        """Takes note that one will not answer again; ``as_it_is`` says that it need not be tried before it changes."""


class Runner(Protocol):
    """Loads models and runs them."""

    async def start(self, holder: Callable[[], Holder]) -> None:
        """Begins; ``holder`` returns who holds the versions at the moment."""

    async def attempt(self, loading: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Does what loads a version and tries it out."""

    def load(
        self, source: Source, shapes: ShapeMode | None, progress: LoadProgress, *, ended: Callable[[], None]
    ) -> tuple[Model, Recorded]:
        """Loads a version on this thread; returns it, and some of the requests that warmed it up.

        Args:
            source: Of the version.
            shapes: Which shapes the requests are given that warm it up; ``None`` for no warm-up.
            progress: Told how far it is.
            ended: Called, on any thread, when nobody refers to the model any more and what it took is free.

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
        """Runs a signature of a version that it has loaded as soon as there is room; ``alone``, once nothing else does.

        Raises:
            GatewayError: As `Model.run` does; BACKEND_FAILED when it ran alone, and was the end of the process.
            RunEndedError: When it may have been.
        """

    async def close(self) -> None:
        """Releases all that it has; what runs has run for nobody."""


def model_of(version: ModelVersion) -> Model:
    """Returns the model of a version that is in memory.

    Raises:
        OutdatedVersionError: It has left; whoever uses a version keeps it there.
    """
    model = cast("HasModel", version.handle).model
    if model is None:
        raise OutdatedVersionError("the version left memory while the request was on its way; try again")
    return model


class OwnProcess:
    """Runs models in this process, each on threads of its own.

    Args:
        runs: How many there may be of one model at a time.
        threads: How many threads share the work of one operation of TensorFlow.
    """

    def __init__(self, *, runs: int, threads: int) -> None:
        self._threads = threads
        self._runs = RunThreads(runs)
        self._disposal = Disposal()

    async def start(self, holder: Callable[[], Holder]) -> None:
        """Does nothing: TensorFlow is imported by the first load."""

    async def attempt(self, loading: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Does it."""
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
        """Cancels the runs that have not begun; those that have run to their end and are ignored."""
        self._runs.close()
        self._disposal.close()
