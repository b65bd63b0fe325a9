"""The models as a client may see them: the only way for protocols to reach the catalog."""

from collections.abc import Callable, Mapping

from service.core.batch_policy import ServingOptions
from service.core.call import Call
from service.core.catalog import Catalog
from service.core.model_version import ModelRef, ModelVersion
from service.core.rights import Access, Rights
from service.core.traffic_split import Keyed, Target
from service.errors import ErrorKind, GatewayError, shown


class Models:
    """The models that there are, for each call those that its identity has a right to.

    Args:
        catalog: All of them.
        controlled: Whether access is controlled; else everybody may do everything.
    """

    def __init__(self, catalog: Catalog, *, controlled: bool = False) -> None:
        self._catalog = catalog
        self._controlled = controlled

    def of(self, call: Call, access: Access | None = None) -> "SeenModels":
        """Returns the models as a call may see and use them.

        Args:
            call: Who asks, and for what.
            access: What else is asked for than by the call's method as a whole.
        """
        if not self._controlled:
            return self._catalog
        return VisibleModels(self._catalog, call.identity.rights, access or call.access)

    def ready(self) -> bool:
        """Returns whether the server is ready, which everybody may know: see `Catalog.ready`."""
        return self._catalog.ready()

    def options(self, name: str) -> ServingOptions:
        """Returns how a model is served."""
        return self._catalog.options(name)

    def check_control_of_all(self, call: Call) -> None:
        """Refuses clients that may not change every model, whatever its name.

        Raises:
            GatewayError: FORBIDDEN.
        """
        if self._controlled and not call.identity.rights.allow_all(Access.CONTROL):
            text = "this replaces the list of all models, which needs the right to control every model (models = ['*'])"
            raise GatewayError(ErrorKind.FORBIDDEN, text)

    def shown_in_metrics(self, call: Call) -> Callable[[str], bool] | None:
        """Returns what tells whether the metrics of a model may be shown; ``None`` where those of all may."""
        if not self._controlled or call.identity.rights.allow_all(Access.METRICS):
            return None
        rights = call.identity.rights
        return lambda name: rights.allow(Access.METRICS, name)


class VisibleModels:
    """What an identity may see and use of a catalog: what is said of a model that it may not see is what is said of one
    that there is not.

    Its methods are those of `Catalog`; beside what these raise, they raise FORBIDDEN for a model that may be seen but
    not asked for this.

    Args:
        catalog: All models.
        rights: The identity's.
        access: What is asked for.
    """  # noqa: D205

    __slots__ = ("_access", "_catalog", "_rights")

    def __init__(self, catalog: Catalog, rights: Rights, access: Access) -> None:
        self._catalog = catalog
        self._rights = rights
        self._access = access

    def __contains__(self, name: str) -> bool:
        return self._rights.see(name) and name in self._catalog

    def check(self, name: str) -> None:
        """Refuses a name that is not to be asked for this, whether there is such a model or not.

        Raises:
            GatewayError: MODEL_NOT_FOUND, FORBIDDEN; NOT_READY while nothing is known of any model.
        """
        if not self._rights.see(name):
            raise self._catalog.absence(name, self._rights.see)
        if not self._rights.allow(self._access, name):
            text = f"model {shown(name)}: this needs the right to {self._access} it, which is not granted"
            raise GatewayError(ErrorKind.FORBIDDEN, text)

    @property
    def unserved(self) -> Mapping[str, str]:
        """What there is of which no version was found, by name: why."""
        return {name: why for name, why in self._catalog.unserved.items() if self._rights.allow(self._access, name)}

    def names(self) -> list[str]:
        """Returns the names of all that may be asked for this, sorted."""
        return [name for name in self._catalog.names() if self._rights.allow(self._access, name)]

    def readiness(self) -> dict[str, bool]:
        """Returns for each of these whether a version of it is available."""
        readiness = self._catalog.readiness()
        return {name: ready for name, ready in readiness.items() if self._rights.allow(self._access, name)}

    def is_available(self, name: str) -> bool:
        """Returns whether a version of the model is available."""
        return name in self and self._catalog.is_available(name)

    def labels(self, name: str) -> Mapping[str, int]:
        """Returns the versions of a model by label."""
        return self._catalog.labels(name) if name in self else {}

    def targets(self, name: str) -> Mapping[str, Target]:
        """Returns what each label of a model stands for."""
        return self._catalog.targets(name) if name in self else {}

    def labelled(self, name: str, label: str) -> int:
        """Returns the version of a model that has the label."""
        self.check(name)
        return self._catalog.labelled(name, label)

    def versions(self, name: str) -> list[ModelVersion]:
        """Returns all versions of a model, the newest first."""
        self._require(name)
        return self._catalog.versions(name)

    def find(self, wanted: ModelRef) -> ModelVersion:
        """Returns the wanted version whatever its state."""
        self._require(wanted.name)
        return self._catalog.find(wanted)

    def resolve(self, wanted: ModelRef, keyed: Keyed | None = None) -> ModelVersion:
        """Returns the version that is to answer."""
        self._require(wanted.name)
        return self._catalog.resolve(wanted, keyed)

    def _require(self, name: str) -> None:
        self.check(name)
        if name not in self._catalog:
            raise self._catalog.absence(name, self._rights.see)


SeenModels = Catalog | VisibleModels
"""The models as a call may see and use them."""
