"""``tensorgate model-config``: writes the file of models that TensorFlow Serving and this server follow."""

import argparse
import sys
from pathlib import Path

from service.app.model_config_edit import locked
from service.app.model_config_file import ModelConfigFile
from service.backends.savedmodel.folder import find_versions
from service.codecs.model_config_text import format_model_configs
from service.core.model_config import ModelConfig
from service.core.plain_files import replace_plain_file
from service.core.versions import VersionPolicy
from service.errors import GatewayError

FAILED = 1
_HEAD = (
    "# TensorFlow Serving's list of models. `tensorgate model-config` adds those that have come; what stands here of\n"
    "# the others, policies and labels among it, stays as it is, but for comments.\n"
)


class ModelListError(Exception):
    """The list cannot be made; the message says why."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument(
        "--models", type=Path, default=Path("models"), metavar="DIR", help="the models folder (default: models)"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="file to write; what it says of a model already is kept (default: print the list)",
    )
    parser.add_argument(
        "--version-policy",
        type=_policy,
        default=VersionPolicy(),
        metavar="POLICY",
        help="of the models that are added: latest, latest:N, all or specific:N,N,... (default: latest)",
    )
    parser.add_argument(
        "--check", type=Path, metavar="FILE", help="say whether a file makes sense, and what is in it; write nothing"
    )
    parser.set_defaults(run=_run)


def listed(models: Path, policy: VersionPolicy, known: list[ModelConfig]) -> list[ModelConfig]:
    """Returns the models that are known, then those of the folder that are not, by name.

    Args:
        models: Folder with a sub-folder for each model, in which versions lie.
        policy: Of the models that are added.
        known: From the list that there is.

    Raises:
        ModelListError: When the folder cannot be read, or there is no model at all.
    """
    try:
        found = find_versions(models)
    except OSError as error:
        raise ModelListError(f"{models}: {error.strerror}") from None
    for problem in found.problems():
        sys.stderr.write(f"tensorgate: {problem}\n")
    names = {name for (name, _), version in found.versions.items() if not version.error}
    names -= {config.name for config in known}
    configs = [*known, *(ModelConfig(name, models.resolve() / name, policy) for name in sorted(names))]
    if not configs:
        raise ModelListError(f"there is no model in {models}: expected <name>/<version>/saved_model.pb")
    return configs


def _run(options: argparse.Namespace) -> int:
    return _write(options) if options.check is None else _check(options.check)


def _check(file: Path) -> int:
    try:
        configs = ModelConfigFile(file).read()
    except GatewayError as error:
        sys.stderr.write(f"tensorgate: {error}\n")
        return FAILED
    sys.stdout.write(f"{file}: {', '.join(config.name for config in configs) or 'no models'}\n")
    return 0


def _write(options: argparse.Namespace) -> int:
    output: Path | None = options.output
    try:
        if output is None:
            sys.stdout.write(_text(listed(options.models, options.version_policy, [])))
        else:
            _update(output.resolve(), options)
    except (ModelListError, GatewayError) as error:
        sys.stderr.write(f"tensorgate: {error}\n")
        return FAILED
    except OSError as error:
        sys.stderr.write(f"tensorgate: {output} cannot be written: {error.strerror}\n")
        return FAILED
    return 0


def _update(output: Path, options: argparse.Namespace) -> None:
    """Adds what has come to the file, while no gateway writes how a rollout stands, and no other command anything."""
    with locked(output):
        known = ModelConfigFile(output).read() if output.exists() else []
        configs = listed(options.models, options.version_policy, known)
        if configs != known:
            replace_plain_file(output, _text(configs).encode())
            sys.stdout.write(f"{options.output}: {', '.join(config.name for config in configs)}\n")


def _text(configs: list[ModelConfig]) -> str:
    return _HEAD + format_model_configs(configs)


def _policy(text: str) -> VersionPolicy:
    try:
        return VersionPolicy.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected {error}, got {text}") from None
