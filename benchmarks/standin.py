"""What stands behind the gateway: a real TensorFlow Serving, or the stand-in of `standin/`, or this project's server.

The stand-in is built here, of the project's wire-compatible protocols under upstream's names, and of the TensorFlow in
the Python environment.
"""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from benchmarks.processes import ROOT
from benchmarks.questions import MODEL

MAX_THREADS = 1024
"""Of either server: at its default, 4 a core, TensorFlow Serving refuses calls beyond that many at a time."""
PACKAGES = "g++ libgrpc++-dev protobuf-compiler-grpc libprotobuf-dev pkg-config"
_MODEL_SERVER = os.environ.get("TENSORGATE_TEST_MODEL_SERVER", "")
_SOURCES = ROOT / "benchmarks" / "standin"
_FOLDER = ROOT / "build" / "standin"
_PROGRAM = _FOLDER / "standin"
_WIRE = ("service/wire/tensorflow.proto", "service/wire/tensorflow_serving.proto")


def build() -> None:
    """Builds the stand-in, where it is needed and not there yet; says so where that fails."""
    if _MODEL_SERVER or not _can_be_built() or _is_built():
        return
    sys.stderr.write("building the stand-in for TensorFlow Serving\n")
    try:
        _build()
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"{error.cmd[0]} failed, so there is no stand-in: {error.stderr.strip()[-1000:]}\n")


def describe() -> str:
    """Returns what the backend is, for the report."""
    if _MODEL_SERVER:
        return f"TensorFlow Serving: tensorflow_model_server --grpc_max_threads={MAX_THREADS}"
    if _is_built():
        return "a stand-in for TensorFlow Serving (benchmarks/standin, C++, TensorFlow's C API), each request run alone"
    return "a second Tensorgate with --max-batch-size 1, as no stand-in could be built here"


def command(models: Path, grpc_port: int, rest_port: int) -> list[object]:
    """Returns what starts the backend on a models folder."""
    if _MODEL_SERVER:
        ports = [f"--port={grpc_port}", f"--rest_api_port={rest_port}", f"--grpc_max_threads={MAX_THREADS}"]
        return [_MODEL_SERVER, *ports, f"--model_name={MODEL}", f"--model_base_path={models / MODEL}"]
    if _is_built():
        return [_PROGRAM, _tensorflow(), MODEL, models / MODEL / "1", grpc_port, MAX_THREADS]
    limits = ["--max-batch-size", 1, "--max-queue-size", MAX_THREADS, "--max-requests-in-flight", MAX_THREADS]
    ports = ["--rest-port", str(rest_port), "--grpc-port", str(grpc_port)]
    return [sys.executable, "-m", "service", "serve", *ports, "--models", models, "--log-level", "warning", *limits]


def missing() -> str:
    """Returns what it takes to build it and is not there, as a sentence; nothing where nothing is missing."""
    if _MODEL_SERVER or _can_be_built():
        return ""
    return f"no TensorFlow Serving and no stand-in for it: apt-get install {PACKAGES}"


def _build() -> None:
    shutil.rmtree(_FOLDER, ignore_errors=True)
    for name in _WIRE:
        upstream = (ROOT / "protos" / name).read_text().replace("tensorgate.wire.tensorflow", "tensorflow")
        (_FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
        (_FOLDER / name).write_text(upstream)
    shutil.copy(_SOURCES / "meta_graph.proto", _FOLDER)
    plugin = f"--plugin=protoc-gen-grpc={shutil.which('grpc_cpp_plugin')}"
    _run("protoc", "-I.", "--cpp_out=.", "--grpc_out=.", plugin, "meta_graph.proto", *_WIRE)
    # Last of all: TensorFlow's headers have a protobuf among them that is not the system's.
    includes = ["-I.", f"-I{_SOURCES}", "-idirafter", str(_tensorflow() / "include")]
    sources = [*map(str, _SOURCES.glob("*.cc")), *(str(file) for file in _FOLDER.rglob("*.pb.cc"))]
    libraries = _run("pkg-config", "--cflags", "--libs", "grpc++", "protobuf").split()
    _run("g++", "-std=c++17", "-O2", "-Wall", *includes, "-o", _PROGRAM.name, *sources, *libraries, "-ldl")


def _can_be_built() -> bool:
    tools = ("g++", "protoc", "grpc_cpp_plugin", "pkg-config")
    if not all(map(shutil.which, tools)):
        return False
    return subprocess.run(["pkg-config", "--exists", "grpc++", "protobuf"], check=False).returncode == 0


def _is_built() -> bool:
    if not _PROGRAM.exists():
        return False
    sources = [*_SOURCES.iterdir(), *(ROOT / "protos" / name for name in _WIRE)]
    return _PROGRAM.stat().st_mtime > max(file.stat().st_mtime for file in sources)


def _tensorflow() -> Path:
    spec = find_spec("tensorflow")  # where it is, without importing it
    assert spec is not None  # noqa: S101 - the benchmarks' environment has it
    assert spec.origin is not None  # noqa: S101
    return Path(spec.origin).parent


def _run(*command: str) -> str:
    return subprocess.run(command, cwd=_FOLDER, capture_output=True, text=True, check=True).stdout
