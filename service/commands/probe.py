"""``tensorgate probe``: checks whether a running server can answer; health checks run it, so it imports little."""

import argparse
import os
import socket
import sys

from service.commands.tls import add_tls

FAILED = 1
_DEFAULT_PORT = "8000"
_SERVER_CERTIFICATE, _SERVER_KEY = "TENSORGATE_TLS_CERTIFICATE", "TENSORGATE_TLS_KEY"
"""Settings of the server, which a health check in its container finds in the environment."""
_LONGEST_ANSWER = 1 << 20
_READY = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument("--host", default="127.0.0.1", help="of the server (default: 127.0.0.1)")
    parser.add_argument(
        "--rest-port",
        type=int,
        default=os.environ.get("TENSORGATE_REST_PORT") or _DEFAULT_PORT,
        metavar="PORT",
        help=f"of the server's REST [TENSORGATE_REST_PORT; {_DEFAULT_PORT}]",
    )
    parser.add_argument(
        "--live", action="store_true", help="ask whether the process works, and not whether its models can answer"
    )
    parser.add_argument(
        "--tls", action="store_true", help="ask with TLS; so it does where TENSORGATE_TLS_CERTIFICATE is set, too"
    )
    add_tls(parser)
    parser.add_argument("--timeout", type=float, default=2.0, metavar="SECONDS", help="for the answer (default: 2)")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    path = "/livez" if options.live else "/readyz"
    try:
        status, body = _get(options, path)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"tensorgate: {options.host}:{options.rest_port}{path}: {error}\n")
        return FAILED
    sys.stdout.write(f"{body}\n")
    return 0 if status == _READY else FAILED


def _get(options: argparse.Namespace, path: str) -> tuple[int, str]:
    """Returns status and body of an answer.

    HTTP/1.0 over a plain socket: the server then ends the connection after an answer that is in one piece, and
    ``http.client`` would take longer to import than all of this.

    Raises:
        OSError: When the server cannot be reached, or does not answer in time.
        ValueError: When what answers does not speak HTTP.
    """
    name = f"[{options.host}]" if ":" in options.host else options.host
    with _connected(options) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while len(answer) < _LONGEST_ANSWER and (part := connection.recv(65_536)):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    protocol, _, rest = head.partition(b" ")
    if not protocol.startswith(b"HTTP/"):
        raise ValueError("what answers does not speak HTTP")
    return int(rest[:3]), body.decode("utf-8", "replace")


def _connected(options: argparse.Namespace) -> socket.socket:
    connection = socket.create_connection((options.host, options.rest_port), options.timeout)
    if not (options.tls or options.tls_ca or os.environ.get(_SERVER_CERTIFICATE)):
        return connection
    import ssl  # noqa: PLC0415  # takes longer to import than all of this

    context = ssl.create_default_context(cafile=options.tls_ca)
    if options.tls_ca is None:
        # It is a server of this machine, under an address that its certificate need not name.
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    # A server that is to be shown a certificate is shown its own, where there is no other.
    certificate = options.tls_certificate or os.environ.get(_SERVER_CERTIFICATE)
    if certificate:
        context.load_cert_chain(certificate, options.tls_key or os.environ.get(_SERVER_KEY))
    return context.wrap_socket(connection, server_hostname=options.host)
