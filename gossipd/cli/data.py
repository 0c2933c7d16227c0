"""`gossipd data`: what can be done with a data directory; no daemon is asked.

All but `import` and `move-aside` only read, and may be used while a node runs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from gossipd.cli.failure import Failure, say
from gossipd.cli.output import emit
from gossipd.store import StoreError
from gossipd.store.backup import back_up, move_aside
from gossipd.store.checking import check as check_data
from gossipd.store.export import LineError, export_lines, import_lines

_path_argument = click.argument("path", metavar="DIR", type=click.Path(path_type=Path))


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except (StoreError, LineError) as error:
        raise Failure(str(error)) from None


@click.group(
    epilog="""\b
Examples:
  gossipd data check /var/lib/gossipd/a
  gossipd data backup /var/lib/gossipd/a a.db"""
)
def data() -> None:
    """Check, copy and convert a data directory.

    DIR is what `gossipd run --data-dir` was given, or a file that `backup` has made.
    """


@data.command(
    epilog="""\b
Examples:
  gossipd data check /var/lib/gossipd/a"""
)
@_path_argument
def check(path: Path) -> None:
    """Check DIR completely and say what it holds."""
    with _refusing():
        finding = check_data(path)
    for problem in finding.problems:
        say(f"{path}: {problem}")
    if finding.problems:
        raise SystemExit(1)
    for name in ("streams", "registers", "counters", "members", "keys", "doubles", "generation"):
        emit(f"{name}\t{getattr(finding, name)}")
    emit(f"fingerprint\t{finding.fingerprint:032x}")


@data.command(
    "export",
    epilog="""\b
Examples:
  gossipd data export /var/lib/gossipd/a > a.jsonl""",
)
@_path_argument
def export_data(path: Path) -> None:
    """Print the log in DIR as JSON lines."""
    with _refusing():
        for line in export_lines(path):
            sys.stdout.write(f"{line}\n")


@data.command(
    "import",
    epilog="""\b
Examples:
  gossipd data import /var/lib/gossipd/a < a.jsonl
  gossipd data export /var/lib/gossipd/a | gossipd data import /var/lib/gossipd/b""",
)
@_path_argument
def import_data(path: Path) -> None:
    """Join exported JSON lines from stdin into DIR.

    No node may be using it. DIR is made if it is not there. All lines are taken in, or none.
    """
    with _refusing():
        count = import_lines(path, sys.stdin.buffer)
    sys.stderr.write(f"{count} lines\n")


@data.command(
    epilog="""\b
Examples:
  gossipd data backup /var/lib/gossipd/a a.db"""
)
@_path_argument
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
def backup(path: Path, file: Path) -> None:
    """Copy DIR to FILE, also while a node is using it.

    To restore it, put FILE as gossipd.db into an empty directory. Any copy will do, however old.
    """
    with _refusing():
        back_up(path, file)


@data.command(
    "move-aside",
    epilog="""\b
Examples:
  gossipd data move-aside /var/lib/gossipd/a""",
)
@_path_argument
def move(path: Path) -> None:
    """Rename the file in DIR, to start anew.

    The next node there starts with an empty log.
    """
    with _refusing():
        aside = move_aside(path)
    emit(str(aside))
