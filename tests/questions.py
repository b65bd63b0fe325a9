"""What a test asks of any generic protocol, and what came back: in no protocol's terms."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import grpc
import httpx
import ml_dtypes
import numpy as np
from google.rpc import error_details_pb2, status_pb2

from tests.real_server import RealServer

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Said:
    """What came back: outputs by name and the version that answered, or a code with what was wrong."""

    code: str
    outputs: Mapping[str, Array] = field(default_factory=dict)
    version: int = 0
    message: str = ""
    where: tuple[str, ...] = ()
    status: Any = None


@dataclass(frozen=True, slots=True)
class Question:
    """What to predict.

    Attributes:
        version: A number, or a label.
        outputs: Those that are wanted; all when empty.
    """

    model: str
    inputs: Mapping[str, Array]
    version: int | str | None = None
    signature: str = ""
    outputs: Sequence[str] = ()


class Speaker(Protocol):
    """One protocol."""

    async def ask(self, server: RealServer, question: Question) -> Said:
        """Asks a question."""


def texts(values: Sequence[str | bytes]) -> Array:
    """Returns strings as a tensor."""
    array = np.empty(len(values), object)
    array[:] = [value.encode() if isinstance(value, str) else value for value in values]
    return array


def rpc_error(error: grpc.aio.AioRpcError) -> Said:
    """Reads an error of either gRPC protocol."""
    metadata = dict(iter(error.trailing_metadata() or ()))
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    assert (status.code, status.message) == (error.code().value[0], error.details())
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        detail.Unpack(info) or detail.Unpack(bad)
    where = tuple(violation.field for violation in bad.field_violations)
    return Said(info.reason, message=str(error.details()), where=where, status=error.code())


def rest_error(response: httpx.Response) -> Said:
    """Reads an error of either REST protocol."""
    body = response.json()
    assert body["request_id"] == response.headers["x-request-id"]
    where = tuple(detail["where"] for detail in body["details"])
    return Said(body["code"], message=body["error"], where=where, status=response.status_code)


def jsonable(array: Array) -> Any:
    """Returns a tensor as nested lists; strings as objects with base64."""
    if array.dtype == object:
        flat = np.empty(array.size, object)
        flat[:] = [{"b64": base64.b64encode(value).decode()} for value in array.ravel()]
        return flat.reshape(array.shape).tolist()
    if array.dtype.kind == "c":
        array = array.real  # JSON has none
    return array.astype(np.float32).tolist() if array.dtype == ml_dtypes.bfloat16 else array.tolist()
