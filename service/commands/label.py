"""``tensorgate label``: puts a label on versions of a model of a running server, or takes it away."""

import argparse
import re

from service.commands.client import add_common
from service.commands.models import show_models
from tensorgate.client import Client
from tensorgate.v1 import tensorgate_pb2 as pb

_SHARE = re.compile(r"([0-9]+)(?:[=:]([0-9]+))?")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of ``tensorgate label``."""
    parser.add_argument("model", metavar="MODEL", help="name of the model")
    parser.add_argument("label", metavar="LABEL", help="such as stable")
    parser.add_argument(
        "versions",
        nargs="*",
        type=share,
        metavar="VERSION[=WEIGHT]",
        help="which is to bear the label; or several, each with its weight: 7=95 8=5",
    )
    parser.add_argument("--remove", action="store_true", help="take the label away")
    parser.set_defaults(usage_error=parser.error)
    add_common(parser, _call_label)


def share(text: str) -> tuple[int, int | None]:
    """Returns a version, and its weight where there is one.

    Raises:
        ArgumentTypeError: When it is something else.
    """
    match = _SHARE.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"expected a version, or version=weight such as 8=5, got {text}")
    return int(match[1]), None if match[2] is None else int(match[2])


def _call_label(client: Client, options: argparse.Namespace) -> None:
    versions: list[tuple[int, int | None]] = options.versions
    if options.remove is bool(versions):
        options.usage_error("expected either versions or --remove")
    if options.remove:
        removal = pb.DeleteLabelRequest(model=options.model, label=options.label)
        answer = client.call("DeleteLabel", removal)
    else:
        answer = client.call("SetLabel", _request(options, versions))
    show_models(answer, [answer.model], options)


def _request(options: argparse.Namespace, versions: list[tuple[int, int | None]]) -> pb.SetLabelRequest:
    request = pb.SetLabelRequest(model=options.model, label=options.label)
    weights = {version: weight for version, weight in versions if weight is not None}
    if len(versions) == 1 and not weights:
        request.version = versions[0][0]
    elif len(weights) < len(versions):
        options.usage_error("expected a weight for each version, once: 7=95 8=5")
    request.weights.update(weights)
    return request
