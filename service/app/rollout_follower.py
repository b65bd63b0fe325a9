"""Rollouts kept going: judged twice a second, and what comes of it written into the operator's file of models."""

import asyncio
import logging
from dataclasses import replace
from pathlib import Path

from service.app.model_config_edit import edit_model_config
from service.core.model_config import ModelConfig
from service.core.rollout import Rollout
from service.core.rollout_watch import RolloutWatch
from service.core.rollouts import Rollouts
from service.errors import GatewayError

logger = logging.getLogger(__name__)

_SECONDS = 0.5


class RolloutFollower:
    """Judges rollouts, and tells other servers by the file what came of it.

    Args:
        rollouts: Of the server.
        path: Of the file that declares them; ``None`` where clients alone say what is served.
    """

    def __init__(self, rollouts: Rollouts, path: Path | None) -> None:
        self._rollouts = rollouts
        self._path = path
        self._troubles: dict[str, tuple[str, bool]] = {}

    async def follow(self) -> None:
        """Judges them again and again, and writes beside that, as a file may hang; never returns."""
        await asyncio.gather(self._judge(), self._tell())

    async def _judge(self) -> None:
        while True:
            await asyncio.sleep(_SECONDS)
            try:
                self._rollouts.tick()
            except Exception:
                logger.exception("rollouts could not be judged")

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(_SECONDS)
            for watch in self._rollouts.watches():
                if self._path is not None and watch.declared != watch.rollout:
                    await self._write(self._path, watch)

    async def _write(self, path: Path, watch: RolloutWatch) -> None:
        declared = watch.declared
        try:
            written = await asyncio.to_thread(write_rollout, path, watch.model, declared)
        except (GatewayError, OSError) as error:
            self._cannot(watch, error.message if isinstance(error, GatewayError) else str(error.strerror or error))
        except Exception:
            logger.exception("%s could not be changed", self._path)
        else:
            if written is None or written.identity != watch.rollout.identity:
                self._cannot(watch, "it does not declare it")
            else:
                self._troubles.pop(watch.model, None)
                watch.follow(written)

    def _cannot(self, watch: RolloutWatch, why: str) -> None:
        """Logs why others cannot be told, once for each reason; to have taken one back alone is an error."""
        taken_back = watch.rolled_back is not None
        if self._troubles.get(watch.model) != (why, taken_back):
            self._troubles[watch.model] = (why, taken_back)
            text = "other servers are not told how the rollout of %s stands here (%s), as %s cannot be changed: %s"
            logger.log(
                logging.ERROR if taken_back else logging.WARNING, text, watch.model, watch.phase, self._path, why
            )


def write_rollout(path: Path, model: str, declared: Rollout) -> Rollout | None:
    """Writes how far a rollout is, unless the file knows more, or declares another one or none, which it then returns.

    Raises:
        GatewayError: What `edit_model_config` raises.
        OSError: Likewise.
    """
    found: Rollout | None = None

    def change(config: ModelConfig) -> ModelConfig:
        nonlocal found
        found = config.traffic.rollout
        if found is None or found.identity != declared.identity:
            return config
        if declared.step > found.step:
            found = replace(found, step=declared.step, step_time=declared.step_time)
        found = replace(found, rolled_back=found.rolled_back or declared.rolled_back)
        return replace(config, traffic=replace(config.traffic, rollout=found))

    edit_model_config(path, model, change)
    return found
