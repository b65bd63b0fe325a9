"""Trusted versions: those whose files an operator has listed, or a publisher has signed.

A SavedModel is a program, which runs with the rights of this process. The hashes in a version's own manifest show
whether it is damaged, but not who made it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from service.backends.registry import BackendChoiceError
from service.backends.savedmodel.folder import Key
from service.backends.savedmodel.listing import LISTING, SIGNATURE, copy_checked, hashes_in, read_bounded
from service.core.load_progress import LoadProgress
from service.errors import ErrorKind, GatewayError, not_installed

if TYPE_CHECKING:
    from minisign import PublicKey

_MAX_SIGNATURE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Trust:
    """Checks whether a version may be loaded.

    Attributes:
        hashes: A list of all files that may be loaded.
        key: Public key of the publisher, who signs each version's own list.
    """

    hashes: Path | None
    key: "PublicKey | None"

    @classmethod
    def of(cls, hashes: Path | None, key: Path | None) -> "Trust | None":
        """Returns the checks that the settings ask for; ``None`` for none.

        Args:
            hashes: The setting ``trusted_hashes``.
            key: The setting ``trusted_key``.

        Raises:
            BackendChoiceError: When a file cannot be read or has another format, or a package is missing.
        """
        if hashes is None and key is None:
            return None
        try:
            if hashes is not None:
                hashes_in(_text(hashes), "", 0, where=f"trusted_hashes {hashes}")
            return cls(hashes, None if key is None else _public_key(key))
        except (GatewayError, BackendChoiceError) as error:
            raise BackendChoiceError(str(error)) from None
        except OSError as error:
            raise BackendChoiceError(f"trusted_hashes {hashes}: {error.strerror}") from None

    def copy(self, key: Key, folder: Path, target: Path, progress: LoadProgress) -> None:
        """Copies a version's files to where nobody else can change them, and checks the copies.

        So what was hashed is what is loaded, even if the folder changes meanwhile.

        Args:
            key: Name and version.
            folder: Folder of the version.
            target: An empty folder that only this process can write to.
            progress: Updated with the bytes that were compared.

        Raises:
            GatewayError: BACKEND_FAILED, which says what is not trusted.
        """
        try:
            lists = []
            if self.hashes is not None:
                lists.append(("trusted_hashes", hashes_in(_text(self.hashes), *key, where="trusted_hashes")))
            if self.key is not None:
                lists.append((str(LISTING), hashes_in(_signed(folder, self.key), *key, where=str(LISTING))))
            for where, hashes in lists:
                if not hashes:
                    text = f"{key[0]}/{key[1]} is not in {where}, so it is not trusted"
                    raise GatewayError(ErrorKind.BACKEND_FAILED, text)
            copy_checked(folder.resolve(), target, lists, progress)  # a link may be moved on meanwhile
        except OSError as error:
            text = f"it could not be copied to be checked: {error.strerror}"
            raise GatewayError(ErrorKind.BACKEND_FAILED, text) from error


def _signed(folder: Path, key: "PublicKey") -> str:
    """Returns a version's own list, if it is signed with the key.

    Raises:
        GatewayError: BACKEND_FAILED.
    """
    import minisign  # noqa: PLC0415  # an extra

    try:
        listing = read_bounded(folder / LISTING)
        signature = minisign.Signature.from_bytes(read_bounded(folder / SIGNATURE, _MAX_SIGNATURE_BYTES))
        key.verify(listing, signature)
        return listing.decode()
    except OSError as error:
        text = f"it is not signed (trusted_key): {LISTING} and {SIGNATURE.name}: {error.strerror}"
    except minisign.ParseError as error:
        text = f"{SIGNATURE} is no signature of minisign: {error}"
    except minisign.VerifyError:
        text = f"{SIGNATURE} is not the signature of trusted_key for {LISTING.name}"
    except UnicodeDecodeError:
        text = f"{LISTING} is not UTF-8"
    raise GatewayError(ErrorKind.BACKEND_FAILED, text)


def _text(hashes: Path) -> str:
    try:
        return read_bounded(hashes).decode()
    except UnicodeDecodeError:
        raise GatewayError(ErrorKind.BACKEND_FAILED, "trusted_hashes: it is not UTF-8") from None


def _public_key(file: Path) -> "PublicKey":
    try:
        import minisign  # noqa: PLC0415  # an extra
    except ModuleNotFoundError:
        raise BackendChoiceError(f"trusted_key: {not_installed('minisign', 'signatures')}") from None
    try:
        return minisign.PublicKey.from_bytes(read_bounded(file, _MAX_SIGNATURE_BYTES))
    except (OSError, minisign.ParseError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"it is no public key of minisign: {error}"
        raise BackendChoiceError(f"trusted_key {file}: {reason}") from None
