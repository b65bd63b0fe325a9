"""Errors as the Open Inference Protocol shows them over REST.

What is wrong with the input is 400 and everything that the server failed at is 500: its clients tell no more apart
than that. What they must tell apart to know whether to try again has a status of its own.
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
