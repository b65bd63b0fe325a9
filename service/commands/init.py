"""``tensorgate init``: a folder to serve one's own models from, with settings and a Compose file."""

import argparse
import shutil
import sys
from pathlib import Path

from service.app.check import CheckError, found_at

FAILED = 1
_SETTINGS = """\
# tensorgate serve --config tensorgate.toml
# Every setting, with its default, is shown by: tensorgate serve --help

models = "models"          # <name>/<version>/saved_model.pb; new versions are taken up while it runs
version_policy = "latest"  # or latest:N, all, specific:N,N
host = "127.0.0.1"
rest_port = 8000           # REST, /docs, /metrics
grpc_port = 8001           # gRPC, and REST as well
access_log = "failed"      # or all, none
log_format = "text"        # or json
"""
_COMPOSE = """\
# docker compose up --detach --wait
# The image is built once, in a clone of Tensorgate's repository: docker build --target full --tag tensorgate-full .
services:
  tensorgate:
    image: ${TENSORGATE_FULL_IMAGE:-tensorgate-full}
    command: [serve]
    environment:
      TENSORGATE_MODELS: /models
      TENSORGATE_HOST: 0.0.0.0 # in the container
      TENSORGATE_INSECURE: "true" # outside it is published on this machine alone
    volumes:
      - {type: bind, source: ./models, target: /models, read_only: true}
    ports:
      - {target: 8000, published: "${PUBLISHED_REST_PORT:-8000}", host_ip: 127.0.0.1}
      - {target: 8001, published: "${PUBLISHED_GRPC_PORT:-8001}", host_ip: 127.0.0.1}
    read_only: true
    tmpfs: [/tmp]
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    restart: unless-stopped
    stop_grace_period: 30s
"""
_README = """\
# Models, served by Tensorgate

| what | how |
| --- | --- |
| see what would be made of a model | `tensorgate check models/NAME` |
| serve, in this terminal | `tensorgate serve --config tensorgate.toml` |
| serve, in a container | `docker compose up --detach --wait` |
| see what is served | `tensorgate models`; the API is on <http://127.0.0.1:8000/docs> |

A model is a folder `models/NAME/VERSION` with a `saved_model.pb` in it, the version a number. To publish the next
version while it is served, copy it under a name that is no number, then rename it:
`cp -r new models/NAME/.new && mv models/NAME/.new models/NAME/2`.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument(
        "folder", type=Path, nargs="?", default=Path(), metavar="FOLDER", help="where to (default: the current folder)"
    )
    parser.add_argument(
        "--from", type=Path, dest="model", metavar="PATH", help="a SavedModel that is copied into the models folder"
    )
    parser.add_argument("--name", metavar="NAME", help="what it is called (default: the name of its folder)")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    folder: Path = options.folder
    files = {"tensorgate.toml": _SETTINGS, "compose.yaml": _COMPOSE, "README.md": _README}
    there = [name for name in (*files, "models") if (folder / name).exists()]
    if there:
        return _fail(f"{folder / there[0]} is there already; nothing was written")
    try:
        version = None if options.model is None else found_at(options.model)
    except CheckError as error:
        return _fail(str(error))
    try:
        (folder / "models").mkdir(parents=True)
        for name, text in files.items():
            (folder / name).write_text(text, "utf-8")
        if version is not None:
            shutil.copytree(version, folder / "models" / _name(version, options.name) / "1")
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}")
    sys.stdout.write(f"{folder / 'README.md'} says how to go on\n")
    return 0


def _name(version: Path, given: str | None) -> str:
    return given or (version.parent.name if version.name.isdecimal() else version.name)


def _fail(message: str) -> int:
    sys.stderr.write(f"tensorgate: {message}\n")
    return FAILED
