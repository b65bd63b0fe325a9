"""What clients of a published SavedModel would miss in a new one, by the signatures that both have written down."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_INTERNAL = "__saved_model_"  # TensorFlow's own
_SERVE = "serve"


def broken_by(old: Path, new: Path) -> str:
    """Compares two SavedModels, without loading them.

    Args:
        old: the folder of the published one.
        new: the folder of the one that is to follow it.

    Returns:
        What is asked of the old one and would be refused by the new one, or missed in its answers; empty where that is
        nothing, or the old one cannot be read, and so was not served.
    """
    theirs, ours = _signatures(old), _signatures(new)
    for name, before in sorted(theirs.items()):
        if name not in ours:
            return f"it has no signature {name}"
        if found := next(_differences(before, ours[name]), ""):
            return f"in the signature {name}, {found}"
    return ""


def _signatures(folder: Path) -> Mapping[str, Any]:
    """The `SignatureDef`s of what is served, by name."""
    from tensorflow.python.saved_model.loader_impl import parse_saved_model

    try:
        graphs = parse_saved_model(str(folder)).meta_graphs
    except OSError:
        return {}
    served = next((graph for graph in graphs if _SERVE in graph.meta_info_def.tags), None)
    if served is None:
        return {}
    return {name: made for name, made in served.signature_def.items() if not name.startswith(_INTERNAL)}


def _differences(old: Any, new: Any) -> Iterator[str]:
    for name, before in sorted(old.inputs.items()):
        if name not in new.inputs:
            yield f"it has no input {name}, but {', '.join(sorted(new.inputs))}"
        elif before.dtype != new.inputs[name].dtype or not _takes(new.inputs[name], before):
            yield f"the input {name} is {_text(new.inputs[name])}, and was {_text(before)}"
    for name in sorted(new.inputs):
        if name not in old.inputs and name not in new.defaults:
            yield f"it needs an input {name}"
    for name, before in sorted(old.outputs.items()):
        if name not in new.outputs:
            yield f"it has no output {name}, but {', '.join(sorted(new.outputs))}"
        elif before.dtype != new.outputs[name].dtype:
            yield f"the output {name} is {_text(new.outputs[name])}, and was {_text(before)}"


def _takes(new: Any, old: Any) -> bool:
    """Whether all shapes that the input took are taken still."""
    now, before = _shape(new), _shape(old)
    if now is None or before is None:
        return now is None
    return len(now) == len(before) and all(size in (-1, known) for size, known in zip(now, before, strict=True))


def _shape(info: Any) -> list[int] | None:
    """The sizes, -1 for any; None for any rank."""
    return None if info.tensor_shape.unknown_rank else [dim.size for dim in info.tensor_shape.dim]


def _text(info: Any) -> str:
    import tensorflow as tf

    shape = _shape(info)
    sizes = "of any rank" if shape is None else f"[{', '.join('?' if size < 0 else str(size) for size in shape)}]"
    return f"{tf.dtypes.as_dtype(info.dtype).name} {sizes}"
