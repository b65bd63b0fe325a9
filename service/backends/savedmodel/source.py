"""Where the models come from: every sub-folder of one folder, or a list of models with a folder for each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from service.backends.savedmodel.folder import FoundVersion, Key, Scan, find_versions, state_of, version_in, versions_in
from service.backends.savedmodel.layout import cure
from service.backends.savedmodel.places import Places
from service.core.batch_policy import AS_THE_SERVER, ServingOptions
from service.core.model_config import ModelConfig
from service.core.versions import VersionPolicy


@dataclass(frozen=True, slots=True)
class ModelSource:
    """The models to serve.

    Attributes:
        folder: Each of its sub-folders is a model, unless there is a list.
        policy: Which versions of those to serve.
        configs: The list, by name.
        unloaded: Models that are not served for now.
        places: Where models were found.
        watched: A file that decides on all versions: when it changes, those that failed are tried again.
    """

    folder: Path
    policy: VersionPolicy
    configs: Mapping[str, ModelConfig] | None = None
    unloaded: frozenset[str] = frozenset()
    places: Places = field(default_factory=Places, compare=False)
    watched: Path | None = None

    def listing(self, configs: Sequence[ModelConfig]) -> "ModelSource":
        """Returns the source that has these models and no others."""
        return replace(self, configs={config.name: config for config in configs}, unloaded=frozenset())

    def with_unloaded(self, unloaded: frozenset[str]) -> "ModelSource":
        """Returns the source in which these models, and no others, are not to be served."""
        return replace(self, unloaded=unloaded)

    def scan(self) -> Scan:
        """Returns what is on disk, of unloaded models too.

        Raises:
            OSError: When the folder cannot be read.
        """
        scan = find_versions(self.folder, self.places) if self.configs is None else self._listed(self.configs)
        if self.watched is None:
            return scan
        state = state_of(self.watched)
        return replace(scan, versions={key: found.beside(state) for key, found in scan.versions.items()})

    def look(self, folder: Path) -> FoundVersion:
        """Returns what is in the folder of one version, as `scan` does."""
        found = version_in(folder) or FoundVersion(folder, error="there is no model in its folder any more")
        return found if self.watched is None else found.beside(state_of(self.watched))

    def _listed(self, configs: Mapping[str, ModelConfig]) -> Scan:
        versions: dict[Key, FoundVersion] = {}
        unreadable: dict[str, str] = {}
        misplaced: dict[str, str] = {}
        for config in configs.values():
            try:
                of_model = dict(versions_in(config.base_path))
                self.places.check(config.base_path, empty=not of_model)
            except OSError as error:
                unreadable[config.name] = f"{config.base_path}: {error.strerror or type(error).__name__}"
            except ValueError:
                unreadable[config.name] = f"{str(config.base_path)!r} is no path"  # there is a null in it
            else:
                versions |= {(config.name, version): found for version, found in of_model.items()}
                if not of_model and (hint := cure(config.base_path)):
                    misplaced[config.name] = hint
        return Scan(versions, unreadable, misplaced)

    def has(self, name: str, folder: Path) -> bool:
        """Returns whether a version in that folder is one of the model's, as the list has it."""
        return self.configs is None or (name in self.configs and folder.parent == self.configs[name].base_path)

    def choose(self, name: str, versions: Sequence[int]) -> list[int]:
        """Returns those of a model's versions that are to be served, the newest first."""
        if name in self.unloaded:
            return []
        policy = self.policy if self.configs is None else self.configs[name].policy
        return policy.choose(versions)

    def missing(self, stored: Mapping[str, Sequence[int]]) -> dict[str, list[int]]:
        """Returns the versions that policies name and that are not on disk, by model.

        Args:
            stored: What is, by model.
        """
        policies = (
            dict.fromkeys(stored, self.policy)
            if self.configs is None
            else {name: config.policy for name, config in self.configs.items()}
        )
        missing = {
            name: sorted((policy.only or set()) - set(stored.get(name, ()))) for name, policy in policies.items()
        }
        return {name: numbers for name, numbers in missing.items() if numbers}

    def options(self, name: str) -> ServingOptions:
        """Returns how a model is to be served."""
        return AS_THE_SERVER if self.configs is None else self.configs[name].options

    def __str__(self) -> str:
        return str(self.folder) if self.configs is None else "the folders of the model configuration"
