"""What the client commands have in common: whom to ask, how long, and how they end."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from gossipd.cli.daemons import TOKEN_VARIABLE, Daemons
from gossipd.cli.durations import duration_or_seconds
from gossipd.cli.failure import Failure, Misuse, Silence
from gossipd.client import AskingError, Credentials, NoAnswerError, RefusedError
from gossipd.config.endpoint import API_PORT, LOOPBACK, Endpoint, Https
from gossipd.config.unix import SCHEME, ApiAddress, UnixSocket

Command = Callable[..., None]

ANSWER_TIMEOUT_MAX = 86_400.0

_TOKEN = "gossipd.token"
_CACERT, _CERT, _KEY = "gossipd.cacert", "gossipd.cert", "gossipd.key"

_URL = re.compile("http(s?)://", re.IGNORECASE)

json_option = click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
counter_argument = click.argument("counter", default="default")


def parsed_by(parse: Callable[[str], object]) -> Callable[..., object]:
    """A callback of click from what raises ValueError."""

    def callback(_ctx: click.Context, _param: click.Parameter, text: str | None) -> object:
        try:
            return None if text is None else parse(text)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return callback


def peer(text: str, default_port: int) -> Endpoint:
    try:
        return Endpoint.parse_peer(text, default_port)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _addresses(
    _ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]
) -> tuple[ApiAddress, ...]:
    parts = [part for value in values for part in re.split(r"[,\s]+", value) if part]
    if not parts:
        raise click.BadParameter("expected HOST:PORT")
    return tuple(map(_side_port, parts))


def _side_port(text: str) -> ApiAddress:
    """`HOST:PORT`, `:PORT` of this machine, the same as a URL (https: by TLS), or `unix:/PATH`."""
    if text.startswith(SCHEME):
        try:
            return UnixSocket.parse(text)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None
    if scheme := _URL.match(text):
        url, text = text, text[scheme.end() :].removesuffix("/")
        if ":" not in text.rpartition("]")[2]:
            expected = f"expected {scheme[0].lower()}HOST:PORT"
            raise click.BadParameter(f"{url!r} has no port; {expected}")
    is_port = text.startswith(":") and text.count(":") == 1
    found = peer(LOOPBACK + text if is_port else text, API_PORT)
    return Https(found.host, found.port) if scheme and scheme[1] else found


def _token(_ctx: click.Context, _param: click.Parameter, path: str | None) -> None:
    """Remember, for `credentials`, what is to be shown."""
    _ctx.meta[_TOKEN] = _token_in(path) if path else os.environ.get(TOKEN_VARIABLE, "").strip()
    if not all("!" <= sign <= "~" for sign in _ctx.meta[_TOKEN]):
        raise Misuse(f"{path or TOKEN_VARIABLE}: expected one token, and nothing else")


def _token_in(path: str) -> str:
    from gossipd.config.secrets import read_secret  # of no use to who shows none

    try:
        token = read_secret(path).decode("latin-1").strip()
    except ValueError as error:
        raise Misuse(str(error)) from None
    if not token:
        raise Misuse(f"{path}: holds no token")
    return token


def credentials() -> Credentials:
    """What the present command shows."""
    meta = click.get_current_context().meta
    cert, key = meta[_CERT], meta[_KEY]
    if key and not cert:
        raise click.UsageError("--cert-key says nothing without --cert")
    return Credentials(meta[_TOKEN], meta[_CACERT], cert, key)


def _file_option(flag: str, meta: str, doc: str) -> Callable[[Command], Command]:
    def remember(ctx: click.Context, _param: click.Parameter, path: str | None) -> None:
        ctx.meta[meta] = path or ""

    return click.option(
        flag,
        callback=remember,
        expose_value=False,
        metavar="FILE",
        envvar="GOSSIPD_" + flag.removeprefix("--").replace("-", "_").upper(),
        show_envvar=True,
        help=doc,
    )


_TLS_OPTIONS = (
    _file_option("--cert-key", _KEY, "Its key, if that stands in another file."),
    _file_option("--cert", _CERT, "For https: the certificate to show, where one is asked for."),
    _file_option(
        "--cacert", _CACERT, "For https: the CAs that are trusted. Default: those of the system."
    ),
)

_token_option = click.option(
    "--token-file",
    callback=_token,
    expose_value=False,
    metavar="FILE",
    envvar=TOKEN_VARIABLE + "_FILE",
    show_envvar=True,
    help="File that holds the token to show, and that only you may read. Without one: what the"
    f" variable {TOKEN_VARIABLE} holds.",
)


def _addresses_option(doc: str) -> Callable[[Command], Command]:
    """`--api`, and what is shown there."""
    addresses = click.option(
        "--api",
        "addresses",
        callback=_addresses,
        multiple=True,
        default=(f"{LOOPBACK}:{API_PORT}",),
        metavar="ADDRESS",
        envvar="GOSSIPD_API",
        show_default=True,
        show_envvar=True,
        help=doc,
    )

    def decorated(command: Command) -> Command:
        for option in (*_TLS_OPTIONS, _token_option, addresses):
            command = option(command)
        return command

    return decorated


api_option = _addresses_option(
    "The daemon to ask: HOST:PORT, https://HOST:PORT, unix:/PATH. Given several times: the next"
    " one where one fails."
)
nodes_option = _addresses_option(
    "A node: HOST:PORT, https://HOST:PORT, unix:/PATH. Given several times: all of them at once."
)


def seconds_within(seconds_max: float, zero: bool = False) -> Callable[[str], float]:
    """What reads a duration; `zero`: whether it may be 0."""

    def parse(text: str) -> float:
        seconds = duration_or_seconds(text)
        if seconds > seconds_max or (not seconds and not zero):
            least = "" if zero else "above 0 and "
            raise ValueError(f"must be {least}at most {seconds_max:g} seconds")
        return seconds

    return parse


def timeout_option(
    default: str, seconds_max: float, zero: bool, doc: str
) -> Callable[[Command], Command]:
    """`--timeout`; `zero`: whether it may be 0."""
    return click.option(
        "--timeout",
        callback=parsed_by(seconds_within(seconds_max, zero)),
        default=default,
        metavar="DURATION",
        show_default=True,
        help=doc,
    )


@contextmanager
def exits() -> Iterator[None]:
    """Turn what came of asking in vain to the exits of the command."""
    try:
        yield
    except RefusedError as error:
        raise Failure(str(error)) from None
    except NoAnswerError as error:
        raise Silence(str(error)) from None


def asks(command: Command) -> Command:
    """Give a command the options of all clients and `Daemons`, each of them asked once."""

    @api_option
    @timeout_option("10s", ANSWER_TIMEOUT_MAX, False, "How long to wait for an answer.")
    @functools.wraps(command)
    def asking(addresses: tuple[ApiAddress, ...], timeout: float, **arguments: Any) -> None:
        with exits():
            try:
                command(Daemons(addresses, timeout, credentials()), **arguments)
            except AskingError as error:
                if error.doubtful:
                    error.saying(f"{error}; it may have been done all the same")
                raise

    return asking


def one(daemons: Daemons) -> Daemons:
    """For what concerns one daemon: to turn to the next would be to do it to another."""
    if len(daemons.addresses) > 1:
        raise click.UsageError("this is for one daemon: name it with --api")
    return daemons
