"""The ``tensorgate`` command. Each sub-command imports what it needs when it is chosen."""

import argparse
import contextlib
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from service import __version__

if TYPE_CHECKING:
    from service.runtime import Runtime
    from service.settings import Settings
    from service.workers.worker import Worker

FAILED = 1
BAD_USAGE = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    chosen = next((argument for argument in arguments if not argument.startswith("-")), "")
    options = _parser(chosen).parse_args(arguments)
    try:
        status = int(options.run(options))
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        # What could not be written is lost; Python would try again on its way out, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _complain(f"the output could not be written: {error.strerror}", FAILED)
    return status


def _parser(chosen: str) -> argparse.ArgumentParser:
    """Returns the parser; only the chosen sub-command's options are made, as making them can import much."""
    parser = argparse.ArgumentParser(
        prog="tensorgate", description="Trains TensorFlow models and serves them over gRPC and REST."
    )
    parser.add_argument("--version", action="version", version=f"tensorgate {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")
    for name, (add, summary) in _COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        if name == chosen:
            add(command)
    return parser


def _add_train(parser: argparse.ArgumentParser) -> None:
    import training.cli as training

    training.add_commands(parser)
    parser.set_defaults(run=training.run)


def _add_serve(parser: argparse.ArgumentParser) -> None:
    from service.settings import PREFIX, Settings

    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = (
        "Every setting can also be given by its environment variable, or in the settings file by its name\n"
        "(max_batch_rows = 64). A flag goes before a variable, a variable before the file."
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        default=os.environ.get("TENSORGATE_CONFIG") or None,
        help="settings file, in TOML [TENSORGATE_CONFIG]",
    )
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True, validated_data={})
        text = f"{field.description} [{PREFIX}{name.upper()}; default {default}]"
        parser.add_argument(
            "--" + name.replace("_", "-"),
            dest="setting_" + name,
            metavar="VALUE",
            help=text.replace("%", "%%"),
        )
    parser.set_defaults(run=_serve)


def _serve(options: argparse.Namespace) -> int:
    from service.settings import SettingsError, load
    from service.workers.worker import Worker

    worker = Worker.here()
    complain = _complain if worker is None else worker.complain
    prefix = "setting_"
    flags = {
        name.removeprefix(prefix): value
        for name, value in vars(options).items()
        if name.startswith(prefix) and value is not None
    }
    try:
        settings = load(flags, options.config)
        if settings.workers > 1 and worker is None:
            from service.workers.supervisor import supervise

            return supervise(settings)
    except SettingsError as error:
        complain(str(error))
        return BAD_USAGE
    except OSError as error:
        complain(f"{error.strerror} (--host, --rest-port, --grpc-port)")
        return BAD_USAGE
    return _serve_here(settings, worker, complain)


def _serve_here(settings: "Settings", worker: "Worker | None", complain: Callable[[str], object]) -> int:
    """Serves in this process."""
    import asyncio

    import uvloop

    from service.backends.registry import BackendChoiceError
    from service.errors import GatewayError
    from service.serving import serve

    async def announce(runtime: "Runtime") -> None:
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        names = ", ".join(runtime.catalog.names())
        text = (
            f"Tensorgate serves {names}: REST on http://{host}:{runtime.rest_port} (try /docs), "
            f"gRPC on {host}:{runtime.grpc_port}\n"
        )
        if worker is not None:
            await worker.serving(text)
        else:
            with contextlib.suppress(OSError):  # nobody reads it: no reason not to serve
                sys.stdout.write(text)
                sys.stdout.flush()

    status = 0
    try:
        uvloop.run(serve(settings, announce, worker))
    except (BackendChoiceError, GatewayError) as error:
        complain(str(error))
        return BAD_USAGE
    except OSError as error:
        complain(f"{error.strerror} (--host, --rest-port, --grpc-port)")
        return BAD_USAGE
    except asyncio.CancelledError:
        status = INTERRUPTED
    # A run of TensorFlow cannot be interrupted, and an ordinary exit would wait for its thread. Nobody waits for its
    # result any more: what was in flight has been answered or given up.
    logging.shutdown()
    os._exit(status)


def _add_models(parser: argparse.ArgumentParser) -> None:
    from service import questions

    questions.add_models(parser)


def _add_label(parser: argparse.ArgumentParser) -> None:
    from service import questions

    questions.add_label(parser)


def _add_classify(parser: argparse.ArgumentParser) -> None:
    from service import questions

    questions.add_classify(parser)


def _add_forecast(parser: argparse.ArgumentParser) -> None:
    from service import questions

    questions.add_forecast(parser)


def _add_model_config(parser: argparse.ArgumentParser) -> None:
    from service import model_config_command

    model_config_command.add_arguments(parser)


def _add_probe(parser: argparse.ArgumentParser) -> None:
    from service import probe

    probe.add_arguments(parser)


def _complain(message: str, status: int = BAD_USAGE) -> int:
    sys.stderr.write(f"tensorgate: {message}\n")
    return status


_COMMANDS = {
    "train": (_add_train, "train a model and publish it"),
    "serve": (_add_serve, "serve the models of a folder over gRPC and REST"),
    "models": (_add_models, "list the models of a running server"),
    "label": (_add_label, "put a label on a version of a model of a running server, or take it away"),
    "classify": (_add_classify, "have a running server classify image files"),
    "forecast": (_add_forecast, "have a running server forecast a series from a CSV file"),
    "model-config": (_add_model_config, "write the list of a folder's models that TensorFlow Serving reads"),
    "probe": (_add_probe, "ask a running server whether it is ready, for health checks"),
}
