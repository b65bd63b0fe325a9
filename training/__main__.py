"""Runs the training commands alone: `python -m training classifier ...`."""

import argparse
import sys

from training import cli


def main() -> int:
    """Parses the command line, trains, and returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m training", description="Train, evaluate and publish models.")
    cli.add_commands(parser)
    return cli.run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
