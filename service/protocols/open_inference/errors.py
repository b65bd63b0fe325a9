"""Errors as the Open Inference Protocol shows them over REST.

Errors in the input are 400 and failures of the server 500: its clients distinguish no more than that. What they must
distinguish to know whether to retry has a status of its own.
"""

from service.codecs.json_tensor import dump_json
from service.errors import GatewayError
from service.seam import statuses
from service.seam.http import HttpResponse

STATUS = statuses.HTTP
CODES = statuses.GRPC


def error_response(error: GatewayError, request_id: str) -> HttpResponse:
    """Returns the error as a response: ``error`` is the protocol's, the other members are ours."""
    body = {
        "error": error.message,
        "code": error.kind.value,
        "details": error.details(),
        "request_id": request_id,
    }
    return HttpResponse(dump_json(body), STATUS[error.kind])
