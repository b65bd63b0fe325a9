"""Whether requests that one version takes are taken by another, and its answers understood; as far as both say."""

from collections.abc import Iterator

from service.core.model_version import ModelVersion
from service.core.tensors import Shape, Signature


def broken_by(old: ModelVersion, new: ModelVersion) -> str:
    """Returns what clients of a version would miss in another one; empty where that is nothing."""
    if old.task is not None and (new.task is None or new.task.kind != old.task.kind):
        kind = "no kind of the typed API" if new.task is None else new.task.kind
        return f"it is {kind}, and version {old.version} is {old.task.kind}"
    for name, signature in old.signatures.items():
        if name not in new.signatures:
            return f"it has no signature {name}"
        if found := next(_differences(signature, new.signatures[name]), ""):
            return f"in the signature {name}, {found}"
    return ""


def _differences(old: Signature, new: Signature) -> Iterator[str]:
    for name, spec in old.inputs.items():
        there = new.inputs.get(name)
        if there is None:
            yield f"it has no input {name}"
        elif there.dtype != spec.dtype or not _takes(there.shape, spec.shape):
            yield f"the input {name} is {there}, and was {spec}"
    for name in new.inputs:
        if name not in old.inputs and new.is_required(name):
            yield f"it needs an input {name}"
    for name, spec in old.outputs.items():
        there = new.outputs.get(name)
        if there is None:
            yield f"it has no output {name}"
        elif there.dtype != spec.dtype:
            yield f"the output {name} is {there}, and was {spec}"


def _takes(new: Shape | None, old: Shape | None) -> bool:
    """Returns whether all shapes that were taken still are."""
    if new is None or old is None:
        return new is None
    return len(new) == len(old) and all(now in (None, before) for now, before in zip(new, old, strict=True))
