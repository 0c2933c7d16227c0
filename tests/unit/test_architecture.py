"""The rules of the layout and of the code's style, checked on the source itself."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "gossipd"
CORE = sorted((PACKAGE / "core").rglob("*.py"))
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

ROOM_AND_NAME = r"`(\w+(?:\.\w+)*)\.(\w+)`"
"""How a docstring names a module of another room, or something that the room shows."""

LEAVES = {
    *("effects", "hashing", "identity", "means", "replies", "results", "settings", "snapshot"),
    *("tally", "timers", "turn"),
}
"""The modules of the core that every room may use."""

ROOMS = {
    "core/wire": set[str](),
    "core/log": {"core/wire"},
    "core/swim": {"core/gossip", "core/log", "core/wire"},
    "core/gossip": {"core/log", "core/swim", "core/wire"},
    "core/repair": {"core/durability", "core/gossip", "core/log", "core/swim", "core/wire"},
    "core/durability": {"core/gossip", "core/log", "core/repair", "core/swim", "core/wire"},
    "store": {"core", "process"},
    "sideport": {
        *("config/bounds", "config/endpoint", "config/tokens", "config/unix"),
        *("core", "daemon/service", "sideport/page", "sideport/resp"),
    },
    "sideport/resp": {"config/bounds", "config/tokens", "core", "daemon/service", "sideport"},
    "sideport/page": {"sideport"},
    "sealing": {"config/secrets", "core"},
    "simulator": {"core"},
    "config": {"core"},
    "client": {"config"},
    "bench": {"client", "config/endpoint", "config/unix"},
    "doctor": {"client", "config", "core", "daemon/udp", "sealing"},
    "process": {"cli", "daemon"},
    "daemon": {"config", "core", "process", "sealing", "sideport", "store"},
    "cli": {
        "bench",
        "client",
        "config",
        "core",
        "daemon",
        "doctor",
        "process",
        "sealing",
        "simulator",
        "store",
    },
}
"""Which rooms each room may import from: what touches the world meets in `daemon` alone."""

SIMULATING = {"simulate", "findings", "plotting"}
"""The modules of the command line that know the simulator; no other command waits for it."""


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(parsed(path)))


def imports_of(path: Path) -> Iterator[tuple[str, set[str]]]:
    """(module, names) of every import in a file."""
    folder = ["gossipd", *path.relative_to(PACKAGE).parent.parts]
    for node in nodes(path):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, set()
        elif isinstance(node, ast.ImportFrom):
            above = folder[: len(folder) + 1 - node.level] if node.level else []
            yield ".".join([*above, *filter(None, [node.module])]), {a.name for a in node.names}


def is_module(name: str) -> bool:
    path = PACKAGE.parent.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").exists()


@cache
def ours(path: Path) -> list[tuple[str, ...]]:
    """The modules of the package that a file imports, as paths below it."""
    found = []
    for module, names in imports_of(path):
        if module.partition(".")[0] == "gossipd":
            inner = [f"{module}.{name}" for name in sorted(names)]
            modules = [name for name in inner if is_module(name)] or [module]
            found += [tuple(name.split(".")[1:]) for name in modules]
    return found


def room_of(module: tuple[str, ...]) -> str:
    """The folder of a module; the core's are rooms of their own, its leaves are in `core`."""
    for length in 2, 1:
        if len(module) >= length and PACKAGE.joinpath(*module[:length]).is_dir():
            return "/".join(module[:length])
    return ""


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.stem)
def test_the_core_imports_nothing_that_touches_the_world(path: Path) -> None:
    for module, names in imports_of(path):
        top = module.partition(".")[0]
        if top == "gossipd":
            assert module.startswith("gossipd.core"), f"{path.name} imports {module}"
            continue
        assert top in PURE, f"{path.name} imports {module}"
        assert names <= ONLY.get(top, names), f"{path.name} imports {names} of {module}"


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.stem)
def test_the_core_iterates_over_no_sets(path: Path) -> None:
    """Their order changes with the hash seed, and with it the bytes that a seed gives."""
    for node in nodes(path):
        loops = (node.iter,) if isinstance(node, ast.For | ast.comprehension) else ()
        for iterated in loops:
            assert not isinstance(iterated, ast.Set | ast.SetComp), path.name


