"""``tensorgate train``: trains a model and publishes it."""

import argparse

from training import cli


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    cli.add_commands(parser)
    parser.set_defaults(run=cli.run)
