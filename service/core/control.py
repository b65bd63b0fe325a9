"""Control of the models while the server runs: which are served, and which versions have which labels."""

import asyncio
import logging
import re
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from service.core.bounds import InputBounds
from service.core.catalog import Catalog
from service.core.control_checks import check_available, check_label, is_available, reason_of
from service.core.drift import DriftMonitor
from service.core.model_config import MAX_LABELS, ModelConfig
from service.core.ports import Backend, ControllableBackend
from service.core.rollouts import Rollouts
from service.core.traffic_split import Target
from service.core.visibility import SeenModels
from service.errors import ErrorKind, GatewayError, Violation, invalid_input, shown

logger = logging.getLogger(__name__)

_LABEL = re.compile(r"(?!\d+$)[^/:\x00-\x1f\x7f-\x9f]+")
"""No separator of paths or addresses, and no bare number, which would read as a version elsewhere."""

NOT_ALLOWED = (
    "clients may not change what is served here (allow_model_control is off, as it is by default; whoever runs the "
    "server may start it with --allow-model-control)"
)


class ModelControl:
    """Carries out the changes that clients request, where the operator allows them and the backend can.

    Args:
        catalog: The models that there are.
        backend: Runs them.
        allowed: Whether clients may change what is served (``allow_model_control``).
        root: Clients may name folders below this one, and no others.
        bounds: How long a name may be.
        rollouts: Those that configurations declare; by default of this alone.

    Attributes:
        is_followed: Whether what is served is what the operator last asked for, unchanged by any client.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        backend: Backend,
        allowed: bool,
        root: Path,
        bounds: InputBounds,
        rollouts: Rollouts | None = None,
    ) -> None:
        self._catalog = catalog
        self._backend = backend
        self._allowed = allowed
        self._root = root.resolve()
        self._bounds = bounds
        self._rollouts = rollouts or Rollouts(catalog, DriftMonitor())
        self.is_followed = True
        self._changing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def reload(self, configs: Sequence[ModelConfig]) -> None:
        """Serves these models and no others, at a client's request, once each can answer; else nothing changes.

        Nothing changes either where the caller gives up before that.

        Raises:
            GatewayError: FORBIDDEN, NOT_SUPPORTED, INVALID_INPUT when the configurations make no sense, LOAD_FAILED
                when a model of them is not available afterwards, FAILED_PRECONDITION when a labelled version is not.
        """
        backend = self._permitted()
        await asyncio.to_thread(self._check, configs)

        def accept(draft: Catalog) -> None:
            check_available(draft, configs)
            for config in configs:
                targets: dict[str, Target] = {**config.labels, **config.traffic.splits}
                for label, target in targets.items():
                    check_label(draft, config.name, label, target, draft.stored)
            self._rollouts.configure(draft, configs)
            self.is_followed = False  # from here on it may take effect, even where the caller gives up

        await self._run_exclusively(lambda: backend.reload(configs, accept), ends_with_caller=True)

    async def follow(self, configs: Sequence[ModelConfig]) -> None:
        """Serves these models and no others, at the operator's request; labels may wait for their versions.

        Raises:
            GatewayError: NOT_SUPPORTED.
        """
        backend = self._controllable()

        async def change() -> None:
            await backend.reload(configs, lambda draft: self._rollouts.configure(draft, configs))
            self.is_followed = True

        await self._run_exclusively(change)

    def direct(self, configs: Sequence[ModelConfig]) -> None:
        """Sends requests where the operator's configurations say; their models are the ones that are served already."""
        self._rollouts.configure(self._catalog, configs)

    async def set_label(self, name: str, label: str, target: Target, *, seen: SeenModels | None = None) -> None:
        """Puts a label on a version, in place of the one that has it, or on several.

        Args:
            name: The model's.
            label: The label to put on.
            target: The version that gets it, or the versions that share it and how.
            seen: The models as the client may see them; by default all.

        Raises:
            GatewayError: FORBIDDEN, INVALID_INPUT or TOO_LARGE when it is no label, TOO_LARGE for one too many,
                MODEL_NOT_FOUND, or FAILED_PRECONDITION when a version of it is not available.
        """
        self.permit()
        self._check_label_name(label, where="label")
        async with self._changing:
            check_label(seen or self._catalog, name, label, target, self._catalog.stored)
            self._check_rollout(name, label)
            labels = {**self._catalog.targets(name), label: target}
            if len(labels) > MAX_LABELS:
                expected = f"at most {MAX_LABELS} labels of one model"
                raise invalid_input(Violation("label", expected, "one more"), kind=ErrorKind.TOO_LARGE)
            self._catalog.set_labels(name, labels)

    async def remove_label(self, name: str, label: str, *, seen: SeenModels | None = None) -> None:
        """Takes a label away.

        Args:
            name: The model's.
            label: The label to take away.
            seen: See `set_label`.

        Raises:
            GatewayError: FORBIDDEN, MODEL_NOT_FOUND or LABEL_NOT_FOUND.
        """
        self.permit()
        async with self._changing:
            models = seen or self._catalog
            models.versions(name)
            models.labelled(name, label)
            self._check_rollout(name, label)
            left = {other: target for other, target in self._catalog.targets(name).items() if other != label}
            self._catalog.set_labels(name, left)

    async def load(self, name: str) -> None:
        """Loads a model, or looks for new versions of it.

        Raises:
            GatewayError: FORBIDDEN, NOT_SUPPORTED, MODEL_NOT_FOUND, or LOAD_FAILED when no version of it is available.
        """
        backend = self._permitted()

        async def change() -> None:
            await backend.load(name)
            self.is_followed = False
            if not is_available(self._catalog, name):
                reason = reason_of(self._catalog, name)
                raise GatewayError(ErrorKind.LOAD_FAILED, f"failed to load {shown(name)}: {reason}")

        await self._run_exclusively(change)

    async def unload(self, name: str) -> None:
        """Takes a model out of service; requests that hold it are answered.

        Raises:
            GatewayError: FORBIDDEN, NOT_SUPPORTED or MODEL_NOT_FOUND.
        """
        backend = self._permitted()

        async def change() -> None:
            await backend.unload(name)
            self.is_followed = False

        await self._run_exclusively(change)

    async def _run_exclusively(
        self, change: Callable[[], Coroutine[Any, Any, None]], *, ends_with_caller: bool = False
    ) -> None:
        """Runs a change, one at a time, and waits for it.

        A caller that gives up before its turn leaves nothing behind. A change that has begun is finished even if nobody
        waits any more, as half of it would help no one; but for one that is done as a whole or not at all.

        Args:
            change: What to do.
            ends_with_caller: Whether it is cancelled when the caller is.
        """
        await self._changing.acquire()
        task = asyncio.create_task(change())
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_log_failure)
            if ends_with_caller:
                task.cancel()
            raise

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self._changing.release()

    def permit(self) -> None:
        """Refuses what clients may not do here.

        Raises:
            GatewayError: FORBIDDEN.
        """
        if not self._allowed:
            raise GatewayError(ErrorKind.FORBIDDEN, NOT_ALLOWED)

    def _permitted(self) -> ControllableBackend:
        self.permit()
        return self._controllable()

    def _controllable(self) -> ControllableBackend:
        if not isinstance(self._backend, ControllableBackend):
            raise GatewayError(ErrorKind.NOT_SUPPORTED, "this backend cannot change what it serves")
        return self._backend

    def _check(self, configs: Sequence[ModelConfig]) -> None:
        for index, config in enumerate(configs):
            where = f"config[{index}]"
            self._bounds.check_name(config.name, where=f"{where}.name")
            self._check_base_path(config.base_path, where=f"{where}.base_path")
            rolled_out = () if config.traffic.rollout is None else (config.traffic.rollout.label,)
            for label in (*config.labels, *filter(None, (*config.traffic.splits, *rolled_out))):
                self._check_label_name(label, where=f"{where}.version_labels")

    def _check_base_path(self, folder: Path, *, where: str) -> None:
        if not folder.is_absolute():
            raise invalid_input(Violation(where, "an absolute path", shown(str(folder))))
        try:
            is_below = folder.resolve().is_relative_to(self._root)
        except (ValueError, RuntimeError, OSError):  # it has a null character, or links that form a circle
            raise invalid_input(Violation(where, "a path that can be followed", shown(str(folder)))) from None
        if not is_below:
            raise GatewayError(ErrorKind.FORBIDDEN, f"{where}: clients may name folders below the models folder only")

    def _check_rollout(self, name: str, label: str) -> None:
        if self._rollouts.has_label(name, label):
            text = f"the label {shown(label)} of {shown(name)} is under a rollout: end it first (tensorgate rollout)"
            raise GatewayError(ErrorKind.FAILED_PRECONDITION, text)

    def _check_label_name(self, label: str, *, where: str) -> None:
        self._bounds.check_name(label, where=where)
        if not _LABEL.fullmatch(label):
            expected = "a label of one character or more, no slash, colon or control character, and no bare number"
            raise invalid_input(Violation(where, expected, shown(label)))


def _log_failure(task: "asyncio.Task[None]") -> None:
    """Logs why a change failed that nobody waits for any more."""
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("a change that was asked for failed, and who asked has gone: %s", error)
