"""The rules of the layout and of the code's style, checked on the source itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "gossipd"
CORE = sorted((PACKAGE / "core").glob("*.py"))
EVERYTHING = sorted(PACKAGE.rglob("*.py"))

PURE = {
    "__future__",
    "array",
    "bisect",
    "collections",
    "dataclasses",
    "enum",
    "functools",
    "hashlib",
    "heapq",
    "ipaddress",
    "itertools",
    "math",
    "msgpack",
    "operator",
    "random",
    "struct",
    "types",
    "typing",
    "unicodedata",
    "uuid",
}
"""What the core may import from outside; none of it reaches the world as it is used."""

ONLY = {"random": {"Random"}, "uuid": {"UUID"}}
"""Of these modules only the types: their functions would be global state."""

FUNCTION_LINES_MAX = 70

SHELL = {
    "udp": {"core", "endpoint"},
    "routes": {"core", "endpoint", "udp"},
    "advertising": {
        *("alone", "config", "core", "endpoint", "reports", "resolving", "routes", "seeds"),
        *("troubles", "udp"),
    },
    "hearing": {"core", "troubles"},
    "store": {"core", "signals", "store"},
    "keeping": {"core", "diskwatch", "store", "troubles"},
    "datadir": {"store"},
    "notify": set[str](),
    "seeds": {"core", "endpoint", "reports", "resolving", "troubles", "udp"},
    "resolving": {"core", "endpoint", "udp"},
    "alone": {"core"},
    "reports": {"core", "endpoint"},
    "counting": {"core", "spans"},
    "spans": set[str](),
    "bounds": set[str](),
    "service": {
        *("alone", "core", "counting", "diskwatch", "endpoint", "reports", "seeds"),
        *("store", "troubles", "waits"),
    },
    "troubles": set[str](),
    "repeats": set[str](),
    "inbox": {"core"},
    "entry": {"cli", "logs", "signals", "streams"},
    "logs": {"streams", "troubles"},
    "signals": {"streams"},
    "streams": set[str](),
    "diskwatch": {"troubles"},
    "waits": {"core"},
    "alarm": {"core"},
    "garbage": {"core"},
    "endpoint": set[str](),
    "config": {"core", "endpoint"},
    "client": {"client", "endpoint"},
}
"""Which of the package each module of the shell may import; the rest meets in `daemon`."""

SIMULATING = {"simulate", "findings", "plotting"}
"""The modules of the command line that know the simulator; no other command waits for it."""


def imports_of(path: Path) -> Iterator[tuple[str, set[str]]]:
    """(module, names) of every import in a file; relative ones begin with a dot."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, set()
        elif isinstance(node, ast.ImportFrom):
            names = {alias.name for alias in node.names}
            yield "." * node.level + (node.module or ""), names


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.stem)
def test_the_core_imports_nothing_that_touches_the_world(path: Path) -> None:
    for module, names in imports_of(path):
        if module.startswith("."):
            assert not module.startswith(".."), f"{path.name} climbs out of the core: {module}"
            continue
        top = module.partition(".")[0]
        assert top in PURE, f"{path.name} imports {module}"
        assert names <= ONLY.get(top, names), f"{path.name} imports {names} of {module}"


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.stem)
def test_the_core_iterates_over_no_sets(path: Path) -> None:
    """Their order changes with the hash seed, and with it the bytes that a seed gives."""
    for node in ast.walk(ast.parse(path.read_text())):
        loops = (node.iter,) if isinstance(node, ast.For | ast.comprehension) else ()
        for iterated in loops:
            assert not isinstance(iterated, ast.Set | ast.SetComp), path.name


def core_imports() -> dict[str, set[str]]:
    return {
        path.stem: {module[1:] for module, _ in imports_of(path) if module.startswith(".")}
        for path in CORE
        if path.stem != "__init__"
    }


def test_the_core_has_no_import_cycles() -> None:
    waiting = core_imports()
    while waiting:
        free = [name for name, needs in waiting.items() if not needs & set(waiting)]
        assert free, f"a cycle among {sorted(waiting)}"
        for name in free:
            del waiting[name]


def test_parts_take_what_they_use_and_not_all_that_a_node_knows() -> None:
    needing = [name for name, needs in core_imports().items() if "state" in needs]
    assert needing == ["node"]


@pytest.mark.parametrize("name", SHELL)
def test_siblings_beside_the_core_meet_only_in_the_daemon(name: str) -> None:
    module_or_package = [PACKAGE / f"{name}.py", *(PACKAGE / name).glob("*.py")]
    for path in (path for path in module_or_package if path.exists()):
        for module, _ in imports_of(path):
            parts = module.split(".")
            if parts[0] == "gossipd" and len(parts) > 1:
                assert parts[1] in SHELL[name], f"{path} imports {module}"


def test_the_side_port_and_the_simulator_stand_on_their_own() -> None:
    """But for what clients ask of a node, and the core's words for it."""
    rooms = {
        "sideport": {"bounds", "core", "service", "sideport"},
        "simulator": {"simulator", "core"},
    }
    for folder, allowed in rooms.items():
        for path in sorted((PACKAGE / folder).rglob("*.py")):
            for module, _ in imports_of(path):
                parts = module.split(".")
                if parts[0] == "gossipd" and len(parts) > 1:
                    assert parts[1] in allowed, f"{path.name} imports {module}"


def test_only_simulate_knows_the_simulator_and_only_its_figure_the_plotting_library() -> None:
    for path in EVERYTHING:
        modules = [module for module, _ in imports_of(path)]
        if "simulator" not in path.parts and path.stem not in SIMULATING:
            assert not [name for name in modules if name.startswith("gossipd.simulator")], path
        if path.stem != "plotting":
            assert not [name for name in modules if name.startswith("matplotlib")], path


@pytest.mark.parametrize("path", EVERYTHING, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_says_its_idea_and_its_functions_fit_a_screen(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), f"{path} opens without its idea"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= FUNCTION_LINES_MAX, f"{path.name}: {node.name} has {lines} lines"
