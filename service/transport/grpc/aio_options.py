"""The options of the ``grpcio`` server: limits that hold before there is a call to refuse."""

from collections.abc import Sequence

from service.transport.tls import HANDSHAKE_SECONDS

_INT32_MAX = 2**31 - 1
_OVER_LIMIT = 1024 * 1024
"""Messages that exceed the limit by no more than this are refused with an error of ours."""
_MAX_CALLS = 1024
"""Calls of one connection at a time; clients keep the next ones back. More than are admitted by default."""
_MAX_AGE_MS = 30 * 60 * 1000
"""Connections are renewed now and then, so that clients behind a balancer find new replicas."""
_KEEPALIVE_MS = 60 * 1000
_KEEPALIVE_TIMEOUT_MS = 20 * 1000
_MIN_PING_INTERVAL_MS = 100
_HANDSHAKE_MS = round(HANDSHAKE_SECONDS * 1000)


def server_options(max_request_bytes: int) -> Sequence[tuple[str, int]]:
    """Returns the options.

    Args:
        max_request_bytes: How long a message may be.
    """
    return [
        # The library's own refusal lacks all details, so it is left for what is well over the limit. Not for much more:
        # what has come of a message is held outside all other limits.
        ("grpc.max_receive_message_length", min(max_request_bytes + _OVER_LIMIT, _INT32_MAX)),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_concurrent_streams", _MAX_CALLS),
        ("grpc.max_connection_age_ms", _MAX_AGE_MS),
        # Notices clients that are gone without a word, and frees what has come of their messages.
        ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
        # Clients may send keepalive pings, too; by default their connection is closed for it.
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", _MIN_PING_INTERVAL_MS),
        ("grpc.server_handshake_timeout_ms", _HANDSHAKE_MS),
        # Otherwise a second server on the same port would silently take some of its calls.
        ("grpc.so_reuseport", 0),
    ]
