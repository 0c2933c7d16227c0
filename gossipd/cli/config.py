"""`gossipd config`: what a node would be started with, and what is wrong with a file."""

from __future__ import annotations

import json
from typing import Any

import click

from gossipd.cli.failure import Misuse, say
from gossipd.cli.output import emit, emit_table
from gossipd.cli.run import RunOptions, layers_of, load, options
from gossipd.config.layers import Invalid, Layers
from gossipd.config.options import keys


@click.group(
    epilog="""\b
Examples:
  gossipd config check /etc/gossipd/gossipd.toml
  gossipd config show --config /etc/gossipd/gossipd.toml --name a"""
)
def config() -> None:
    """Show or check a node's configuration.

    No daemon is asked.
    """


def _show(as_json: bool, **given: Any) -> None:
    loaded = load(layers_of(given))
    rows = [(key.name, _value(key.of(loaded.config)), loaded.origin(key)) for key in keys()]
    if as_json:
        emit(json.dumps({name: {"value": value, "from": origin} for name, value, origin in rows}))
        return
    shown = [(name, _text(value), origin) for name, value, origin in rows]
    emit_table(("key", "value", "from"), shown)


def _value(value: object) -> object:
    """As JSON has it."""
    if isinstance(value, tuple):
        return [str(each) for each in value]
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def _text(value: object) -> object:
    if isinstance(value, list):
        return ", ".join(value)
    return str(value).lower() if isinstance(value, bool) else value


config.add_command(
    RunOptions(
        "show",
        params=[
            click.Option(["as_json", "--json"], is_flag=True, help="Print one JSON object."),
            *options(),
        ],
        callback=_show,
        epilog="""\b
Examples:
  gossipd config show
  gossipd config show --config /etc/gossipd/gossipd.toml --json""",
        help="""Print every option and where it came from.

        All is as `gossipd run` with the same flags, variables and file would have it. A value that
        is not set (-) is found out by the node, see gossipd run --help.
        """,
    )
)


@config.command(
    epilog="""\b
Examples:
  gossipd config check /etc/gossipd/gossipd.toml
  gossipd config check a.toml b.toml"""
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
def check(files: tuple[str, ...]) -> None:
    """Tell all that is wrong with a file.

    Each mistake comes with its line, and what is wrong with the files that it names (keyring,
    tokens, certificate). Each FILE is checked by itself, without the variables of this
    environment. Exit code 2 where a node would not start with one of them.
    """
    last = ""
    for path in files:
        problems = _problems(path)
        for problem in problems:
            if last:
                say(last)
            last = problem
        if not problems:
            emit(f"{path}: good")
    if last:
        raise Misuse(last)


def _problems(path: str) -> tuple[str, ...]:
    try:
        config = Layers(path=path).load().config
    except Invalid as invalid:
        return invalid.problems
    from gossipd.daemon.given import problems  # slow to import

    return tuple(problems(config))
