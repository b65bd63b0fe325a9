"""What this server would make of one SavedModel: loaded by the real backend, and asked."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from service.app.dependencies import Dependencies
from service.app.settings import load
from service.backends.savedmodel.layout import MODEL_FILES, cure, is_version
from service.codecs.json_tensor import dump_json, jsonable
from service.codecs.open_inference import DATATYPES
from service.core.deadline import Deadline
from service.core.model_version import ModelVersion, State
from service.core.ports import Backend
from service.core.tasks import PREDICT, Forecaster, ImageClassifier
from service.core.tensors import Signature, Tensor, TensorSpec
from service.core.verified_batching import likely_inputs
from service.errors import GatewayError
from service.protocols.native import examples
from service.protocols.tfserving.labelled import CLASSIFY_METHOD, REGRESS_METHOD

_ROWS = (1, 8, 64)
_SECONDS_A_RUN = 60.0
_WARMUP = Path("assets.extra", "tf_serving_warmup_requests")


class CheckError(Exception):
    """There is nothing to check; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast runs of so many rows are, for one caller."""

    rows: int
    milliseconds: float

    @property
    def rows_a_second(self) -> float:
        """Rows that one caller has run in a second."""
        return 1000 * self.rows / self.milliseconds


@dataclass(frozen=True, slots=True)
class SignatureReport:
    """One signature.

    Attributes:
        takes: Names, dtypes and shapes of its inputs.
        gives: Likewise of its outputs.
        answers: The calls that it answers.
        unbatched: Why its requests are neither merged nor split; empty where they are.
        speeds: By rows; empty where none were measured.
    """

    name: str
    takes: str
    gives: str
    answers: Sequence[str]
    unbatched: str
    speeds: Sequence[Speed] = ()


@dataclass(slots=True)
class Report:
    """What was found.

    Attributes:
        verdict: In one sentence.
        request: A command that asks it once it is served; empty where none can be made.
        hints: What to mend, the worst first.
    """

    path: str
    verdict: str
    is_served: bool
    load_seconds: float = 0.0
    megabytes: float = 0.0
    signatures: list[SignatureReport] = field(default_factory=list)
    request: str = ""
    hints: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Returns it for programs."""
        return asdict(self)


def found_at(path: Path) -> Path:
    """Returns the folder of the version: the path itself, or the newest version below it.

    Raises:
        CheckError: When there is none.
    """
    folder = path.absolute()
    if not folder.exists():
        raise CheckError(f"{path}: there is no such folder")
    if is_version(folder):
        return folder
    numbered = [entry for entry in folder.iterdir() if entry.name.isdecimal()] if folder.is_dir() else []
    versions = sorted((entry for entry in numbered if is_version(entry)), key=lambda entry: int(entry.name))
    if not versions:
        raise CheckError(f"{path}: {cure(folder) or f'expected a SavedModel, a folder with {MODEL_FILES[0]} in it'}")
    return versions[-1]


async def check(version: Path, models: Path, *, seconds: float) -> Report:
    """Loads a version and asks it.

    Args:
        version: Its folder.
        models: An empty folder, in which it is given a name and a number.
        seconds: How long runs of each number of rows are measured; 0 for not at all.
    """
    name = version.parent.name if version.name.isdecimal() else version.name
    number = int(version.name) if version.name.isdecimal() else 1
    (models / name).mkdir()
    (models / name / str(number)).symlink_to(version)
    before = _resident()
    parts = Dependencies.of(load({"models": models, "poll_seconds": 0.0}, warn=lambda _: None))
    try:
        await parts.backend.start(parts.catalog)
        entries = parts.catalog.versions(name) if name in parts.catalog else []
        if not entries or entries[0].state is not State.AVAILABLE:
            error = entries[0].error if entries else parts.catalog.unserved.get(name, "no version was found")
            return Report(str(version), f"cannot be served: {error}", False, hints=[cure(version.parent)])
        entry = entries[0]
        report = _described(entry, version)
        report.megabytes = (_resident() - before) / 1e6
        for signature in entry.signatures.values():
            speeds = await _speeds(parts.backend, entry, signature, seconds) if seconds else []
            report.signatures.append(_signature(entry, signature, speeds))
        if entry.task is None:
            report.request = await _generic_request(parts.backend, entry)
        report.hints += _hints(entry, version)
        return report
    finally:
        await parts.backend.close()


def _described(entry: ModelVersion, version: Path) -> Report:
    match entry.task:
        case ImageClassifier() as task:
            files = ", or image files" if task.accepts_encoded else ""
            size = f"{task.height} x {task.width} x {task.channels}"
            verdict = f"an image classifier of {len(task.labels)} classes, for {size} pixels{files}"
            request = _curl(f"/api/v1/models/{entry.name}/classify", next(iter(examples.images(task).values())))
        case Forecaster() as task:
            verdict = f"a forecaster of {task.horizon} steps from {task.window}"
            request = _curl(f"/api/v1/models/{entry.name}/forecast", examples.series(task))
        case _:
            verdict, request = "served by the generic protocols alone, without the typed API", ""
    return Report(str(version), verdict, True, load_seconds=entry.load_seconds, request=request)


