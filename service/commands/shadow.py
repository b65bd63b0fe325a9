"""``tensorgate shadow``: says how a version that gets copies of requests agrees with the one that answers them."""

import argparse
import sys

from service.commands.client import add_common, table
from tensorgate.client import Client
from tensorgate.v1 import tensorgate_pb2 as pb


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of ``tensorgate shadow``."""
    parser.add_argument("model", metavar="MODEL", help="name of the model")
    add_common(parser, _call_shadow)


def _call_shadow(client: Client, options: argparse.Namespace) -> None:
    answer = client.call("GetShadow", pb.GetShadowRequest(model=options.model))
    if not answer.declared and not options.json:
        sys.stdout.write(f"{answer.model} has no shadow\n")
        return
    with table(answer, options, "Copies", "Dropped", "Failed", "Unavailable", "Classes", "Numbers", "Run") as add_row:
        add_row(
            f"{answer.compared} compared, {answer.share:.3g} of all",
            str(answer.dropped),
            str(answer.failed) + (f": {answer.last_error}" if answer.last_error else ""),
            str(answer.unavailable),
            f"{answer.changed} of {answer.rows} changed" if answer.rows else "none named",
            _difference(answer),
            f"{1000 * answer.mean_seconds:.3g} ms, shadow {1000 * answer.shadow_mean_seconds:.3g} ms",
        )


def _difference(answer: pb.GetShadowResponse) -> str:
    if answer.HasField("largest_difference"):
        return f"at most {answer.largest_difference:.2g} apart" if answer.compared else ""
    return "outputs that cannot be compared"
