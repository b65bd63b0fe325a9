"""``tensorgate models pull``, ``push`` and ``index``: brings models out of a store and into one, without a server."""

import argparse
import signal
import sys
from collections.abc import Callable, Set
from pathlib import Path
from threading import Event
from types import FrameType

from service.codecs.model_config import NOT_A_NAME
from service.codecs.model_config import is_model_name as is_served_name
from service.core.load_progress import LoadProgress
from service.core.plain_files import open_plain_file
from service.core.versions import VersionPolicy
from service.errors import GatewayError, shown
from service.stores.cache import Cache
from service.stores.index import INDEX, files_below, index_of
from service.stores.mirror import Mirror
from service.stores.paths import check_paths, is_model_name, version_number
from service.stores.port import MODEL_FILES, Key, failed
from service.stores.transfer import Stopped
from service.stores.urls import checked, open_store

FAILED = 1
_POLL_SECONDS = 60.0
_URL_HELP = "where the models are: s3://, gs://, az://, https://, oci:// or mlflow://"


def add_pull(parser: argparse.ArgumentParser) -> None:
    """Adds the options of ``tensorgate models pull``."""
    parser.add_argument("url", metavar="URL", help=_URL_HELP)
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="where to; it is this store's from then on")
    parser.add_argument("--model", metavar="NAME", action="append", default=[], help="only this one; may be repeated")
    parser.add_argument(
        "--version-policy", default="latest", metavar="POLICY", help="as of `tensorgate serve` [latest]"
    )
    parser.add_argument(
        "--max-bytes", type=int, default=0, metavar="N", help="most that is kept [as the disk has room]"
    )
    parser.add_argument("--follow", action="store_true", help="go on: look again and again, until it is stopped")
    text = f"between looks, with --follow [{_POLL_SECONDS:g}]"
    parser.add_argument("--poll-seconds", type=float, default=_POLL_SECONDS, metavar="SECONDS", help=text)
    parser.set_defaults(run=lambda options: _told(_pull, options))


def add_push(parser: argparse.ArgumentParser) -> None:
    """Adds the options of ``tensorgate models push``."""
    parser.add_argument("version", metavar="FOLDER", type=Path, help="of a version, <model>/<version>")
    parser.add_argument("url", metavar="URL", help="where to: s3://, gs://, az:// or oci://")
    parser.add_argument("--model", metavar="NAME", help="published by this name (default: that of the folder above)")
    parser.set_defaults(run=lambda options: _told(_push, options))


def add_index(parser: argparse.ArgumentParser) -> None:
    """Adds the options of ``tensorgate models index``."""
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="of models, that a web server has")
    parser.set_defaults(run=lambda options: _told(_index, options))


class _Printer:
    """Prints what a mirror does; remembers whether all went well.

    Attributes:
        is_well: Whether the store answered, and everything that was wanted has come, at the last look.
    """

    def __init__(self) -> None:
        self.is_well = True

    def listed(self, ok: bool) -> None:
        """The store was looked at."""
        self.is_well = self.is_well and ok

    def pulled(self, count: int) -> None:
        """Bytes have come."""

    def begins(self, key: Key, progress: LoadProgress) -> None:
        """A version is being pulled."""

    def ends(self, key: Key, error: str) -> None:
        """It has come, or not; the log says why."""
        self.is_well = self.is_well and not error
        if not error:
            sys.stdout.write(f"{key[0]}/{key[1]}\n")
            sys.stdout.flush()

    def gone(self, key: Key) -> None:
        """A version was taken away."""

    def served(self) -> Set[Key]:
        """Returns nothing: who serves the folder is not known."""
        return frozenset()

    def refused(self) -> Set[Key]:
        """Returns nothing, likewise."""
        return frozenset()


def _told(run: Callable[[argparse.Namespace], int], options: argparse.Namespace) -> int:
    try:
        return run(options)
    except ValueError as error:
        text = f"expected {error}"
    except GatewayError as error:
        text = error.message
    except OSError as error:
        text = f"{error.filename or 'the folder'}: {error.strerror}"
    sys.stderr.write(f"tensorgate: {text}\n")
    return FAILED


def _pull(options: argparse.Namespace) -> int:
    url, stop, printer = checked(options.url), Event(), _Printer()
    policy = VersionPolicy.parse(options.version_policy)
    store = open_store(url)
    cache = Cache(options.folder, url, options.max_bytes)

    def give_up(number: int, frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, give_up)
    mirror = Mirror(store, cache, policy, printer, stop=stop, only=options.model)
    try:
        mirror.look()
        while options.follow and not stop.wait(options.poll_seconds):
            printer.is_well = True
            try:
                mirror.look()
            except OSError as error:
                sys.stderr.write(f"tensorgate: {error.filename or options.folder}: {error.strerror}\n")
    except Stopped:
        return 0 if options.follow else FAILED
    finally:
        cache.close()
    return 0 if options.follow or printer.is_well else FAILED


def _push(options: argparse.Namespace) -> int:
    url, folder = checked(options.url), options.version.absolute()
    model, number = options.model or folder.parent.name, version_number(folder.name)
    if number is None or not is_model_name(model):
        raise failed(f"{options.version}: expected the folder of a version, <model>/<number>")
    if not is_served_name(model):
        raise failed(f"{shown(model)}: {NOT_A_NAME}")
    files = {path.relative_to(folder).as_posix(): path for path in files_below(folder)}
    if not any(name in files for name in MODEL_FILES):
        raise failed(f"{options.version}: there is no {MODEL_FILES[0]} in it")
    check_paths(files)
    for path in files.values():
        open_plain_file(path).close()  # a pipe would have it wait for ever
    store = open_store(url)
    publish = getattr(store, "publish", None)
    if publish is None:
        raise failed(f"{url} takes no files: copy them to the web server, and its index after them")
    there = store.describe(model, number)
    if there is not None and there.is_model:
        raise failed(f"{model}/{number} is in {url} already: publish it by another number")
    publish(model, number, files)
    sys.stdout.write(f"{model}/{number}\n")
    return 0


def _index(options: argparse.Namespace) -> int:
    beside = options.folder / f".{INDEX}.new"
    beside.write_text(index_of(options.folder), "utf-8")
    beside.replace(options.folder / INDEX)
    sys.stdout.write(f"{options.folder / INDEX}\n")
    return 0
