"""``tensorgate serve``: serves the models of a folder over gRPC and REST."""

import argparse
import asyncio
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.app.settings import PREFIX, RENAMED, Settings, SettingsError, fields, load
from service.errors import GatewayError

if TYPE_CHECKING:
    from service.app.lifecycle import Server
    from service.core.catalog import Catalog

logger = logging.getLogger(__name__)

BAD_USAGE = 2
_ALONE: dict[str, Any] = {"nargs": "?", "const": "true"}
"""Of a flag that may stand without a value."""
INTERRUPTED = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = (
        "Every setting can also be given by its environment variable, or in the settings file by its name\n"
        "(max_request_rows = 64). A flag goes before a variable, a variable before the file."
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        default=os.environ.get("TENSORGATE_CONFIG") or None,
        help="settings file, in TOML [TENSORGATE_CONFIG]",
    )
    for name, field in fields().items():
        default = field.get_default(call_default_factory=True, validated_data={})
        text = f"{field.description} [{PREFIX}{name.upper()}; default {default}]"
        parser.add_argument(
            "--" + name.replace("_", "-"),
            dest="setting_" + name,
            metavar="VALUE",
            help=text.replace("%", "%%"),
            **(_ALONE if field.annotation is bool else {}),
        )
    for name in RENAMED:
        parser.add_argument("--" + name.replace("_", "-"), dest="setting_" + name, help=argparse.SUPPRESS)
    parser.set_defaults(run=_serve)


def _serve(options: argparse.Namespace) -> int:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until it can be handled
    prefix = "setting_"
    flags = {
        name.removeprefix(prefix): value
        for name, value in vars(options).items()
        if name.startswith(prefix) and value is not None
    }
    warnings: list[str] = []  # until it is known how the log is to look
    try:
        settings = load(flags, options.config, warnings.append)
    except SettingsError as error:
        return _report_error(str(error))
    settings.prepare(os.environ)
    return _run(settings, warnings)


def _run(settings: Settings, warnings: list[str]) -> int:
    """Serves; imports what that takes now, as settings decide how it is to be."""
    import uvloop  # noqa: PLC0415

    from service.app.output import Output  # noqa: PLC0415
    from service.app.process import serve  # noqa: PLC0415
    from service.backends.registry import BackendChoiceError  # noqa: PLC0415

    output = Output(level=settings.log_level, style=settings.log_format)
    status = 0
    try:
        uvloop.run(serve(settings, lambda server: output.announce(_announcement(settings, server)), warnings))
    except (BackendChoiceError, GatewayError) as error:
        status = _fail(str(error))
    except OSError as error:
        status = _fail(f"{error.strerror} (--host, --rest-port, --grpc-port, --admin-address)")
    except asyncio.CancelledError:
        status = INTERRUPTED
    # A run of TensorFlow cannot be interrupted, and an ordinary exit would wait for its thread. Nobody waits for its
    # result any more: what was in flight has been answered or given up.
    output.close()
    os._exit(status)


def _announcement(settings: Settings, server: "Server") -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    readiness = server.catalog.readiness()
    served = ", ".join(name for name, ready in readiness.items() if ready)
    not_served = [f"{name} ({_reason(server.catalog, name)})" for name, ready in readiness.items() if not ready]
    scheme = "http" if settings.tls_certificate is None else "https"
    return (
        f"Tensorgate serves {served}: REST on {scheme}://{host}:{server.rest_port} "
        f"(try /docs), gRPC on {host}:{server.grpc_port}" + (f"; not {', '.join(not_served)}" if not_served else "")
    )


def _fail(message: str) -> int:
    logger.critical("%s", message)
    return BAD_USAGE


def _reason(catalog: "Catalog", name: str) -> str:
    """Returns why no version of a model can answer."""
    versions = catalog.versions(name) if name in catalog else ()
    reasons = [f"version {entry.version}: {entry.error or entry.state.value}" for entry in versions]
    return "; ".join(reasons) or "nothing is known of its versions yet"


def _report_error(message: str) -> int:
    sys.stderr.write(f"tensorgate: {message}\n")
    return BAD_USAGE
