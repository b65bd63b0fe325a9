"""The settings of where the models lie: a folder, or a store, and where those of a store are kept here."""

import os
from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings

from service.errors import Violation, invalid_input
from service.stores.urls import cache_name, checked, is_url
from service.validation import as_finding


def _folder_or_url(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not is_url(value):
        return Path(value)
    try:
        return checked(value)
    except ValueError as error:
        got = f"{value.partition('://')[0]}://…"  # there may be a secret in it
        raise as_finding(invalid_input(Violation("", str(error), got))) from None


class StoreSettings(BaseSettings):
    """A part of the settings of ``tensorgate serve``."""

    models: Annotated[Path | str, BeforeValidator(_folder_or_url)] = Field(
        Path("models"),
        description="Folder of the models: <name>/<version>/saved_model.pb; or the URL of a store that has them: "
        "s3://, gs://, az://, https://, oci:// or mlflow://.",
    )
    models_cache: Path | None = Field(
        None,
        description="Folder that models of a store are pulled into, and served from; of one server and one store. By "
        "default one of its own in ~/.cache/tensorgate (XDG_CACHE_HOME).",
    )
    models_cache_max_bytes: int = Field(
        32 * 1024**3,
        ge=0,
        description="Most bytes of the versions in it; those that nobody wants make room for new ones. 0 for as many "
        "as the disk has room for.",
    )
    models_poll_seconds: float = Field(
        60.0,
        ge=0,
        le=86_400,
        description="Seconds between looks at a store for versions that are new or gone; 0 for none but at the start "
        "and on SIGHUP. Each look costs requests.",
    )

    @property
    def store(self) -> str | None:
        """The URL of the store that has the models, if they are not in a folder."""
        return self.models if isinstance(self.models, str) else None

    @property
    def models_folder(self) -> Path:
        """The folder that models are served from."""
        if isinstance(self.models, Path):
            return self.models
        if self.models_cache is not None:
            return self.models_cache
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return Path(home, "tensorgate", cache_name(self.models))

    def fitting_store(self, backend: str, model_config_file: Path | None) -> Self:
        """Returns these settings, where what is chosen beside a store goes with one.

        Raises:
            ValueError: With what was expected.
        """
        cure = "fill it by `tensorgate models pull --follow`"
        if self.store is not None and backend == "tfserving":
            raise ValueError(f"a folder as models beside the backend tfserving, whose replicas read their own: {cure}")
        if self.store is not None and model_config_file is not None:
            raise ValueError(f"a folder as models beside model_config_file, which names folders: {cure}")
        return self
