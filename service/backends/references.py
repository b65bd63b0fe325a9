"""The drift reference of a version on disk: a file that training writes beside the model."""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

from service.codecs.drift_reference import MAX_BYTES, InvalidReferenceError, decode_reference
from service.core.drift_reference import Reference
from service.core.tensors import Signature

logger = logging.getLogger(__name__)

FILE = Path("assets.extra", "tensorgate_reference.json")


async def reference_in(folder: Path, signatures: Mapping[str, Signature]) -> Reference | None:
    """Returns the reference in a version's folder; ``None`` where there is none that can be used.

    One that is broken is no reason not to serve the version: the log says what is wrong with it.

    Args:
        folder: Of the version; it need not be there.
        signatures: Those of the version, by name.
    """
    return await asyncio.to_thread(_read, folder / FILE, signatures)


async def folder_below(base_path: Path, version: int) -> Path | None:
    """Returns the folder of a version of the model whose folder this is; ``None`` where it is not on this machine."""
    return await asyncio.to_thread(_folder_of, base_path, version)


def _read(file: Path, signatures: Mapping[str, Signature]) -> Reference | None:
    try:
        with file.open("rb") as content:
            data = content.read(MAX_BYTES + 1)
        return decode_reference(data, signatures)
    except FileNotFoundError:
        return None
    except OSError as error:
        logger.warning("drift is not watched: %s cannot be read: %s", file, error.strerror)
    except InvalidReferenceError as error:
        logger.warning("drift is not watched: %s: %s", file, error)
    return None


def _folder_of(base_path: Path, version: int) -> Path | None:
    """Returns the folder whose name is the number, however many zeros it begins with."""
    try:
        folders = [folder for folder in base_path.iterdir() if folder.name.isdecimal() and folder.name.isascii()]
    except OSError:  # not on this machine
        return None
    return next((folder for folder in folders if int(folder.name) == version), None)
