"""Generates the Python code of every proto file; the proto path is the Python path, so imports need no rewriting.

With ``--check`` it generates into a temporary folder, and fails when that is not what the project holds.
"""

import sys
import tempfile
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import grpc_tools
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
WIRE = PROTOS / "service" / "wire"
# `protos/google` is for clients of other languages; in Python its messages come with googleapis-common-protos, which
# the client does without where it is not installed.
STATUS = ("from google.rpc import status_pb2", "from tensorgate.google_status import status_pb2")
SOURCES = sorted(source for source in PROTOS.rglob("*.proto") if PROTOS / "google" not in source.parents)


def generated(root: Path) -> Iterator[Path]:
    """Yields the generated files below a folder, relative to it."""
    for package in sorted({source.relative_to(PROTOS).parent for source in SOURCES}):
        for file in sorted((root / package).glob("*_pb2*.py*")):
            yield file.relative_to(root)


def generate(root: Path) -> int:
    """Generates all code below a folder; returns the compiler's exit status."""
    # Upstream's services are served under names other than those of our subsets, so no stubs of these are made.
    with_services = [source for source in SOURCES if WIRE not in source.parents and "\nservice " in source.read_text()]
    includes = [
        f"-I{PROTOS}",
        f"-I{files(grpc_tools) / '_proto'}",
        f"-I{Path(protoc.__file__).parent.parent}",  # googleapis-common-protos keeps its .proto files there
    ]
    status = protoc.main(["protoc", *includes, f"--python_out={root}", f"--pyi_out={root}", *map(str, SOURCES)])
    if status == 0 and with_services:
        status = protoc.main(["protoc", *includes, f"--grpc_python_out={root}", *map(str, with_services)])
    for name in generated(root):
        (root / name).write_text((root / name).read_text().replace(*STATUS))
    return int(status)


def check() -> int:
    """Returns 1, and says which files differ, unless the project holds what would be generated."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        if status := generate(fresh):
            return status
        names = {*generated(fresh), *generated(ROOT)}
        differing = [
            str(name)
            for name in sorted(names)
            if not all((root / name).is_file() for root in (fresh, ROOT))
            or (fresh / name).read_bytes() != (ROOT / name).read_bytes()
        ]
    if differing:
        sys.stderr.write(f"not as generated: {', '.join(differing)}; run make protos\n")
    return 1 if differing else 0


def main() -> int:
    """Checks, or removes what was generated before and generates all anew; returns the exit status."""
    if sys.argv[1:] == ["--check"]:
        return check()
    for name in list(generated(ROOT)):
        (ROOT / name).unlink()
    return generate(ROOT)


if __name__ == "__main__":
    sys.exit(main())
