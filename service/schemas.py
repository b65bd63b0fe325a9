"""The typed API's messages, for REST and gRPC alike.

Field names are those of ``protos/tensorgate/v1/tensorgate.proto``. In JSON, numbers of pixels and of series are nested
lists and image files are base64; gRPC hands over arrays and bytes.
"""

import binascii
from base64 import b64decode
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from service.codecs.json_lists import decode_numbers
from service.core.model_version import ModelRef
from service.core.tensors import Tensor
from service.errors import GatewayError, Violation, invalid_input, shown
from service.validation import as_finding

DEFAULT_TOP_K = 5


def _numbers(value: Any) -> Tensor:
    try:
        return decode_numbers(value, where="")
    except GatewayError as error:
        raise as_finding(error) from None


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    try:
        return b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise as_finding(invalid_input(Violation("", "a string in base64", shown(value)))) from None


def _number_lists(description: str, example: Any) -> WithJsonSchema:
    return WithJsonSchema(
        {"type": "array", "items": {}, "minItems": 1, "description": description, "examples": [example]}
    )


Pixels = Annotated[
    Tensor,
    PlainValidator(_numbers),
    _number_lists(
        "Pixel values, 0 to 255, row by row, in the model's own size: [height][width][channels], "
        "or [height][width] for a model with one channel.",
        [[0, 255], [255, 0]],
    ),
]
Encoded = Annotated[
    bytes,
    PlainValidator(_bytes),
    WithJsonSchema(
        {
            "type": "string",
            "contentEncoding": "base64",
            "description": "A whole PNG, JPEG, GIF or BMP file, of any size within the server's limit; "
            "read as people see it: upright, on white, of an animation the first frame.",
        }
    ),
]
Series = Annotated[
    Tensor,
    PlainValidator(_numbers),
    _number_lists(
        "Values at equal distances in time, the newest last; lists of values for a model of several features.",
        [1.5, 2.5, 3.5],
    ),
]


def _number(value: Any) -> Any:
    """Lets a whole number stand where JSON means a float, and nothing else that Python would convert."""
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


Level = Annotated[float, Field(gt=0, lt=1), BeforeValidator(_number)]

_MAX_FIELDS = 32
"""More than any message has; each unknown one costs a finding of its own."""


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True, protected_namespaces=())


class _Input(_Message):
    @model_validator(mode="before")
    @classmethod
    def _not_too_many(cls, fields: Any) -> Any:
        if isinstance(fields, dict) and len(fields) > _MAX_FIELDS:
            raise as_finding(invalid_input(Violation("", f"at most {_MAX_FIELDS} fields", str(len(fields)))))
        return fields


class OfModel(_Input):
    """A message about one model."""

    model: Annotated[str, Field(min_length=1, description="Name of the model.")]


class _Request(OfModel):
    version: Annotated[
        int | None, Field(ge=0, lt=2**63, description="Version of the model; by default the newest available.")
    ] = None
    label: Annotated[str | None, Field(min_length=1, description="Label of the version, in place of its number.")] = (
        None
    )

    @field_validator("label")
    @classmethod
    def _instead_of_version(cls, label: str | None, info: ValidationInfo) -> str | None:
        if label is not None and info.data.get("version") is not None:
            raise as_finding(invalid_input(Violation("", "either version or label", "both")))
        return label

    def wanted(self) -> ModelRef:
        """Returns which version of which model is wanted."""
        return ModelRef(self.model, self.version, self.label)


class ImageInput(_Input):
    """One image: either a file or pixels."""

    encoded: Encoded | None = None
    pixels: Pixels | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [name for name in ("encoded", "pixels") if getattr(self, name) is not None]
        if len(given) != 1:
            got = " and ".join(given) or "neither"
            raise as_finding(invalid_input(Violation("", "either encoded or pixels", got)))
        return self


class ClassifyRequest(_Request):
    """Images to classify."""

    images: Annotated[list[ImageInput], Field(min_length=1), FailFast()]  # or each of thousands has findings
    top_k: Annotated[
        int, Field(ge=1, lt=2**31, description="How many classes to return for each image, best first.")
    ] = DEFAULT_TOP_K


