"""``tensorgate drift``: says how far what a model of a running server is asked is from what it was trained on."""

import argparse
import sys

from service.commands.client import add_common, table
from tensorgate.client import Client
from tensorgate.v1 import tensorgate_pb2 as pb


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of ``tensorgate drift``."""
    parser.add_argument("model", metavar="MODEL", help="name of the model")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--model-version", type=int, metavar="N", help="the newest by default")
    which.add_argument("--model-label", metavar="LABEL", help="the version that bears it")
    add_common(parser, _call_drift)


def _call_drift(client: Client, options: argparse.Namespace) -> None:
    request = pb.GetDriftRequest(model=options.model, version=options.model_version, label=options.model_label)
    answer = client.call("GetDrift", request)
    if not answer.watched and not options.json:
        sys.stdout.write(
            f"version {answer.version} of {answer.model} is not watched for drift: {answer.unwatched_reason}\n"
        )
        return
    columns = ("Signature", "Tensor", "Statistic", "Reference rows", "Rows seen", "PSI", "Test", "p", "Verdict")
    with table(answer, options, *columns) as add_row:
        for one in answer.statistics:
            add_row(
                one.signature,
                f"{one.tensor} ({one.side})",
                one.statistic,
                f"{one.reference_rows:.0f}",
                f"{one.rows:.0f}",
                f"{one.psi:.3f}" if one.HasField("psi") else "",
                f"{one.test} {one.test_value:.3g}" if one.HasField("test") else "",
                f"{one.p_value:.2g}" if one.HasField("p_value") else "",
                one.verdict.replace("_", " "),
            )
