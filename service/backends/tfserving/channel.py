"""The gRPC channel to one replica."""

import errno
from collections.abc import Callable
from pathlib import Path

import grpc
from grpc import aio

from service.backends.registry import TfServingOptions

_OPTIONS: list[tuple[str, int]] = [
    # What a request or an answer may hold is bounded elsewhere: here either limit would only lose answers.
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # Each replica is a peer of its own: no connection is shared, no proxy stands between, no name configures it.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.service_config_disable_resolution", 1),
    # A replica that restarts is to be found again soon, under whatever address it has then.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 2000),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.dns_min_time_between_resolutions_ms", 1000),
    # No keep-alive pings: servers send clients away that ping more often than every five minutes, and the probes do
    # the same work within seconds.
]


def channels(settings: TfServingOptions) -> Callable[[str], aio.Channel]:
    """Returns what makes a channel to a gRPC target; the files are read once.

    Raises:
        OSError: When a file cannot be read, or is no PEM file.
    """
    if settings.ca is None:
        return lambda target: aio.insecure_channel(target, _OPTIONS)
    credentials = grpc.ssl_channel_credentials(
        root_certificates=_pem(settings.ca),
        private_key=None if settings.key is None else _pem(settings.key),
        certificate_chain=None if settings.certificate is None else _pem(settings.certificate),
    )
    options: list[tuple[str, int | str]] = [*_OPTIONS]
    if settings.server_name:
        options.append(("grpc.ssl_target_name_override", settings.server_name))
    return lambda target: aio.secure_channel(target, credentials, options)


def _pem(file: Path) -> bytes:
    data = file.read_bytes()
    if b"-----BEGIN " not in data:  # gRPC would take it, and complain at every call
        raise OSError(errno.EINVAL, "it is no PEM file", str(file))
    return data
