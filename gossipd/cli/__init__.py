"""The command `gossipd`: a group whose commands are loaded when they are called.

A client command starts in a blink because nothing is imported but what it uses: nothing of the
daemon, and of the other commands nothing either. Only `run` loads the schema of its options, and
the daemon once these are good; only `data` loads the store, only `simulate` the simulator.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, cast

import click

from gossipd.cli.failure import Misuse
from gossipd.cli.interrupts import Interrupted
from gossipd.process.entry import main
from gossipd.process.signals import interruptible

__all__ = ["MODULES", "gossipd", "main"]

MODULES = {
    "run": "run",
    "increment": "increment",
    "count": "count",
    "counters": "count",
    "members": "queries",
    "explain": "queries",
    "peers": "queries",
    "status": "queries",
    "log": "queries",
    "watch": "watch",
    "on-event": "on_event",
    "join": "join",
    "leave": "queries",
    "forget": "queries",
    "config": "config",
    "doctor": "doctor",
    "bench": "bench",
    "data": "data",
    "keygen": "keys",
    "keys": "keys",
    "systemd-unit": "systemd_unit",
    "simulate": "simulate",
}
"""Where each command is, in the order of the help."""


class _Group(click.Group):
    """Knows its commands by name and loads each on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return list(MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in MODULES:
            return None
        module = import_module(f"gossipd.cli.{MODULES[cmd_name]}")
        return cast(click.Command, getattr(module, cmd_name.replace("-", "_")))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        for arg in args:
            if any("\udc80" <= sign <= "\udcff" for sign in arg):
                raise Misuse(f"argument {arg!a} is not valid UTF-8")
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            option = error.option_name
            for name in "count", "increment", "join", "log", "run":
                command = self.get_command(ctx, name)
                if command and any(option in param.opts for param in command.params):
                    hint = f"{option} goes after the command: gossipd {name} {option} …"
                    raise click.UsageError(hint, ctx) from None
            raise

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with interruptible():
                return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Interrupted("interrupted") from None


def _tell_version(ctx: click.Context, _: click.Parameter, is_asked: bool) -> None:
    if is_asked and not ctx.resilient_parsing:
        from gossipd.version import full_version  # reads all of gossipd

        click.echo(f"gossipd {full_version()}")
        ctx.exit()


@click.group(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Exit codes: 0 done; 1 refused or failed; 2 usage; 3 no daemon answers.

\b
Examples:
  gossipd run --bind :7946
  gossipd run --bind :7956 --join localhost:7946
  gossipd increment
  gossipd count --api 127.0.0.1:7957""",
)
@click.option(
    *("--version", "_asks"),
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_tell_version,
    help="Show the version and exit.",
)
def gossipd() -> None:
    """A gossip daemon: cluster membership and replicated counters, without a coordinator.

    `gossipd run` starts a node. The other commands ask a running one; on a terminal they print
    aligned tables with a header, into a pipe or a file fields separated by tabs without one.
    """
