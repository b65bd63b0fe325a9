"""The ``tensorgate`` command. Each sub-command is imported when it is chosen."""

import argparse
import importlib
import os
import re
import sys
from collections.abc import Sequence

from service import __version__
from service.errors import not_installed

FAILED = 1
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    chosen = next((argument for argument in arguments if not argument.startswith("-")), "")
    parser = _parser(chosen)
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}{_nearest(unknown[0], options.usage())}")
    try:
        status = int(options.run(options))
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        # What could not be written is lost; Python would try again on its way out, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.stderr.write(f"tensorgate: the output could not be written: {error.strerror}\n")
        return FAILED
    return status


def _parser(chosen: str) -> argparse.ArgumentParser:
    """Returns the parser; only the chosen sub-command's options are made, as making them can import much."""
    parser = argparse.ArgumentParser(
        prog="tensorgate", description="Trains TensorFlow models and serves them over gRPC and REST."
    )
    parser.add_argument("--version", action="version", version=f"tensorgate {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")
    for name, (module, summary) in _COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        if name == chosen:
            try:
                importlib.import_module(module).add_arguments(command)
            except ModuleNotFoundError as error:
                extra = "training" if name == "train" else "server"
                command.error(not_installed(error.name, extra))
            command.set_defaults(usage=command.format_usage)
    return parser


def _nearest(unknown: str, usage: str) -> str:
    from service.app.settings_loading import nearest  # noqa: PLC0415  # imports much, and only this needs it

    return nearest(unknown.partition("=")[0], re.findall(r"--[\w-]+", usage), prefix="--")


_COMMANDS = {
    "train": ("service.commands.train", "train a model and publish it"),
    "serve": ("service.commands.serve", "serve the models of a folder over gRPC and REST"),
    "init": ("service.commands.init", "write a folder to serve models from, with settings and a Compose file"),
    "check": ("service.commands.check", "load a SavedModel, and say what this server would make of it"),
    "models": ("service.commands.models", "list the models of a running server; pull them from stores, push them"),
    "drift": ("service.commands.drift", "say how far what a model is asked is from what it was trained on"),
    "label": ("service.commands.label", "put a label on a version of a model of a running server, or take it away"),
    "rollout": ("service.commands.rollout", "give a new version more and more of a model's requests, under guards"),
    "shadow": ("service.commands.shadow", "say how a version that gets copies of requests agrees with the others"),
    "classify": ("service.commands.classify", "have a running server classify image files"),
    "forecast": ("service.commands.forecast", "have a running server forecast a series from a CSV file"),
    "replay": ("service.commands.replay", "send recorded requests to a server, and compare its answers"),
    "model-config": (
        "service.commands.model_config",
        "write the list of a folder's models that TensorFlow Serving reads",
    ),
    "keys": ("service.commands.keys", "make, list and take back the keys of those who may ask a server"),
    "trust": ("service.commands.trust", "list the files of versions that a server may load, or sign them"),
    "probe": ("service.commands.probe", "ask a running server whether it is ready, for health checks"),
}
"""The module of each: its ``add_arguments`` sets what the command runs."""
