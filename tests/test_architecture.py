"""The rules of the tree: who imports whom, and what must never be there."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SERVICES = [
    name
    for name in ("producer", "imageai", "consumer", "webrtc_producer", "faces", "archive")
    if (ROOT / name).is_dir()
]
ENGINES = {
    "confluent_kafka",
    "av",
    "onnxruntime",
    "simplejpeg",
    "msgspec.msgpack",
    "cryptography",
    "opentelemetry",
    "prometheus_client",
}
BANNED = {"pickle", "jsonpickle", "dill", "shelve", "marshal", "eventlet"}


def sources(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*.py"):
        if not {"node_modules", "venv", ".venv", "dist"} & set(path.relative_to(ROOT).parts):
            yield path


def imported(path: Path) -> set[str]:
    """Return every dotted name that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def roots(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)}


def test_each_engine_is_imported_by_one_module_only() -> None:
    users = defaultdict(set)
    for folder in ("src", *SERVICES):
        for path in sources(ROOT / folder):
            for engine in ENGINES & (roots(path) | imported(path)):
                users[engine].add(str(path.relative_to(ROOT)))
    assert {engine: paths for engine, paths in users.items() if len(paths) > 1} == {}
    assert users["confluent_kafka"] == {"src/imagebus/bus/client.py"}


def test_services_never_import_each_other() -> None:
    own = {service: {path.stem for path in (ROOT / service).glob("*.py")} - {"app"} for service in SERVICES}
    for service in SERVICES:
        others = set().union(*(own[other] for other in SERVICES if other != service)) - own[service]
        for path in sources(ROOT / service):
            assert not roots(path) & others, path


def test_the_library_never_imports_a_service() -> None:
    modules = {path.stem for service in SERVICES for path in (ROOT / service).glob("*.py")} - {"app"}
    for path in sources(ROOT / "src"):
        assert not {name for name in imported(path) if "." not in name} & modules, path


def test_nothing_can_run_code_that_it_was_sent() -> None:
    for folder in ("src", "tests", "examples", *SERVICES):
        for path in sources(ROOT / folder):
            assert not roots(path) & BANNED, path


def test_the_folder_imageai_does_not_shadow_the_package_of_that_name() -> None:
    assert not (ROOT / "imageai" / "__init__.py").exists()
    assert not (ROOT / "imageai" / "imageai.py").exists()
    assert not list((ROOT / "imageai").glob("test*"))