class ScoredClass(_Message):
    """A class and its probability."""

    label: str
    score: float


class Classification(_Message):
    """The classes of one image, best first."""

    classes: list[ScoredClass]
    ood_score: Annotated[
        float | None,
        Field(description="Above 1 where it is unlike what was trained on; absent where the model does not say."),
    ] = None


class ClassifyResponse(_Message):
    """One result for each image, in the order of the images."""

    model: str
    version: Annotated[int, Field(description="The version that answered.")]
    results: list[Classification]


class ForecastRequest(_Request):
    """Series to forecast."""

    series: Annotated[list[Series], Field(min_length=1, description="Each at least as long as the model's window.")]
    horizon: Annotated[
        int | None,
        Field(ge=1, lt=2**31, description="How many steps to forecast; by default all that the model gives."),
    ] = None
    quantiles: Annotated[
        list[Level], Field(description="Quantile levels to return, of those that the model knows; by default all.")
    ] = []


class QuantileForecast(_Message):
    """The value below which that share of outcomes should fall, for each step."""

    level: float
    values: list[float]


class SeriesForecast(_Message):
    """The forecast of one series, the nearest step first."""

    values: Annotated[list[float], Field(description="Point forecast for each step.")]
    quantiles: Annotated[list[QuantileForecast], Field(description="In ascending order of the levels.")]


class ForecastResponse(_Message):
    """One forecast for each series, in the order of the series."""

    model: str
    version: Annotated[int, Field(description="The version that answered.")]
    forecasts: list[SeriesForecast]


class GetModelRequest(_Request):
    """Which model to describe; all its versions unless one is named."""


class TensorInfo(_Message):
    """A tensor that a signature takes or gives."""

    name: str
    dtype: str
    shape: Annotated[list[int] | None, Field(description="-1 stands for any size; absent for an unknown rank.")] = None


class SignatureInfo(_Message):
    """Something that can be called on a SavedModel."""

    name: str
    method_name: str
    inputs: list[TensorInfo]
    outputs: list[TensorInfo]
    batched: Annotated[bool, Field(description="Whether requests that wait are merged, and large ones split.")]
    unbatched_reason: Annotated[str, Field(description="Why not; empty where they are.")]


class ImageClassifierInfo(_Message):
    """What an image classifier takes, and its classes."""

    height: int
    width: int
    channels: int
    labels: list[str]
    accepts_encoded: Annotated[bool, Field(description="Whether image files can be sent; pixels always can.")]


class ForecasterInfo(_Message):
    """What a forecaster takes and gives."""

    window: Annotated[int, Field(description="How many steps a series must have at least.")]
    features: int
    horizon: Annotated[int, Field(description="How many steps can be forecast at most.")]
    quantile_levels: list[float]


class ModelVersionInfo(_Message):
    """One version of a model."""

    version: int
    state: Annotated[str, Field(description="START, LOADING, AVAILABLE, STANDBY (not in memory), UNLOADING or END.")]
    error: Annotated[str, Field(description="Why it could not be loaded; empty when nothing went wrong.")] = ""
    kind: Annotated[str, Field(description="image_classifier, forecaster or generic; empty until it is loaded.")] = ""
    image_classifier: ImageClassifierInfo | None = None
    forecaster: ForecasterInfo | None = None
    signatures: list[SignatureInfo] = []


class VersionWeights(_Message):
    """What part of the requests each of several versions answers."""

    weights: Annotated[dict[str, int], Field(description="Weights by version; each has its part of their sum.")]


class ModelInfo(_Message):
    """A model, its versions newest first."""

    name: str
    versions: list[ModelVersionInfo]
    labels: Annotated[dict[str, int], Field(description="Versions by label; also of versions that are not there.")]
    splits: Annotated[
        dict[str, VersionWeights],
        Field(
            description="Of labels that several versions share, and, by the empty one, of requests that name neither "
            "version nor label: the weights. `labels` has the version of the largest."
        ),
    ] = {}
    problem: Annotated[str, Field(description="Why there is no version of it; empty where there is one.")] = ""


class ListModelsResponse(_Message):
    """Every model that the server knows."""

    models: list[ModelInfo]
