"""``tensorgate classify``: has a running server classify image files."""

import argparse
from pathlib import Path

from service.commands.client import CommandError, add_common, add_model, model_name, table
from tensorgate.client import Client
from tensorgate.v1 import tensorgate_pb2 as pb


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of ``tensorgate classify``."""
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="PNG, JPEG, GIF or BMP file")
    parser.add_argument("--top-k", type=int, default=3, metavar="K", help="classes to show for each image [3]")
    add_model(parser)
    add_common(parser, _call_classify)


def _call_classify(client: Client, options: argparse.Namespace) -> None:
    request = pb.ClassifyRequest(
        model=model_name(client, options, "image_classifier"),
        version=options.model_version,
        label=options.model_label,
        images=[pb.Image(encoded=_read(file)) for file in options.images],
        top_k=options.top_k,
    )
    answer = client.call("Classify", request)
    with table(answer, options, "Image", "Class", "Score") as add_row:
        for file, result in zip(options.images, answer.results, strict=True):
            for rank, scored in enumerate(result.classes):
                add_row("" if rank else str(file), scored.label, f"{scored.score:.4f}")


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}") from None
