"""The typed API's two transports behind one face, so that a test can say the same to both."""

import base64
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

import grpc
import httpx
from google.protobuf.json_format import MessageToDict
from google.rpc import error_details_pb2, status_pb2

from tensorgate.v1 import tensorgate_pb2 as pb
from tests.conftest import Served

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came back: an answer, or a code with what was wrong."""

    code: str
    answer: Json = field(default_factory=dict)
    message: str = ""
    where: tuple[str, ...] = ()
    request_id: str = ""


def problem_outcome(response: httpx.Response) -> Outcome:
    """Reads a REST response."""
    if response.is_success:
        return Outcome("ok", response.json(), request_id=response.headers["x-request-id"])
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == response.status_code
    assert body["request_id"] == response.headers["x-request-id"]
    where = tuple(error["where"] for error in body["errors"])
    return Outcome(body["code"], message=body["detail"], where=where, request_id=body["request_id"])


def status_outcome(status: status_pb2.Status) -> Outcome:
    """Reads google.rpc.Status."""
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    assert any(detail.Unpack(info) for detail in status.details)
    assert info.domain == "tensorgate"
    for detail in status.details:
        detail.Unpack(bad)
    where = tuple(violation.field for violation in bad.field_violations)
    return Outcome(info.reason, message=status.message, where=where, request_id=info.metadata["request_id"])


def error_outcome(error: grpc.aio.AioRpcError) -> Outcome:
    """Reads a gRPC error."""
    metadata = dict(iter(error.trailing_metadata() or ()))
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    assert status.code == error.code().value[0]
    assert status.message == error.details()
    assert metadata["x-request-id"]
    return status_outcome(status)


class Rest:
    """Says it over REST."""

    def __init__(self, served: Served) -> None:
        self._rest = served.rest

    async def classify(self, model: str, **fields: Any) -> Outcome:
        return await self._post(model, "classify", fields)

    async def forecast(self, model: str, **fields: Any) -> Outcome:
        return await self._post(model, "forecast", fields)

    async def models(self) -> Outcome:
        return problem_outcome(await self._rest.get("/api/v1/models"))

    async def model(self, model: str, **fields: Any) -> Outcome:
        return _of_model(await self._rest.get(f"/api/v1/models/{model}", params=fields))

    async def card(self, model: str, **fields: Any) -> Outcome:
        return problem_outcome(await self._rest.get(f"/api/v1/models/{model}/card", params=fields))

    async def plot(self, model: str, plot: str, **fields: Any) -> Outcome:
        """The answer has the fields that gRPC has."""
        path = f"/api/v1/models/{model}/card/{quote(plot, safe='')}"
        response = await self._rest.get(path, params=fields)
        if response.is_success:
            data = base64.b64encode(response.content).decode()
            return Outcome("ok", {"data": data, "media_type": response.headers["content-type"]})
        return problem_outcome(response)

    async def set_label(self, model: str, label: str, **fields: Any) -> Outcome:
        return _of_model(await self._rest.put(_label_path(model, label), json=fields))

    async def delete_label(self, model: str, label: str) -> Outcome:
        return _of_model(await self._rest.delete(_label_path(model, label)))

    async def _post(self, model: str, verb: str, fields: Json) -> Outcome:
        body = {name: _jsonable(value) for name, value in fields.items()}
        return problem_outcome(await self._rest.post(f"/api/v1/models/{model}/{verb}", json=body))


def _label_path(model: str, label: str) -> str:
    return f"/api/v1/models/{model}/labels/{quote(label, safe='')}"


def _of_model(response: httpx.Response) -> Outcome:
    """Reads a response whose body is what gRPC has as a field."""
    outcome = problem_outcome(response)
    return replace(outcome, answer={"model": outcome.answer})


class Grpc:
    """Says it over gRPC."""

    def __init__(self, served: Served) -> None:
        self._stub = served.stub

    async def classify(self, model: str, **fields: Any) -> Outcome:
        return await self._call(self._stub.Classify, classify_request(model, **fields))

    async def forecast(self, model: str, **fields: Any) -> Outcome:
        return await self._call(self._stub.Forecast, forecast_request(model, **fields))

    async def models(self) -> Outcome:
        return await self._call(self._stub.ListModels, pb.ListModelsRequest())

    async def model(self, model: str, **fields: Any) -> Outcome:
        return await self._call(self._stub.GetModel, pb.GetModelRequest(model=model, **fields))

    async def card(self, model: str, **fields: Any) -> Outcome:
        return await self._call(self._stub.GetCard, pb.GetCardRequest(model=model, **fields))

    async def plot(self, model: str, plot: str, **fields: Any) -> Outcome:
        return await self._call(self._stub.GetPlot, pb.GetPlotRequest(model=model, plot=plot, **fields))

    async def set_label(self, model: str, label: str, **fields: Any) -> Outcome:
        return await self._call(self._stub.SetLabel, pb.SetLabelRequest(model=model, label=label, **fields))

    async def delete_label(self, model: str, label: str) -> Outcome:
        return await self._call(self._stub.DeleteLabel, pb.DeleteLabelRequest(model=model, label=label))

    async def _call(self, method: Any, request: Any) -> Outcome:
        try:
            answer = await method(request)
        except grpc.aio.AioRpcError as error:
            return error_outcome(error)
        return Outcome("ok", as_json(answer))


def classify_request(model: str, images: Any, **fields: Any) -> pb.ClassifyRequest:
    """Makes the message of the fields that REST takes."""
    return pb.ClassifyRequest(model=model, images=[_image(image) for image in images], **fields)


def forecast_request(model: str, series: Any, **fields: Any) -> pb.ForecastRequest:
    """Makes the message of the fields that REST takes."""
    return pb.ForecastRequest(model=model, series=[pb.Series(values=values) for values in series], **fields)


def as_json(message: Any) -> Json:
    """Returns a message as REST would write it: integers as numbers, float32 as such."""
    made: Json = _integers(
        MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    )
    return made


def _integers(value: Any) -> Any:
    if isinstance(value, dict):
        made = {name: _integer(name, item) for name, item in value.items()}
        if made.pop("unknown_rank", False):
            del made["shape"]
        return made
    return [_integers(item) for item in value] if isinstance(value, list) else value


def _integer(name: str, item: Any) -> Any:
    if name in {"version", "height", "width", "channels", "window", "features", "horizon", "bytes"}:
        return int(item)
    if name == "shape":
        return [int(size) for size in item]
    if name == "labels" and isinstance(item, dict):  # those of versions, not of classes
        return {label: int(version) for label, version in item.items()}
    return _integers(item)


def _image(image: Json) -> pb.Image:
    if "pixels" in image:
        shape, values = [], image["pixels"]
        while isinstance(values, list):
            shape.append(len(values))
            values = values[0]
        return pb.Image(pixels=pb.Pixels(shape=shape, values=_flat(image["pixels"])))
    return pb.Image(**image)


def _flat(values: Any) -> list[float]:
    return [number for value in values for number in _flat(value)] if isinstance(values, list) else [values]


def _jsonable(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {name: _jsonable(item) for name, item in value.items()}
    return [_jsonable(item) for item in value] if isinstance(value, list) else value
