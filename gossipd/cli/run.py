"""`gossipd run`: the schema as a click command.

Click tells flags from variables; the file, and what wins over what, are the affair of
`config.layers`. Defaults are not click's: an option that nobody gave is left out, so that `Config`
and the profile decide.
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

from gossipd.cli.failure import Failure, Misuse, say
from gossipd.config.file import CLOSE
from gossipd.config.layers import Invalid, Layers, Loaded
from gossipd.config.options import VARIABLE_PREFIX, Key, keys
from gossipd.process.signals import NoProcessError

_CONFIG = "config"

_OTHERS = "Options"
_PROTOCOL = "Protocol settings (defaults: those of --profile lan)"
_SECTIONS = {
    "The node and its cluster": {"bind", "join", "name", "advertise", "cluster", "profile", "tag"},
    "Who may take part": {"allow", "keyring", "sealing"},
    "The API, and who may use it": {
        "api",
        "tokens",
        "api_cert",
        "api_key",
        "api_client_ca",
        "insecure_api",
        "cors_origin",
        "connections_max",
        "watchers_max",
        "address_share",
    },
    "State": {"data_dir", "in_memory", "durability", "disk_timeout"},
    "Log": {"log_level", "log_format"},
    _OTHERS: set[str](),
    _PROTOCOL: {key.name for key in keys() if key.is_setting},
}
"""Of the help, in this order."""


class RunOptions(click.Command):
    """Shows its options in sections, by what they are about."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        shown: dict[str, list[tuple[str, str]]] = {section: [] for section in _SECTIONS}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                found = (each for each, names in _SECTIONS.items() if param.name in names)
                shown[next(found, _OTHERS)].append(record)
        for section, records in shown.items():
            with formatter.section(section):
                formatter.write_dl(records)


def _start(**given: Any) -> None:
    layers = layers_of(given)
    config = load(layers).config
    from gossipd.store import fork

    try:
        # Before what the node needs is there, most of which its disk's process does not.
        keeper = None if config.in_memory else fork()
        from gossipd.daemon.daemon import run as run_daemon

        sys.exit(run_daemon(config, layers, keeper))
    except NoProcessError as error:
        raise Failure(str(error)) from None


def layers_of(given: dict[str, Any]) -> Layers:
    """What the options of the present command were given as. Warns of variables that are none."""
    ctx = click.get_current_context()
    for warning in _unknown_variables():
        say(f"warning: {warning}")
    by_source: dict[ParameterSource | None, dict[str, object]] = {}
    for key in keys():
        of_source = by_source.setdefault(ctx.get_parameter_source(key.name), {})
        of_source[key.name] = given[key.name]
    return Layers(
        flags=by_source.get(ParameterSource.COMMANDLINE, {}),
        variables=by_source.get(ParameterSource.ENVIRONMENT, {}),
        path=given[_CONFIG] or None,
    )


def load(layers: Layers) -> Loaded:
    """The configuration that these give. Raises `Misuse`, when all mistakes but the last have been
    told."""
    try:
        return layers.load()
    except Invalid as invalid:
        *others, last = invalid.problems
    for problem in others:
        say(problem)
    raise Misuse(last)


def _unknown_variables() -> Iterator[str]:
    known = {key.name.upper() for key in keys()} | {_CONFIG.upper()}
    for variable in sorted(os.environ):
        name = variable.removeprefix(VARIABLE_PREFIX)
        if name != variable and name not in known:
            close = get_close_matches(name, known, 1, CLOSE)
            hint = f"; did you mean {VARIABLE_PREFIX}{close[0]}?" if close else ""
            yield f"{variable!a} is not an option of run, and is ignored{hint}"


def options() -> Iterator[click.Option]:
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
        envvar=VARIABLE_PREFIX + _CONFIG.upper(),
        metavar="FILE",
        help="TOML file with any of these options, - as _ in the names.",
    )


def _parser(key: Key) -> Callable[[click.Context, click.Parameter, Any], Any]:
    def parse(ctx: click.Context, _param: click.Parameter, value: Any) -> Any:
        try:
            if key.is_list:
                return key.from_texts(_elements(ctx, key, value))
            return key.parse(value) if isinstance(value, str) else value
        except ValueError as error:
            is_variable = ctx.get_parameter_source(key.name) is ParameterSource.ENVIRONMENT
            raise Misuse(f"{key.variable if is_variable else key.flag}: {error}") from None

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


run = RunOptions(
    "run",
    params=[*options()],
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
  gossipd run --api localhost:7947 --api unix:/run/gossipd/api.sock
  gossipd run --config /etc/gossipd/gossipd.toml --log-level debug
  GOSSIPD_RUN_JOIN=10.0.0.1,10.0.0.2 gossipd run --tag zone=a --tag disk=ssd""",
)
