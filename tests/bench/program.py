"""What the programs beside it share: options, processes, a table, and an exit code.

A program measures in tasks, each a pure function of its argument (a seed among it). They are
spread over processes, and their results come back in the order of the tasks: a run says the same
with any number of jobs. The only exceptions are figures of CPU and memory.
"""

from __future__ import annotations

import json
import multiprocessing
import time
from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from gossipd.core import Settings
from tests.bench.classic import CLASSIC
from tests.simulation.faulty.world import World

_Task = TypeVar("_Task")
_Found = TypeVar("_Found")

OURS = Settings()
"""The defaults: the profile `lan`."""

RULES = (OURS, CLASSIC)
"""What is measured side by side, in this order."""

WARM_UP = 5.0
"""Probe intervals that a cluster runs before anything is measured."""

_HEADER = ("", "MEASURED", "", "BOUND", "KEPT", "CLASSIC", "")


class Row(NamedTuple):
    """One figure."""

    what: str
    measured: float | None
    """None: it did not happen, which misses any bound."""
    bound: float | None = None
    """What `measured` may be at most; None: it is only told."""
    unit: str = "s"
    classic: float | None = None
    """The same, measured with the classic settings in the same run."""
    note: str = ""

    @property
    def kept(self) -> bool:
        return self.bound is None or (self.measured is not None and self.measured <= self.bound)


def options(doc: str | None) -> ArgumentParser:
    """The options that every program has; `doc` is its module's docstring."""
    parser = ArgumentParser(description=doc, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    parser.add_argument("--quick", action="store_true", help="little of everything: a trial run")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    return parser


def with_parts(parser: ArgumentParser, parts: Iterable[str]) -> ArgumentParser:
    """The same with `--parts`, of a program that may measure some of its parts alone."""
    names = tuple(parts)

    def some_of(text: str) -> tuple[str, ...]:
        wanted = tuple(text.split(","))
        if not set(wanted) <= set(names):
            raise ArgumentTypeError(f"parts are {', '.join(names)}")
        return wanted

    parser.add_argument("--parts", type=some_of, default=names, help=",".join(names))
    return parser


def chosen(
    parts: Mapping[str, Callable[[_Task], Iterator[Row]]], names: Sequence[str], task: _Task
) -> Iterator[Row]:
    """What the parts of these names measure, in the order of all parts."""
    for name, part in parts.items():
        if name in names:
            yield from part(task)


def spread(
    function: Callable[[_Task], _Found], tasks: Sequence[_Task], jobs: int
) -> Iterator[_Found]:
    """The results of all tasks in their order, each from a process of its own."""
    with multiprocessing.Pool(jobs, maxtasksperchild=1) as pool:
        yield from pool.imap(function, tasks, chunksize=1)


def quiet_cluster(seed: int, settings: Settings, nodes: int) -> World:
    """A cluster at rest, at a random moment of its rounds. It has no seeds: a killed one would be
    asked for by all."""
    world = World(seed, settings)
    for host in world.formed(nodes):
        host.seeds = []
    world.run((WARM_UP + world.rng.random()) * settings.probe_interval)
    world.effects.clear()
    return world


def report(rows: Iterable[Row], as_json: bool) -> int:
    """Print rows as they come; 1 if a bound was missed."""
    began = time.monotonic()
    found: list[Row] = []
    if not as_json:
        print(_line(*_HEADER))
    for row in rows:
        found.append(row)
        if not as_json:
            print(_table_row(row), flush=True)
    if as_json:
        print(json.dumps([{**row._asdict(), "kept": row.kept} for row in found], indent=1))
    else:
        missed = sum(not row.kept for row in found)
        print(f"{missed} bounds missed; measured in {time.monotonic() - began:.0f} s")
    return 0 if all(row.kept for row in found) else 1


def _table_row(row: Row) -> str:
    verdict = "" if row.bound is None else "yes" if row.kept else "MISSED"
    bound = "" if row.bound is None else f"<= {row.bound:g}"
    classic = "" if row.classic is None else _number(row.classic)
    return _line(row.what, _number(row.measured), row.unit, bound, verdict, classic, row.note)


def _line(
    what: str, measured: str, unit: str, bound: str, kept: str, classic: str, note: str
) -> str:
    text = f"{what:<50} {measured:>10} {unit:<10} {bound:<9} {kept:<7} {classic:>10}  {note}"
    return text.rstrip()


def _number(value: float | None) -> str:
    if value is None:
        return "never"
    if value == int(value):
        return f"{value:,.0f}"
    return f"{value:,.3f}" if abs(value) < 1 else f"{value:,.2f}"
