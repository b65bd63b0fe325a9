"""Reloads an exported model in a fresh process and compares it with the model that was trained.

The trained model's side writes cases, one folder per signature with its inputs and the outputs it expects; the
fresh process has only the SavedModel and these. It is started early and waits for its orders, because importing
TensorFlow takes longer than the comparison.
"""

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from training.errors import TrainingError

TOLERANCE = 1e-6
_ROWS = 512  # at a time, so that a large test part needs little memory
_LAST_WORDS = 20  # lines of a process that failed
_FOLDER = str(Path(__file__).resolve().parent.parent)  # where this package is found, installed or not
_PROGRAM = f"import sys; sys.path.append({_FOLDER!r}); from training.verify import main; sys.exit(main())"


@dataclass(frozen=True, slots=True)
class Case:
    """What one signature must answer.

    Attributes:
        inputs: arrays by input name, numbers or bytes, all with the same number of rows.
        outputs: arrays by output name, likewise; text must be equal, numbers within the tolerance.
    """

    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Verifier:
    """The waiting fresh process, and the file that takes what it writes to standard error."""

    process: subprocess.Popen[str]
    errors: IO[str]

    def check(self, model: Path, cases: Mapping[str, Case], *, scale: float) -> None:
        """Compares the exported model with what the trained model answered.

        Args:
            model: the folder of the SavedModel.
            cases: by signature.
            scale: the unit of the outputs: differences up to 1e-6 of it plus 1e-6 of the value are rounding.

        Raises:
            TrainingError: the model does not load, lacks a signature, or answers otherwise.
        """
        with tempfile.TemporaryDirectory(prefix="tensorgate-verify-") as folder:
            _write_cases(Path(folder), cases)
            answer, _ = self.process.communicate(f"{model}\n{folder}\n{scale}\n")
        if self.process.returncode != 0:
            raise TrainingError(f"the exported model is not the trained model: {answer.strip() or self._end()}")

    def _end(self) -> str:
        """How the process ended that could not say what differs, and its last words."""
        self.errors.seek(0)
        said = self.errors.read().strip().splitlines()
        return "\n".join([f"the checking process ended with {self.process.returncode}", *said[-_LAST_WORDS:]])


@contextlib.contextmanager
def verifier(python: str = sys.executable) -> Iterator[Verifier]:
    """Starts the fresh process, and ends it with the block whatever happens.

    Args:
        python: the interpreter that runs it; one of another environment tries the model in another TensorFlow.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        process = subprocess.Popen(
            [python, "-P", "-c", _PROGRAM],  # what lies in the current folder is no part of it
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,  # an interrupt from the keyboard is the parent's to handle
        )
        try:
            yield Verifier(process, errors)
        finally:
            process.kill()
            process.communicate()


def compare(model: Path, cases: Path, scale: float) -> str:
    """Runs every case through a SavedModel.

    Args:
        model: the folder of the SavedModel.
        cases: the folder of the cases.
        scale: the unit of the outputs.

    Returns:
        The first difference in words; empty when there is none.
    """
    import tensorflow as tf

    loaded = tf.saved_model.load(str(model))
    for folder in sorted(cases.iterdir()):
        if folder.name not in loaded.signatures:
            return f"signature {folder.name!r} is missing"
        inputs, expected = _read_tensors(folder / "inputs"), _read_tensors(folder / "outputs")
        actual = run_signature(loaded.signatures[folder.name], inputs)
        if actual.keys() != expected.keys():
            return f"{folder.name}: outputs are {sorted(actual)}, expected {sorted(expected)}"
        for name, values in expected.items():
            if difference := _difference(actual[name], values, scale):
                return f"{folder.name}, output {name!r}: {difference}"
    return ""


def run_signature(signature: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Runs a signature of a loaded SavedModel on many rows, some at a time."""
    import numpy as np
    import tensorflow as tf

    rows = len(next(iter(inputs.values())))
    parts = [
        signature(**{name: tf.constant(array[start : start + _ROWS]) for name, array in inputs.items()})
        for start in range(0, rows, _ROWS)
    ]
    return {name: np.concatenate([part[name].numpy() for part in parts]) for name in parts[0]}


def _difference(actual: Any, expected: Any, scale: float) -> str:
    import numpy as np

    if actual.shape != expected.shape:
        return f"shape is {actual.shape}, expected {expected.shape}"
    if expected.dtype == object:
        return "" if (actual == expected).all() else "labels differ"
    if np.allclose(actual, expected, rtol=TOLERANCE, atol=TOLERANCE * scale):
        return ""
    return f"differs by up to {np.max(np.abs(actual - expected)):.3g}"


def _write_cases(folder: Path, cases: Mapping[str, Case]) -> None:
    import tensorflow as tf

    for signature, case in cases.items():
        for side, arrays in (("inputs", case.inputs), ("outputs", case.outputs)):
            (folder / signature / side).mkdir(parents=True)
            for name, array in arrays.items():
                (folder / signature / side / name).write_bytes(tf.make_tensor_proto(array).SerializeToString())


def _read_tensors(folder: Path) -> dict[str, Any]:
    import tensorflow as tf
    from tensorflow.core.framework import tensor_pb2

    return {
        path.name: tf.make_ndarray(tensor_pb2.TensorProto.FromString(path.read_bytes()))
        for path in sorted(folder.iterdir())
    }


def main() -> int:
    """Waits for a model, its cases and the scale on standard input; says the difference on standard output."""
    from training.device import prepare  # imports TensorFlow now, while the parent process is still busy

    prepare()
    model, cases, scale = sys.stdin.read().splitlines()
    difference = compare(Path(model), Path(cases), float(scale))
    sys.stdout.write(difference)
    return 1 if difference else 0
