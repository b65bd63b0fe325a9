"""Generates the Python code of every proto file; the proto path is the Python path, so imports need no rewriting."""

import sys
from importlib.resources import files
from pathlib import Path

import grpc_tools
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"


def main() -> int:
    """Removes what was generated before and generates all anew; returns the compiler's exit status."""
    sources = sorted(PROTOS.rglob("*.proto"))
    with_services = [source for source in sources if "\nservice " in source.read_text()]
    for package in {ROOT / source.relative_to(PROTOS).parent for source in sources}:
        for generated in package.glob("*_pb2*.py*"):
            generated.unlink()
    includes = [
        f"-I{PROTOS}",
        f"-I{files(grpc_tools) / '_proto'}",
        f"-I{Path(protoc.__file__).parent.parent}",  # googleapis-common-protos keeps its .proto files there
    ]
    arguments = ["protoc", *includes, f"--python_out={ROOT}", f"--pyi_out={ROOT}", *map(str, sources)]
    status = protoc.main(arguments)
    if status == 0 and with_services:
        status = protoc.main(["protoc", *includes, f"--grpc_python_out={ROOT}", *map(str, with_services)])
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
