"""The catalog: which models there are, in which versions, and what state each is in."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from service.core.batch_policy import AS_THE_SERVER, ServingOptions
from service.core.model_version import ModelRef, ModelVersion, State
from service.core.rollout import Shadow
from service.core.traffic_split import UNNAMED, Keyed, Split, Target
from service.errors import ErrorKind, GatewayError, Violation, listed, shown

Listener = Callable[[ModelVersion], None]


class Catalog:
    """All versions that the backend has reported, by name and number.

    Args:
        needs_all: Whether the server is ready only while all models can answer, rather than any.

    Attributes:
        stored: Versions on disk by model, served or not; empty where the backend does not know.
        unserved: What lies there and cannot be served, by the name that it would have: why, and what to do.
    """

    def __init__(self, *, needs_all: bool = False) -> None:
        self._needs_all = needs_all
        self._filled = False
        self.stored: Mapping[str, Sequence[int]] = {}
        self.unserved: Mapping[str, str] = {}
        self._models: dict[str, dict[int, ModelVersion]] = {}
        self._targets: dict[str, Mapping[str, Target]] = {}  # by model and label
        self._options: dict[str, ServingOptions] = {}
        self._shadows: dict[str, Shadow] = {}
        self._listeners: list[Listener] = []
        self._announced = False
        self._expected: frozenset[str] = frozenset()
        self._newest: dict[str, ModelVersion] = {}  # of each model that was requested: the newest available version

    def subscribe(self, listener: Listener) -> None:
        """Calls the listener with each version whose entry changes."""
        self._listeners.append(listener)

    def put(self, version: ModelVersion) -> None:
        """Enters a version, or replaces its entry."""
        self._models.setdefault(version.name, {})[version.version] = version
        self._newest.clear()
        for listener in self._listeners:
            listener(version)

    def drop(self, name: str, version: int) -> None:
        """Removes a version; requests that hold it keep it until they are answered."""
        dropped = self._models[name].pop(version)
        if not self._models[name]:
            del self._models[name]
        self._newest.clear()
        for listener in self._listeners:
            listener(_ended(dropped))

    def become(self, draft: "Catalog") -> None:
        """Takes over all entries of another catalog at once; notifies listeners of each changed version."""
        before = self._entries()
        self._models, self._targets, self._options = draft._models, draft._targets, draft._options
        self._shadows, self.stored, self.unserved = draft._shadows, draft.stored, draft.unserved
        self._newest.clear()
        now = self._entries()
        changed = [entry for key, entry in now.items() if before.get(key) is not entry]
        gone = [_ended(entry) for key, entry in before.items() if key not in now]
        for entry in (*changed, *gone):
            for listener in self._listeners:
                listener(entry)

    def _entries(self) -> dict[tuple[str, int], ModelVersion]:
        return {(entry.name, entry.version): entry for of_model in self._models.values() for entry in of_model.values()}

    def announce(self, versions: Iterable[ModelVersion]) -> None:
        """Enters every version that the backend has found; until then the catalog is not known to be whole."""
        self._announced = True
        for version in versions:
            self.put(version)

    def expect(self, names: Iterable[str]) -> None:
        """Sets the names of models that are to come: until one is known, requests for it fail with NOT_READY."""
        self._expected = frozenset(names)

    def set_labels(self, name: str, targets: Mapping[str, Target]) -> None:
        """Gives the versions of a model these labels, and no others; from the next request on.

        Args:
            name: The model's.
            targets: What each label stands for; under `UNNAMED`, what requests that name nothing are split among.
        """
        self._targets[name] = dict(targets)
        self._newest.pop(name, None)

    def targets(self, name: str) -> Mapping[str, Target]:
        """Returns what each label of a model stands for, as `set_labels` was told."""
        return self._targets.get(name, {})

    def labels(self, name: str) -> Mapping[str, int]:
        """Returns the versions of a model by label, of a split the heaviest; whether they are available or not."""
        return {label: _version(target) for label, target in self.targets(name).items() if label != UNNAMED}

    def set_options(self, name: str, options: ServingOptions) -> None:
        """Says how a model is served, from the next request on."""
        self._options[name] = options

    def options(self, name: str) -> ServingOptions:
        """Returns how a model is served."""
        return self._options.get(name, AS_THE_SERVER)

    def set_shadow(self, name: str, shadow: Shadow | None) -> None:
        """Says what gets copies of a model's requests, from the next one on."""
        if shadow is None:
            self._shadows.pop(name, None)
        else:
            self._shadows[name] = shadow

    def shadow(self, name: str) -> Shadow | None:
        """Returns what gets copies of a model's requests, if anything does."""
        return self._shadows.get(name)

    def __contains__(self, name: str) -> bool:
        return name in self._models

    def has(self, name: str, version: int) -> bool:
        """Returns whether there is an entry for the version."""
        return version in self._models.get(name, {})

    def is_available(self, name: str) -> bool:
        """Returns whether a version of the model is available."""
        return any(entry.state is State.AVAILABLE for entry in self._models.get(name, {}).values())

    def check(self, name: str) -> None:
        """Refuses no name: everybody may ask for everything."""

    def names(self) -> list[str]:
        """Returns the names of all models, sorted."""
        return sorted(self._models)

    def versions(self, name: str) -> list[ModelVersion]:
        """Returns all versions of a model, the newest first.

        Raises:
            GatewayError: MODEL_NOT_FOUND; NOT_READY when it is expected and nothing is known of it yet, or the backend
                has not said yet which models there are.
        """
        if name not in self._models:
            raise self.absence(name)
        return sorted(self._models[name].values(), key=lambda entry: -entry.version)

    def absence(self, name: str, sees: Callable[[str], bool] = lambda _: True) -> GatewayError:
        """Returns the error for a model of which there is no version.

        Args:
            name: The model's.
            sees: Says whether who asks may know of a model, by its name.
        """
        if not self._announced or (name in self._expected and sees(name)):
            text = f"model {shown(name)} is not available: nothing is known of its versions yet"
            return GatewayError(ErrorKind.NOT_READY, text)
        known = listed(filter(sees, self.names())) or "none"
        return _not_found(Violation("model", f"one of the models served: {known}", shown(name)))

    def resolve(self, wanted: ModelRef, keyed: Keyed | None = None) -> ModelVersion:
        """Returns the version that is to answer: the wanted one, or else the newest that is available.

        Args:
            wanted: What the request says.
            keyed: Decides where requests are split among versions; the heaviest one answers without.

        Raises:
            GatewayError: MODEL_NOT_FOUND when there is no such model or version, or it was unloaded, LABEL_NOT_FOUND
                when there is no such label, NOT_READY when it is not available.
        """
        names_none = wanted.version is None and wanted.label is None
        if names_none and (newest := self._newest.get(wanted.name)) is not None:
            return newest
        split = None if wanted.version is not None else self.targets(wanted.name).get(wanted.label or UNNAMED)
        if isinstance(split, Split):
            entry = self._chosen(wanted, split, keyed) or self.find(ModelRef(wanted.name, split.heaviest))
        else:
            entry = self.find(wanted)
        if entry.state is State.AVAILABLE:
            if names_none and split is None:
                self._newest[entry.name] = entry
            return entry
        if entry.is_unloaded:
            raise _not_found(Violation("model", "a model that is loaded", f"{shown(wanted.name)}, which was unloaded"))
        why = f"{entry.state}, {entry.error}" if entry.error else entry.state
        raise GatewayError(
            ErrorKind.NOT_READY, f"version {entry.version} of model {entry.name!r} is not available: {why}"
        )

    def _chosen(self, wanted: ModelRef, split: Split, keyed: Keyed | None) -> ModelVersion | None:
        """Returns the version that answers of those which a split names; ``None`` while none that may is available."""
        entries = self._models.get(wanted.name, {})
        among = {
            version: weight
            for version, weight in split.weights.items()
            if weight and version in entries and entries[version].state is State.AVAILABLE
        }
        if not among:
            return None
        key = None if keyed is None else keyed.split_key()
        if key is None:
            return entries[Split(among).heaviest]
        return entries[Split(among).choose(f"{wanted.name}\0{wanted.label or UNNAMED}\0{key}")]

    def find(self, wanted: ModelRef) -> ModelVersion:
        """Returns the wanted version whatever its state; the newest, of those available if any, when none is named.

        Raises:
            GatewayError: MODEL_NOT_FOUND or LABEL_NOT_FOUND.
        """
        versions = self.versions(wanted.name)
        number = wanted.version if wanted.label is None else self.labelled(wanted.name, wanted.label)
        if number is None:
            available = [entry for entry in versions if entry.state is State.AVAILABLE]
            return (available or versions)[0]
        for entry in versions:
            if entry.version == number:
                return entry
        known = listed(str(entry.version) for entry in versions)
        raise _not_found(Violation("version", f"one of the versions of {wanted.name!r}: {known}", str(number)))

    def labelled(self, name: str, label: str) -> int:
        """Returns the version of a model that has the label, or most of it, whether it is available or not.

        Raises:
            GatewayError: LABEL_NOT_FOUND.
        """
        target = self.targets(name).get(label) if label else None
        if target is None:
            known = listed(sorted(self.labels(name))) or "none"
            raise _not_found(
                Violation("label", f"one of the labels of {shown(name)}: {known}", shown(label)),
                kind=ErrorKind.LABEL_NOT_FOUND,
            )
        return _version(target)

    def readiness(self) -> dict[str, bool]:
        """Returns for each model whether a version of it is available; but for those that were unloaded on purpose."""
        readiness = {
            name: any(entry.state is State.AVAILABLE for entry in versions.values())
            for name, versions in self._models.items()
            if not all(entry.is_unloaded for entry in versions.values())
        }
        missing = dict.fromkeys(self._expected - self._models.keys(), False)
        return dict(sorted((readiness | missing).items()))

    def fill_ended(self) -> None:
        """Notes that all models that were there at the start are available or have failed."""
        self._filled = True

    def ready(self) -> bool:
        """Returns whether the server is ready.

        It is once all models that were there at the start are available or have failed, and while any of them can
        answer: what comes later and is broken, or takes its time, takes nobody's answers away. Where all are needed it
        is while each of them can, whether it was there at the start or came later.
        """
        readiness = self.readiness()
        if self._needs_all:
            return self._announced and bool(readiness) and all(readiness.values())
        return self._filled and any(readiness.values())


def _ended(entry: ModelVersion) -> ModelVersion:
    """Returns the entry of a version that is gone, without what it held."""
    return replace(entry, state=State.END, reference=None, handle=None, residence=None)


def _version(target: Target) -> int:
    return target.heaviest if isinstance(target, Split) else target


def _not_found(violation: Violation, kind: ErrorKind = ErrorKind.MODEL_NOT_FOUND) -> GatewayError:
    return GatewayError(kind, str(violation), [violation])
