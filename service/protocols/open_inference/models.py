"""What is served, as both transports report it: metadata, readiness, the repository and its control."""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypedDict

import service
from service.codecs.open_inference import DATATYPES
from service.core.bounds import InputBounds
from service.core.call import Call
from service.core.control import ModelControl
from service.core.engine import Engine
from service.core.model_version import ModelRef, ModelVersion, State
from service.core.tasks import PREDICT
from service.core.tensors import Signature, TensorSpec
from service.core.visibility import Models
from service.errors import ErrorKind, GatewayError, Violation, invalid_input, shown

PLATFORM = "tensorflow_savedmodel"
EXTENSIONS = ("binary_tensor_data", "model_repository")

_FREE = -1
_STATES = {
    State.START: "LOADING",
    State.LOADING: "LOADING",
    State.AVAILABLE: "READY",
    State.UNLOADING: "UNLOADING",
    State.END: "UNAVAILABLE",
}
_UNLOADED = "unloaded"
_STANDBY = "not in memory, and loaded when it is asked for"
"""The reason of a version that is READY all the same: it answers, after a moment."""
_NUMBER = re.compile("0*([0-9]+)")
_MAX_VERSION = 2**63 - 1
_HARMLESS = frozenset({"unload_dependents"})
"""Parameters of load and unload that change nothing here; clients send them whether they mean it or not."""


class ServerMetadata(TypedDict):
    """The members of the server's metadata."""

    name: str
    version: str
    extensions: list[str]


class TensorMetadata(TypedDict):
    """An input or an output; -1 is a free dimension."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(TypedDict):
    """The members of a model's metadata."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class IndexEntry(TypedDict):
    """A version in the repository's index."""

    name: str
    version: str
    state: str
    reason: str


