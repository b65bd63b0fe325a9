"""Errors as gRPC shows them: a code for each kind, and google.rpc.Status in the trailing metadata.

The table here is the typed API's, and of all that has no other; the other protocols bring theirs.
"""

from collections.abc import Mapping

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from service.errors import ErrorKind, GatewayError

STATUS_DETAILS = "grpc-status-details-bin"
DOMAIN = "tensorgate"
_RETRY_AFTER_SECONDS = 1

Codes = Mapping[ErrorKind, grpc.StatusCode]

CODE: dict[ErrorKind, grpc.StatusCode] = {
    ErrorKind.MALFORMED: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorKind.INVALID_INPUT: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorKind.UNSUPPORTED_FORMAT: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorKind.WRONG_MODEL_KIND: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorKind.TOO_LARGE: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorKind.MODEL_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    ErrorKind.LABEL_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    ErrorKind.SIGNATURE_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    ErrorKind.NOT_FOUND: grpc.StatusCode.UNIMPLEMENTED,
    ErrorKind.METHOD_NOT_ALLOWED: grpc.StatusCode.UNIMPLEMENTED,
    ErrorKind.NOT_SUPPORTED: grpc.StatusCode.UNIMPLEMENTED,
    ErrorKind.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
    ErrorKind.FAILED_PRECONDITION: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorKind.LOAD_FAILED: grpc.StatusCode.INTERNAL,
    ErrorKind.NOT_READY: grpc.StatusCode.UNAVAILABLE,
    ErrorKind.OVERLOADED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorKind.BACKEND_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    ErrorKind.TIMEOUT: grpc.StatusCode.DEADLINE_EXCEEDED,
    ErrorKind.BACKEND_FAILED: grpc.StatusCode.INTERNAL,
    ErrorKind.CANCELLED: grpc.StatusCode.CANCELLED,
    ErrorKind.INTERNAL: grpc.StatusCode.INTERNAL,
}


def status(error: GatewayError, request_id: str, codes: Codes = CODE) -> status_pb2.Status:
    """Returns the error as google.rpc.Status.

    It carries an ErrorInfo with the stable code and the request id; for bad input a BadRequest with each violation;
    for what may be tried again a RetryInfo.
    """
    details = [error_details_pb2.ErrorInfo(reason=error.kind.value, domain=DOMAIN, metadata={"request_id": request_id})]
    if error.violations:
        details.append(
            error_details_pb2.BadRequest(
                field_violations=[
                    error_details_pb2.BadRequest.FieldViolation(
                        field=violation.where,
                        description=f"expected {violation.expected}, got {violation.got}",
                        reason=error.kind.value.upper(),
                    )
                    for violation in error.violations
                ]
            )
        )
    if error.kind.retryable:
        details.append(error_details_pb2.RetryInfo(retry_delay=Duration(seconds=_RETRY_AFTER_SECONDS)))
    packed = [Any() for _ in details]
    for holder, detail in zip(packed, details, strict=True):
        holder.Pack(detail)
    number: int = codes[error.kind].value[0]
    return status_pb2.Status(code=number, message=error.message, details=packed)
