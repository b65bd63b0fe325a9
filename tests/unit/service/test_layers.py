"""The architecture's rules on imports and sizes, held against the code."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

PACKAGES = ("pictures", "series_files", "service", "tensorgate", "training")

ALLOWED = {
    "errors": set(),
    "wire": set(),
    "core": {"errors"},
    "codecs": {"core", "errors", "wire"},
    "validation": {"errors"},
    "schemas": {"codecs", "core", "errors", "validation"},
    "seam": {"core", "errors"},
    "backends": {"codecs", "core", "errors", "wire"},
    "access": {"core", "errors", "validation"},
    "telemetry": {"core", "errors"},
    "recording": {"codecs", "core", "errors"},
    "replay": {"codecs", "core", "errors", "wire"},
    "stores": {"codecs", "core", "errors"},
    "protocols": {"codecs", "core", "errors", "schemas", "seam", "validation", "wire"},
    "transport": {"codecs", "core", "errors", "seam"},
    "app": {
        *("access", "backends", "codecs", "core", "errors", "protocols", "recording", "seam", "stores", "telemetry"),
        *("transport", "validation"),
    },
    "commands": {"access", "app", "backends", "codecs", "core", "errors", "replay", "stores", "validation"},
    "__main__": {"commands"},
}

_CLIENT_NEEDS = {"google", "grpc", "numpy", "tensorgate"}
_CLIENT_MAY_USE = {"PIL", "opentelemetry", "pandas"}
"""What the client library imports where the caller has it."""


def _sources(package: str) -> list[Path]:
    return [source for source in sorted((ROOT / package).rglob("*.py")) if "_pb2" not in source.name]


def _imports(source: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source}: relative import"
            assert node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


@pytest.mark.parametrize("source", _sources("service"), ids=lambda source: str(source.relative_to(ROOT)))
def test_imports_point_one_way(source: Path) -> None:
    room = _room(".".join(source.relative_to(ROOT).with_suffix("").parts))
    if room == "__init__":
        return
    for module in _imports(source):
        if module.startswith("service.") and _room(module) not in {room, "__version__"}:
            assert _room(module) in ALLOWED[room], f"{source} imports {module}"


@pytest.mark.parametrize("family", ["native", "tfserving", "open_inference"])
def test_protocol_families_do_not_know_each_other(family: str) -> None:
    for source in _sources(f"service/protocols/{family}"):
        for module in _imports(source):
            if module.startswith("service.protocols."):
                assert module.startswith(f"service.protocols.{family}"), f"{source} imports {module}"


def test_service_and_training_do_not_know_each_other_but_for_the_command_line() -> None:
    for source in _sources("service"):
        if source != ROOT / "service" / "commands" / "train.py":
            assert not any(module.startswith("training") for module in _imports(source)), source
    for source in _sources("training"):
        assert not any(module.startswith("service") for module in _imports(source)), source


def test_what_both_agree_on_knows_neither() -> None:
    for package in ("pictures", "series_files"):
        for source in _sources(package):
            others = {"service", "tensorflow", "tensorgate", "training", "pictures", "series_files"} - {package}
            assert not any(module.partition(".")[0] in others for module in _imports(source)), source


def test_clients_import_nothing_of_the_service() -> None:
    for source in (ROOT / "tensorgate").rglob("*.py"):
        assert not any(module.startswith("service") for module in _imports(source)), source
    for source in _sources("tensorgate/client"):
        roots = {module.partition(".")[0] for module in _imports(source)}
        assert roots <= {*sys.stdlib_module_names, *_CLIENT_NEEDS, *_CLIENT_MAY_USE}, source


def test_only_commands_use_the_client_library_and_nothing_else_to_call_a_server() -> None:
    for source in _sources("service"):
        modules = set(_imports(source))
        if "commands" not in source.parts:
            assert not any(module.startswith("tensorgate.client") for module in modules), source
        else:
            assert not any(module.partition(".")[0] == "grpc" or "_pb2_grpc" in module for module in modules), source


def test_only_the_savedmodel_backend_imports_tensorflow() -> None:
    for source in _sources("service"):
        if "savedmodel" not in source.parts:
            assert not any(module.partition(".")[0] in {"tensorflow", "keras"} for module in _imports(source)), source


def test_only_the_telemetry_imports_opentelemetry_and_only_where_it_traces() -> None:
    for source in _sources("service"):
        if source.name not in {"spans.py", "tracing.py"} or source.parent.name != "telemetry":
            found = {module for module in _imports(source) if module.startswith("opentelemetry")}
            assert not found, f"{source} imports {found}"


def test_only_what_verifies_tokens_imports_their_library_and_only_where_there_are_any() -> None:
    late = {"jwks.py", "key_set.py", "remembered.py", "tokens.py"}
    for source in _sources("service"):
        if source.name not in late or source.parent.name != "access":
            found = {module for module in _imports(source) if module.partition(".")[0] in {"jwt", "cryptography"}}
            assert not found, f"{source} imports {found}"
    for name in ("service.access.control", "service.access.key_file", "service.app.lifecycle", "service.commands.keys"):
        program = f"import sys, {name}; print(sorted(set(sys.modules) & {{'jwt', 'cryptography'}}))"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
        assert done.stdout.strip() == "[]"


def test_protocols_come_to_the_models_as_who_asks_may_see_them() -> None:
    for source in _sources("service/protocols"):
        assert "service.core.catalog.Catalog" not in set(_imports(source)), source


def test_there_is_no_import_cycle() -> None:
    modules = {}
    for package in PACKAGES:
        for source in _sources(package):
            name = ".".join(source.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            modules[name] = source
    graph: dict[str, set[str]] = {name: set() for name in modules}
    for name, source in modules.items():
        for imported in _imports(source):
            for target in (imported, imported.rpartition(".")[0]):
                if target in modules and target != name:
                    graph[name].add(target)
                    break

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name not in done:
            for target in sorted(graph[name]):
                visit(target, (*trail, name))
            done.add(name)

    done: set[str] = set()
    for name in graph:
        visit(name, ())


@pytest.mark.parametrize("package", [*PACKAGES, "capacity", "fuzz", "reliability", "tests"])
def test_no_file_is_longer_than_a_reader_likes(package: str) -> None:
    long = {str(source): lines for source in _sources(package) if (lines := len(source.read_text().splitlines())) > 300}
    assert not long


def test_a_runtime_with_another_backend_loads_no_tensorflow() -> None:
    program = (
        "import asyncio, sys\n"
        "from service.app.lifecycle import Server\n"
        "from service.app.settings import load\n"
        "async def main():\n"
        "    settings = load({'backend': 'tests.fakes:FakeBackend', 'rest_port': 0, 'grpc_port': 0})\n"
        "    async with Server(settings) as runtime:\n"
        "        await runtime.ready()\n"
        "asyncio.run(main())\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & {'tensorflow', 'keras', 'training'}))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"
