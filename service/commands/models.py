"""``tensorgate models``: lists the models of a running server; its own commands are about models in stores."""

import argparse
from collections.abc import Iterable
from operator import add

from google.protobuf.message import Message

from service.commands.client import add_common, table
from service.commands.stored_models import add_index, add_pull, add_push
from tensorgate.client import Client
from tensorgate.v1 import tensorgate_pb2 as pb


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of ``tensorgate models``."""
    add_common(parser, _call_models)
    actions = parser.add_subparsers(title="of stores", dest="action", metavar="COMMAND")
    for name, (add_options, summary) in _OF_STORES.items():
        add_options(actions.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + "."))


_OF_STORES = {
    "pull": (add_pull, "bring models out of a store into a folder"),
    "push": (add_push, "publish a version to a store"),
    "index": (add_index, "write the index of a models folder that is a web server's"),
}


def _call_models(client: Client, options: argparse.Namespace) -> None:
    answer = client.call("ListModels", pb.ListModelsRequest())
    show_models(answer, list(answer.models), options)


def show_models(answer: Message, models: list[pb.Model], options: argparse.Namespace) -> None:
    """Prints versions of models, one a row."""
    with table(answer, options, "Model", "Version", "Labels", "State", "Kind", "Batched", "Takes", "Gives") as add_row:
        for model in models:
            if model.problem:
                add_row(model.name, "", "", "", "", "", model.problem, "")
            for version in model.versions:
                labels = ", ".join(_labels(model, version.version))
                takes, gives = _inputs_and_outputs(version)
                batched = _batched(version.signatures)
                add_row(model.name, str(version.version), labels, version.state, version.kind, batched, takes, gives)


def _labels(model: pb.Model, version: int) -> list[str]:
    """Returns the labels of a version, with its share of those that it has in part."""
    found = [label for label, number in model.labels.items() if number == version and label not in model.splits]
    for label, split in model.splits.items():
        if version in split.weights:
            percent = 100 * split.weights[version] / sum(split.weights.values())
            found.append(f"{label or '(none)'} {percent:.3g} %")
    return sorted(found)


def _batched(signatures: Iterable[pb.Signature]) -> str:
    reasons = {signature.name: signature.unbatched_reason for signature in signatures}
    unbatched = {name: reason for name, reason in reasons.items() if reason}
    if len(set(unbatched.values())) == 1 and len(unbatched) == len(reasons):
        return f"no: {next(iter(unbatched.values()))}"
    if unbatched:
        return "not " + ", ".join(f"{name}: {reason}" for name, reason in unbatched.items())
    return "yes" if reasons else ""


def _inputs_and_outputs(version: pb.ModelVersion) -> tuple[str, str]:
    match version.WhichOneof("task"):
        case "image_classifier":
            task = version.image_classifier
            files = ", files" if task.accepts_encoded else ""
            return f"{task.height} x {task.width} x {task.channels} pixels{files}", f"{len(task.labels)} classes"
        case "forecaster":
            forecaster = version.forecaster
            levels = ", ".join(f"{level:g}" for level in forecaster.quantile_levels)
            return (
                f"{forecaster.window} steps" + (f" of {forecaster.features}" if forecaster.features > 1 else ""),
                f"{forecaster.horizon} steps, quantiles {levels}",
            )
        case _:
            if version.error:
                return version.error, ""
            several = len(version.signatures) > 1
            names = [f"{signature.name}: " if several else "" for signature in version.signatures]
            takes = [_tensors(signature.inputs) for signature in version.signatures]
            gives = [_tensors(signature.outputs) for signature in version.signatures]
            return "\n".join(map(add, names, takes)), "\n".join(map(add, names, gives))


def _tensors(tensors: Iterable[pb.TensorSpec]) -> str:
    """Returns name, dtype and shape of each."""
    return ", ".join(f"{tensor.name} {tensor.dtype} {_shape(tensor)}" for tensor in tensors) or "nothing"


def _shape(tensor: pb.TensorSpec) -> str:
    sizes = ", ".join("?" if size < 0 else str(size) for size in tensor.shape)
    return "of any rank" if tensor.unknown_rank else f"[{sizes}]"