def test_the_core_has_no_import_cycles() -> None:
    waiting = {
        path.relative_to(PACKAGE).with_suffix("").parts: set(ours(path))
        for path in CORE
        if path.stem != "__init__"
    }
    while waiting:
        free = [name for name, needs in waiting.items() if not needs & set(waiting)]
        assert free, f"a cycle among {sorted(waiting)}"
        for name in free:
            del waiting[name]


def test_parts_take_what_they_use_and_not_all_that_a_node_knows() -> None:
    needing = [path.stem for path in CORE if ("core", "state") in ours(path)]
    assert needing == ["dispatch", "inspection", "node", "parts"]


@pytest.mark.parametrize("path", EVERYTHING, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_that_a_docstring_names_are_there(path: Path) -> None:
    for node in nodes(path):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            for name in re.findall(r"`(\w+\.py)`", ast.get_docstring(node) or ""):
                assert (path.parent / name).exists(), f"{path} names {name}"
            for room, name in re.findall(ROOM_AND_NAME, ast.get_docstring(node) or ""):
                if is_module(f"gossipd.{room}"):
                    known = is_module(f"gossipd.{room}.{name}") or is_exported(room, name)
                    assert known, f"{path} names {room}.{name}"


def is_exported(room: str, name: str) -> bool:
    return hasattr(importlib.import_module(f"gossipd.{room}"), name)


def test_every_folder_has_a_rule() -> None:
    folders = {path.parent.relative_to(PACKAGE).as_posix() for path in EVERYTHING}
    assert folders == {*ROOMS, "core", "."}


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_meet_where_the_rules_say(room: str) -> None:
    for path in sorted((PACKAGE / room).glob("*.py")):
        for module in ours(path):
            other = room_of(module)
            if other == "core" and room.startswith("core/"):
                assert module[1] in LEAVES, f"{path} imports {module}"
            elif other not in (room, ""):
                names = {"/".join(module), other, other.partition("/")[0]}
                assert names & ROOMS[room], f"{path} imports {module}"


COMMANDS = {"__main__", "cli"}
"""Where whatever runs begins."""


def test_what_only_tests_use_is_with_the_tests() -> None:
    """Every module is reached from a command."""
    modules = {path.relative_to(PACKAGE).with_suffix("").parts: path for path in EVERYTHING}
    doors = {module: path for module, path in modules.items() if module[0] in COMMANDS}
    waiting, reached = list(doors.values()), set(doors.values())
    while waiting:
        for module in ours(waiting.pop()):
            for found in (modules.get(module), modules.get((*module, "__init__"))):
                if found is not None and found not in reached:
                    reached.add(found)
                    waiting.append(found)
    unreached = {path for path in EVERYTHING if path.stem != "__init__"} - reached
    assert not unreached


def test_what_only_tests_ask_of_the_core_is_with_the_tests() -> None:
    """Each of its functions is named somewhere in the package. Words that mean several things hide
    some."""
    defined, named = set[str](), set[str]()
    for path in EVERYTHING:
        for node in nodes(path):
            match node:
                case ast.FunctionDef(name) if "core" in path.parts and not name.startswith("__"):
                    defined.add(name)
                case ast.Attribute(attr=name) | ast.Name(name) | ast.alias(name):
                    named.add(name)
    assert not defined - named


def test_only_simulate_knows_the_simulator_and_only_its_figure_the_plotting_library() -> None:
    for path in EVERYTHING:
        modules = [module for module, _ in imports_of(path)]
        if "simulator" not in path.parts and path.stem not in SIMULATING:
            assert not [name for name in modules if name.startswith("gossipd.simulator")], path
        if path.stem != "plotting":
            assert not [name for name in modules if name.startswith("matplotlib")], path


@pytest.mark.parametrize("path", EVERYTHING, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_says_its_idea_and_its_functions_fit_a_screen(path: Path) -> None:
    assert ast.get_docstring(parsed(path)), f"{path} opens without its idea"
    for node in nodes(path):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= FUNCTION_LINES_MAX, f"{path.name}: {node.name} has {lines} lines"


@pytest.mark.parametrize("path", EVERYTHING, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_text_stands_right_behind_what_it_tells_of(path: Path) -> None:
    """Else that is gone, and the text was left."""
    for node in nodes(path):
        body = getattr(node, "body", None)
        for before, text in pairwise(body if isinstance(body, list) else ()):
            match text:
                case ast.Expr(ast.Constant(str())):
                    assert isinstance(before, ast.Assign | ast.AnnAssign), (path, text.lineno)
                    assert before.end_lineno == text.lineno - 1, (path, text.lineno)