class ServedModels:
    """Answers all requests but inference.

    Args:
        engine: Resolves models and signatures.
        models: Those that there are.
        control: Loads and unloads them.
        bounds: Of names.
        accepting: Returns whether the server admits requests.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        models: Models,
        control: ModelControl,
        bounds: InputBounds,
        accepting: Callable[[], bool],
    ) -> None:
        self._engine = engine
        self._models = models
        self._bounds = bounds
        self._control = control
        self._accepting = accepting

    def ready(self) -> bool:
        """Returns whether every model can answer."""
        return self._accepting() and self._models.ready()

    def server_metadata(self) -> ServerMetadata:
        """Returns the name, version and extensions of the server."""
        return {"name": "tensorgate", "version": service.__version__, "extensions": list(EXTENSIONS)}

    def resolve(self, name: str, version: str, call: Call) -> ModelVersion:
        """Finds the version that is to answer.

        Args:
            name: Of the model.
            version: Its number, or a label; empty for the newest that is available.
            call: Notes what is found.

        Raises:
            GatewayError: MODEL_NOT_FOUND, LABEL_NOT_FOUND, NOT_READY or TOO_LARGE; INVALID_INPUT for a number that no
                version can have.
        """
        return self._engine.resolve(self._wanted(name, version), call)

    def signature(self, version: ModelVersion, name: str | None) -> Signature:
        """Returns the named signature; without a name the default one, or the only one.

        Raises:
            GatewayError: SIGNATURE_NOT_FOUND; TOO_LARGE for a name that is too long.
        """
        if name is None:
            names = [*version.signatures, *version.unservable]
            name = names[0] if len(names) == 1 else PREDICT
        return self._engine.signature(version, name)

    def model_metadata(self, name: str, version: str, call: Call) -> ModelMetadata:
        """Returns what a model takes and gives by default.

        Raises:
            GatewayError: What `resolve` and `signature` raise.
        """
        resolved = self.resolve(name, version, call)
        signature = self.signature(resolved, None)
        available = [entry for entry in self._models.of(call).versions(name) if entry.state is State.AVAILABLE]
        return {
            "name": name,
            "versions": [str(entry.version) for entry in reversed(available)],
            "platform": PLATFORM,
            "inputs": _tensors(signature.inputs),
            "outputs": _tensors(signature.outputs),
        }

    def model_ready(self, name: str, version: str, call: Call) -> bool:
        """Returns whether the version can answer.

        Raises:
            GatewayError: MODEL_NOT_FOUND, LABEL_NOT_FOUND or TOO_LARGE; INVALID_INPUT for a number that no version
                can have.
        """
        wanted = self._wanted(name, version)
        self._engine.note(name, call)
        found = self._models.of(call).find(wanted)
        call.version = found.version
        return found.state is State.AVAILABLE

    def names(self, call: Call) -> list[str]:
        """Returns the names of the models that can answer, of those that may be read."""
        seen = self._models.of(call)
        return [name for name in seen.names() if seen.is_available(name)]

    def index(self, call: Call, *, only_ready: bool) -> list[IndexEntry]:
        """Returns every version of every model that may be read; the oldest of a model first."""
        seen = self._models.of(call)
        entries = (entry for name in seen.names() for entry in reversed(seen.versions(name)))
        return [_entry(entry) for entry in entries if not only_ready or entry.state is State.AVAILABLE]

    async def load(self, name: str, parameters: Mapping[str, Any], call: Call) -> None:
        """Loads a model, or looks whether there is anything new of it.

        Raises:
            GatewayError: What `ModelControl.load` raises; NOT_SUPPORTED for a parameter that would change the model.
        """
        self._check_control(name, parameters, call)
        call.change = "load"
        await self._control.load(name)

    async def unload(self, name: str, parameters: Mapping[str, Any], call: Call) -> None:
        """Takes a model out of service.

        Raises:
            GatewayError: What `ModelControl.unload` raises; NOT_SUPPORTED for a parameter that is not known.
        """
        self._check_control(name, parameters, call)
        call.change = "unload"
        await self._control.unload(name)

    def _check_control(self, name: str, parameters: Mapping[str, Any], call: Call) -> None:
        self._bounds.check_name(name, where="model")
        self._engine.attribute(name, call)
        self._models.of(call).check(name)
        for parameter in sorted(parameters.keys() - _HARMLESS):
            raise GatewayError(
                ErrorKind.NOT_SUPPORTED, f"parameters: {shown(parameter)}: models are served as they are on disk"
            )

    def _wanted(self, name: str, version: str) -> ModelRef:
        self._bounds.check_name(name, where="model")
        self._bounds.check_name(version, where="version")
        if not version:
            return ModelRef(name)
        if number := _NUMBER.fullmatch(version):
            return ModelRef(name, version=_version(number[1]))
        return ModelRef(name, label=version)


def _version(digits: str) -> int:
    """Returns the number; it is read only where it can be one, as reading takes long for many digits."""
    if len(digits) > len(str(_MAX_VERSION)) or int(digits) > _MAX_VERSION:
        raise invalid_input(Violation("version", f"a number up to {_MAX_VERSION}, or a label", shown(digits)))
    return int(digits)


def _tensors(specs: Mapping[str, TensorSpec]) -> list[TensorMetadata]:
    return [
        {
            "name": name,
            # Complex numbers cannot be served by this protocol; their datatype is reported nevertheless.
            "datatype": DATATYPES.get(spec.dtype, spec.dtype.upper()),
            "shape": [_FREE] if spec.shape is None else [_FREE if size is None else size for size in spec.shape],
        }
        for name, spec in sorted(specs.items())
    ]


def _entry(entry: ModelVersion) -> IndexEntry:
    return {
        "name": entry.name,
        "version": str(entry.version),
        "state": _STATES[entry.state],
        "reason": _reason(entry),
    }


def _reason(entry: ModelVersion) -> str:
    if entry.told_state is State.STANDBY:
        return _STANDBY
    return (entry.error or _UNLOADED) if entry.state is State.END else ""
