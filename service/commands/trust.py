"""``tensorgate trust``: lists the files of versions with their hashes, and signs such lists."""

import argparse
import getpass
import sys
from pathlib import Path

from service.backends.savedmodel.listing import LISTING, SIGNATURE, listed_files
from service.core.plain_files import replace_plain_file
from service.errors import not_installed

FAILED = 1


class TrustError(Exception):
    """It cannot be done; the message says why."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = (
        "A SavedModel is a program: look at what you list or sign, and who made it, before you do.\n\n"
        "  tensorgate trust models/digits/3 >> trusted.sha256            # serve --trusted-hashes trusted.sha256\n"
        "  tensorgate trust models/digits/3 --sign-key publisher.key     # serve --trusted-key publisher.pub\n\n"
        "Keys are minisign's (minisign -G); so are signatures."
    )
    parser.add_argument(
        "versions", type=Path, nargs="+", metavar="FOLDER", help="folder of a version, <model>/<version>"
    )
    parser.add_argument("--model", metavar="NAME", help="served by this name (default: that of the folder above)")
    parser.add_argument(
        "--sign-key",
        type=Path,
        metavar="FILE",
        help=f"secret key of minisign: write each version's list to its {LISTING}, and sign it; by default lists are "
        "printed",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    try:
        lists = {folder: _listed(folder, options.model) for folder in options.versions}
        if options.sign_key is None:
            sys.stdout.write("".join(lists.values()))
        else:
            _sign(lists, options.sign_key)
    except TrustError as error:
        sys.stderr.write(f"tensorgate: {error}\n")
        return FAILED
    return 0


def _listed(folder: Path, model: str | None) -> str:
    where = folder.absolute()
    if not (where.name.isascii() and where.name.isdecimal()):
        raise TrustError(f"{folder}: expected the folder of a version, <model>/<number>")
    try:
        text = listed_files(where, model or where.parent.name, int(where.name))
    except OSError as error:
        raise TrustError(f"{error.filename or folder}: {error.strerror}") from None
    if not text:
        raise TrustError(f"{folder}: there is no file in it")
    return text


def _sign(lists: dict[Path, str], key: Path) -> None:
    try:
        import minisign  # noqa: PLC0415  # an extra
    except ModuleNotFoundError:
        raise TrustError(f"--sign-key: {not_installed('minisign', 'signatures')}") from None
    try:
        with minisign.SecretKey.from_bytes(key.read_bytes()) as secret:
            if secret.is_encrypted():
                secret.decrypt(getpass.getpass(f"Password of {key}: "))
            for folder, text in lists.items():
                signature = secret.sign(text.encode())
                _write(folder / LISTING, text.encode())
                _write(folder / SIGNATURE, bytes(signature) + b"\n")
                sys.stdout.write(f"{folder / SIGNATURE}\n")
    except minisign.Error as error:
        raise TrustError(f"{key}: {error}") from None
    except OSError as error:
        raise TrustError(f"{error.filename or key}: {error.strerror}") from None


def _write(file: Path, data: bytes) -> None:
    file.parent.mkdir(exist_ok=True)
    replace_plain_file(file, data)
