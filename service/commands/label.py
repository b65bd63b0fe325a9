"""``tensorgate label``: puts a label on a version of a model of a running server, or takes it away."""

import argparse

from service.commands.client import add_common
from service.commands.models import show_models
from tensorgate.client import Client
from tensorgate.v1 import tensorgate_pb2 as pb


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of ``tensorgate label``."""
    parser.add_argument("model", metavar="MODEL", help="name of the model")
    parser.add_argument("label", metavar="LABEL", help="such as stable")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("version", nargs="?", type=int, metavar="VERSION", help="which is to bear the label")
    what.add_argument("--remove", action="store_true", help="take the label away")
    add_common(parser, _call_label)


def _call_label(client: Client, options: argparse.Namespace) -> None:
    if options.remove:
        removal = pb.DeleteLabelRequest(model=options.model, label=options.label)
        answer = client.call("DeleteLabel", removal)
    else:
        request = pb.SetLabelRequest(model=options.model, label=options.label, version=options.version)
        answer = client.call("SetLabel", request)
    show_models(answer, [answer.model], options)
