"""Errors as gRPC shows them: a code, a message, and google.rpc.Status in the trailing metadata."""

from bisect import bisect_right
from collections.abc import Callable, Mapping

from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from service.errors import ErrorKind, GatewayError
from service.seam.statuses import Code

STATUS_DETAILS = "grpc-status-details-bin"
ERROR_CODE = "tensorgate-code"
"""The trailer with the stable code, for clients that do not decode the details."""
DOMAIN = "tensorgate"

# Clients take 8 KiB of trailing metadata; of more they show no code, no text and no details. A status travels there as
# base64, four bytes for three, beside its message, in which a byte that is not printable ASCII becomes three.
_MAX_MESSAGE = 2048
_MAX_STATUS = 3584
_MAX_FIELD = 320
_MAX_DESCRIPTION = 640
_ANY_SIZE = 80
"""What it takes to pack a message: the address of its type, and lengths."""
_MORE = "…"


def status(error: GatewayError, request_id: str, codes: Mapping[ErrorKind, Code]) -> status_pb2.Status:
    """Returns the error as google.rpc.Status.

    It carries an ErrorInfo with the stable code and the request id; for bad input a BadRequest with each violation;
    for what may be tried again a RetryInfo, and for a limit that is used up a QuotaFailure. It is no longer than
    clients take: the message may be cut, and the last of many violations left out.
    """
    found = status_pb2.Status(code=codes[error.kind], message=_cut(error.message, _MAX_MESSAGE, _escaped_size))
    info = error_details_pb2.ErrorInfo(reason=error.kind.value, domain=DOMAIN, metadata={"request_id": request_id})
    found.details.add().Pack(info)
    if (seconds := error.retry_after) is not None:
        found.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=Duration(seconds=seconds)))
    if error.limit:
        violation = error_details_pb2.QuotaFailure.Violation(
            subject=error.limit, description=_cut(error.message, _MAX_DESCRIPTION)
        )
        found.details.add().Pack(error_details_pb2.QuotaFailure(violations=[violation]))
    if error.violations:
        found.details.add().Pack(_bad_request(error, _MAX_STATUS - found.ByteSize() - _ANY_SIZE))
    return found


def _bad_request(error: GatewayError, size: int) -> error_details_pb2.BadRequest:
    """Returns the violations, the first ones first, as many as go into that many bytes."""
    message = error_details_pb2.BadRequest()
    for violation in error.violations:
        message.field_violations.add(
            field=_cut(violation.where, _MAX_FIELD),
            description=_cut(f"expected {violation.expected}, got {violation.got}", _MAX_DESCRIPTION),
            reason=error.kind.value.upper(),
        )
        if message.ByteSize() > size:
            del message.field_violations[-1]
            break
    return message


def _size(text: str) -> int:
    return len(text.encode())


def _escaped_size(text: str) -> int:
    return sum(1 if " " <= character <= "~" and character != "%" else 3 * _size(character) for character in text)


def _cut(text: str, size: int, size_of: Callable[[str], int] = _size) -> str:
    """Returns the text, cut between two characters where it is larger than that."""
    if len(text) <= size and size_of(text) <= size:
        return text
    text = text[:size]  # no character takes less than one byte
    too_long = bisect_right(range(len(text)), size - size_of(_MORE), key=lambda end: size_of(text[:end]))
    return text[: too_long - 1] + _MORE