async def _generic_request(backend: Backend, entry: ModelVersion) -> str:
    """Returns a request of TensorFlow Serving's API, of one row that the model has been asked for."""
    name = PREDICT if PREDICT in entry.signatures else next(iter(entry.signatures), "")
    if not name or (make := await _taken(backend, entry, entry.signatures[name])) is None:
        return ""
    try:
        inputs = {input_name: _as_json(tensor) for input_name, tensor in make(1).items()}
    except GatewayError:  # complex numbers
        return ""
    named = {} if name == PREDICT else {"signature_name": name}
    return _curl(f"/v1/models/{entry.name}:predict", {**named, "inputs": inputs})


def _as_json(tensor: Tensor) -> Any:
    if tensor.dtype == object:
        return tensor.astype("S").astype("U").tolist()
    return jsonable(tensor.round(2) if tensor.dtype.kind == "f" else tensor)


def _curl(path: str, body: Mapping[str, Any]) -> str:
    data = dump_json(body).decode().replace("'", "'\\''")
    if len(data) > 1000:
        return ""
    return f"curl -H 'Content-Type: application/json' -d '{data}' http://127.0.0.1:8000{path}"


def _signature(entry: ModelVersion, signature: Signature, speeds: Sequence[Speed]) -> SignatureReport:
    specs = {**signature.inputs, **signature.outputs}
    answers = ["TensorFlow Serving's Predict"]
    if signature.method_name == CLASSIFY_METHOD:
        answers.append("Classify")
    if signature.method_name == REGRESS_METHOD:
        answers.append("Regress")
    without = sorted({spec.dtype for spec in specs.values()} - DATATYPES.keys())
    answers.append(f"not the Open Inference Protocol, which has no {without[0]}" if without else "Open Inference")
    if entry.task is not None and signature.name in (PREDICT, "classify_bytes"):
        answers.append(f"the typed API ({'classify' if isinstance(entry.task, ImageClassifier) else 'forecast'})")
    return SignatureReport(
        signature.name,
        _texts(signature.inputs),
        _texts(signature.outputs),
        answers,
        entry.unbatched.get(signature.name, ""),
        speeds,
    )


def _texts(specs: Mapping[str, TensorSpec]) -> str:
    return ", ".join(f"{name} {spec}" for name, spec in specs.items()) or "nothing"


async def _speeds(backend: Backend, entry: ModelVersion, signature: Signature, seconds: float) -> list[Speed]:
    """Measures runs of each number of rows; none where no input is found that the model takes."""
    make = await _taken(backend, entry, signature)
    if make is None:
        return []
    rows = _ROWS if signature.batchable else _ROWS[:1]
    return [Speed(count, await _milliseconds(backend, entry, signature, make(count), seconds)) for count in rows]


async def _taken(
    backend: Backend, entry: ModelVersion, signature: Signature
) -> Callable[[int], Mapping[str, Tensor]] | None:
    """Returns what makes inputs, of so many rows, that the model takes; ``None`` where none is found."""
    for make in likely_inputs(signature, ()):
        try:
            await _run(backend, entry, signature, make(1))
        except GatewayError:
            continue
        return make
    return None


async def _milliseconds(
    backend: Backend, entry: ModelVersion, signature: Signature, inputs: Mapping[str, Tensor], seconds: float
) -> float:
    await _run(backend, entry, signature, inputs)  # what is done once for a shape is not counted
    began, runs = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - began) < seconds or not runs:
        await _run(backend, entry, signature, inputs)
        runs += 1
    return 1000 * elapsed / runs if elapsed and runs else 0.0


async def _run(backend: Backend, entry: ModelVersion, signature: Signature, inputs: Mapping[str, Tensor]) -> None:
    whole = signature.with_defaults(inputs)
    await backend.run(entry, signature, whole, Deadline.after(_SECONDS_A_RUN))


def _hints(entry: ModelVersion, version: Path) -> list[str]:
    hints = [f"signature {name} cannot be served: {reason}" for name, reason in entry.unservable.items()]
    if entry.doubt:
        hints.append(f"it has the names of a typed model, and yet: {entry.doubt} (docs/keras.md)")
    hints += [
        f"requests for {name} are run one by one: {reason}; docs/operations.md says how to overrule it"
        for name, reason in entry.unbatched.items()
    ]
    if not (version / _WARMUP).is_file():
        hints.append(f"there is no {_WARMUP}: the first requests of each shape are slower; the request log writes one")
    if not version.name.isdecimal():
        hints.append(f"to serve it, it has to lie in a folder with a number: models/{version.name}/1")
    return hints


def _resident() -> int:
    """Returns the bytes of memory in use."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
