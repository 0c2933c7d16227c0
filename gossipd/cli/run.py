"""`gossipd run`: the schema as a click command.

Flag over variable over file over default is click's own order, the file being its default map.
Defaults are not click's: an option that nobody gave is left out, so that `Config` and the profile
decide. A value that does not do is blamed on where it came from.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Any

import click
from click.core import ParameterSource

from gossipd.cli.failure import Misuse, say
from gossipd.config.config import Config, ConfigError
from gossipd.config.file import CLOSE, FileError, read
from gossipd.config.options import VARIABLE_PREFIX, Key, keys
from gossipd.core.settings import SettingsError

_CONFIG = "config"


class _Command(click.Command):
    """Shows the settings of the protocol in a section of their own."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        settings = {key.name for key in keys() if key.is_setting}
        plain: list[tuple[str, str]] = []
        protocol: list[tuple[str, str]] = []
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                (protocol if param.name in settings else plain).append(record)
        with formatter.section("Options"):
            formatter.write_dl(plain)
        with formatter.section("Protocol settings (defaults: those of --profile lan)"):
            formatter.write_dl(protocol)


def _start(**given: Any) -> None:
    del given[_CONFIG]
    for warning in _unknown_variables():
        say(f"warning: {warning}")
    built = _build({key: value for key, value in given.items() if value not in (None, ())})
    from gossipd.daemon.daemon import run as run_daemon

    sys.exit(run_daemon(built))


def _build(values: dict[str, Any]) -> Config:
    ctx, by_name = click.get_current_context(), {key.name: key for key in keys()}
    settings = {name: key for name, key in by_name.items() if key.is_setting}
    try:
        return Config.of(**values)
    except ConfigError as error:
        message = f"{_spelled(ctx, by_name[error.key])}: {error.problem}"
    except SettingsError as error:
        message = re.sub(
            r"\w+",
            lambda word: _spelled(ctx, settings[word[0]]) if word[0] in settings else word[0],
            str(error),
        )
    raise Misuse(message)


def _spelled(ctx: click.Context, key: Key) -> str:
    """An option as the user wrote it: flag, variable or key of the file."""
    match ctx.get_parameter_source(key.name):
        case ParameterSource.ENVIRONMENT:
            return key.variable
        case ParameterSource.DEFAULT_MAP:
            return f"{ctx.params[_CONFIG]}: {key.name}"
        case _:
            return key.flag


def _read_config(ctx: click.Context, _param: click.Parameter, path: str | None) -> str | None:
    if path:
        try:
            ctx.default_map = read(path)
        except FileError as error:
            raise Misuse(str(error)) from None
    return path


def _unknown_variables() -> Iterator[str]:
    known = {key.name.upper() for key in keys()} | {_CONFIG.upper()}
    for variable in sorted(os.environ):
        name = variable.removeprefix(VARIABLE_PREFIX)
        if name != variable and name not in known:
            close = get_close_matches(name, known, 1, CLOSE)
            hint = f"; did you mean {VARIABLE_PREFIX}{close[0]}?" if close else ""
            yield f"{variable!a} is not an option of run and ignored{hint}"


def _options() -> Iterator[click.Option]:
    for key in keys():
        if key.is_switch:
            yield click.Option([key.flag], is_flag=True, default=None, **_described(key))
        else:
            yield click.Option(
                [key.flag],
                type=click.UNPROCESSED,
                callback=_parser(key),
                metavar=key.metavar,
                multiple=key.is_list,
                default=None,
                **_described(key),
            )
    yield click.Option(
        ["--config"],
        is_eager=True,
        callback=_read_config,
        envvar=VARIABLE_PREFIX + _CONFIG.upper(),
        metavar="FILE",
        help="TOML file with any of these options, - as _ in the names.",
    )


def _parser(key: Key) -> Callable[[click.Context, click.Parameter, Any], Any]:
    def parse(ctx: click.Context, _param: click.Parameter, value: Any) -> Any:
        try:
            if key.is_list:
                return tuple(map(key.parse, _elements(ctx, key, value)))
            return key.parse(value) if isinstance(value, str) else value
        except ValueError as error:
            raise Misuse(f"{_spelled(ctx, key)}: {error}") from None

    return parse


def _elements(ctx: click.Context, key: Key, values: tuple[str, ...]) -> list[str]:
    if ctx.get_parameter_source(key.name) is not ParameterSource.ENVIRONMENT:
        return list(values)
    return [part for value in values for part in re.split(r"[,\s]+", value) if part]


def _described(key: Key) -> dict[str, Any]:
    names = {other.name: other.flag for other in keys()}
    doc = re.sub(r"`(\w+)`", lambda word: names.get(word[1], word[1]), key.doc).replace("`", "")
    if key.is_list:
        doc += " May be given several times."
    if key.default is not None and not key.is_list and not key.is_switch:
        doc += f"  [default: {str(key.default).removesuffix('.0')}]"
    return {"help": doc, "envvar": key.variable}


run = _Command(
    "run",
    params=[*_options()],
    callback=_start,
    help="""Start a node.

    It stays in the foreground until it leaves the cluster (SIGTERM, SIGINT or `gossipd leave`).
    Logs go to stderr.

    Every option is also a variable, GOSSIPD_RUN_PROBE_INTERVAL for --probe-interval, and a key of
    the TOML file given with --config, probe_interval. A flag wins over a variable, a variable
    over the file. In a variable a list is separated by commas or spaces. Lists replace each
    other, they are not joined.
    """,
    epilog="""\b
Examples:
  gossipd run
  gossipd run --bind :7956 --join localhost:7946
  gossipd run --bind [::1]:7946 --name six
  gossipd run --config /etc/gossipd/gossipd.toml --log-level debug
  GOSSIPD_RUN_JOIN=10.0.0.1,10.0.0.2 gossipd run --tag zone=a --tag disk=ssd""",
)
