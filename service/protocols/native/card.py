"""Model cards: what training reported of a version, as both transports tell it."""

import asyncio
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from service.codecs.model_card import ModelCard, read_card, read_plot
from service.core.call import Call
from service.core.engine import Engine
from service.errors import ErrorKind, Violation, invalid_input, shown
from service.schemas import GetModelRequest

_EMPTY = ModelCard("", {}, ())


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, protected_namespaces=())


class GetCardRequest(GetModelRequest):
    """Which version's card to return; that of the newest available unless one is named."""


class GetPlotRequest(GetModelRequest):
    """Which plot to return."""

    plot: Annotated[
        str,
        Field(min_length=1, description="Name of its file, as the card lists it.", examples=["learning_curves.png"]),
    ]


class PlotInfo(_Answer):
    """A picture of the report."""

    name: str
    media_type: Annotated[str, Field(description="image/png or image/svg+xml.")]
    bytes: int


class GetCardResponse(_Answer):
    """What training reported of a version."""

    model: str
    version: int
    card: Annotated[str, Field(description="The model card, Markdown; empty where there is none.")]
    metrics: Annotated[dict[str, Any], Field(description="Figures of the evaluation, as training wrote them.")]
    plots: list[PlotInfo]


async def get_card(engine: Engine, request: GetCardRequest, call: Call) -> GetCardResponse:
    """Returns the model card of a version; an empty one where this server has none of its files.

    Raises:
        GatewayError: MODEL_NOT_FOUND, LABEL_NOT_FOUND or NOT_READY; TOO_LARGE for a name that is too long.
    """
    version = engine.resolve(request.wanted(), call)
    card = _EMPTY if version.folder is None else await asyncio.to_thread(read_card, version.folder)
    return GetCardResponse(
        model=version.name,
        version=version.version,
        card=card.text,
        metrics=dict(card.metrics),
        plots=[PlotInfo(name=plot.name, media_type=plot.media_type, bytes=plot.bytes) for plot in card.plots],
    )


async def get_plot(engine: Engine, request: GetPlotRequest, call: Call) -> tuple[bytes, str]:
    """Returns a plot of a version's model card, and its media type.

    Raises:
        GatewayError: As `get_card`; PLOT_NOT_FOUND where the card has no such plot.
    """
    version = engine.resolve(request.wanted(), call)
    found = None if version.folder is None else await asyncio.to_thread(read_plot, version.folder, request.plot)
    if found is None:
        expected = f"a plot that the model card of {version.name!r} lists"
        raise invalid_input(Violation("plot", expected, shown(request.plot)), kind=ErrorKind.PLOT_NOT_FOUND)
    return found
