"""Errors as the Open Inference Protocol shows them over REST.

Errors in the input are 400 and failures of the server 500: its clients distinguish no more than that. What they must
distinguish to know whether to retry has a status of its own.
"""

import re

from service.codecs.json_tensor import dump_json
from service.codecs.open_inference import DATATYPES
from service.errors import GatewayError, Violation, invalid_input
from service.seam import statuses
from service.seam.http import HttpResponse

STATUS = statuses.HTTP
CODES = statuses.GRPC

_DTYPE = re.compile(r"\bdtype (\w+)")


def with_datatypes(error: GatewayError) -> GatewayError:
    """Returns the error with this protocol's name of each dtype beside TensorFlow's."""
    if not error.violations:
        return error
    named = [Violation(one.where, _named(one.expected), _named(one.got)) for one in error.violations]
    return invalid_input(*named, kind=error.kind)


def _named(text: str) -> str:
    return _DTYPE.sub(lambda found: f"{found[0]} ({DATATYPES.get(found[1], 'not of this protocol')})", text)


def error_response(error: GatewayError, request_id: str) -> HttpResponse:
    """Returns the error as a response: ``error`` is the protocol's, the other members are ours."""
    body = {
        "error": error.message,
        "code": error.kind.value,
        "details": error.details(),
        "request_id": request_id,
    }
    return HttpResponse(dump_json(body), STATUS[error.kind])
