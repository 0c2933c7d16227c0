"""What is asked of the connection and of the node: handshakes, `INFO`, `CONFIG`.

Where tokens are asked for, a password is one, whoever the user is; else the user `default` may do
everything and has any, as in a Redis without passwords. Who it is changes when a client says so,
before anything behind that is understood. What is told of a Redis server that this is not
(`redis_version`) is there for clients that look for it before they use a command.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from gossipd.config.tokens import Right
from gossipd.sideport.access import check
from gossipd.sideport.resp.answers import OK, Error, Value, simple
from gossipd.sideport.resp.patterns import pattern
from gossipd.sideport.resp.reading import Words
from gossipd.sideport.resp.refusals import CLIENT_REASONS, unknown_part, unsupported, wrong_number
from gossipd.sideport.resp.rows import NOT_A_NUMBER, SYNTAX, text, whole
from gossipd.sideport.resp.session import Call, Session
from gossipd.sideport.validation import number, shown, wrong
from gossipd.version import full_version

REDIS_VERSION = "7.2.0"
"""The first that has all that is answered here (`CLIENT SETINFO` and `COMMAND DOCS` with its forms
of arguments), so clients need not try; later ones have nothing for counters."""

NAME_SIZE_MAX = 128
"""Bytes of what a client says of itself."""

_NO_PASSWORD = (
    "AUTH <password> called without any password configured for the default user. "
    "Are you sure your configuration is correct?"
)
_SAY_HELLO = "AUTH TOKEN, or HELLO 3 AUTH default TOKEN"
_WRONG_PASSWORD = "invalid username-password pair or user is disabled."


def ping(_: Session, words: Words) -> Value:
    if len(words) > 2:
        raise wrong(wrong_number("ping"))
    return words[1] if len(words) == 2 else simple("PONG")


def echo(_: Session, words: Words) -> Value:
    return words[1]


def reset(session: Session, _: Words) -> Call:
    session.visitor.forget()

    def run() -> Value:
        session.reset()
        return simple("RESET")

    return Call(run)


def select(_: Session, words: Words) -> Value:
    if whole(words[1]) != 0:
        raise wrong("DB index is out of range: there is only database 0")
    return OK


def auth(session: Session, words: Words) -> Call:
    if len(words) > 3:
        raise wrong(SYNTAX)
    if len(words) == 2 and session.access.is_open:
        raise wrong(_NO_PASSWORD)
    session.visitor.show(_token(session, words[-2:]))
    return Call(lambda: OK)


def _token(session: Session, pair: Words) -> bytes:
    """What a user and a password are as a token."""
    if session.access.is_open and pair[0] != b"default":
        raise Error("WRONGPASS", _WRONG_PASSWORD)
    return pair[-1]


def hello(session: Session, words: Words) -> Call:
    """Nothing is changed unless all of it is right."""
    version, at, name = session.version, 2, session.name
    token: bytes | None = None
    if len(words) > 1:
        given = number(words[1].decode("latin-1"))
        if isinstance(given, str):
            raise wrong(f"Protocol version is {NOT_A_NUMBER.removeprefix('value is ')}")
        if given not in (2, 3):
            raise Error("NOPROTO", "unsupported protocol version")
        version = given
    while at < len(words):
        option, left = words[at].upper(), len(words) - at - 1
        if option == b"AUTH" and left >= 2:
            token = _token(session, words[at + 1 : at + 3])
            at += 3
        elif option == b"SETNAME" and left >= 1:
            name = _own_name(words[at + 1], "Client names")
            at += 2
        else:
            raise wrong(f"Syntax error in HELLO option {shown(text(words[at]))}")
    if token is not None:
        session.visitor.show(token)
    check(session.visitor.grant, Right.READ, _SAY_HELLO)
    return Call(partial(_welcome, session, version, name))


def _welcome(session: Session, version: int, name: str) -> Value:
    session.version, session.name = version, name
    return {
        "server": "gossipd",
        "version": REDIS_VERSION,
        "proto": version,
        "id": session.id,
        "mode": "standalone",
        "role": "master",
        "modules": [],
    }


def _own_name(word: bytes, what: str) -> str:
    """What a client says of itself; it stands in a line with others."""
    name = word.decode("latin-1")
    if not all("!" <= char <= "~" for char in name):
        raise wrong(f"{what} cannot contain spaces, newlines or special characters.")
    if len(name) > NAME_SIZE_MAX:
        raise wrong(f"{what} have at most {NAME_SIZE_MAX} bytes")
    return name


# --- CLIENT ----------------------------------------------------------------------------------


def client(session: Session, words: Words) -> Value:
    part = words[1].upper().decode("latin-1")
    if part in CLIENT_REASONS:
        raise wrong(unsupported(f"client {part}", CLIENT_REASONS[part]))
    if part not in _CLIENT:
        raise wrong(unknown_part(words, list(_CLIENT)))
    count, run = _CLIENT[part]
    if len(words) != count:
        raise wrong(wrong_number(f"client|{part.lower()}"))
    return run(session, words)


def _id(session: Session, _: Words) -> Value:
    return session.id


def _name(session: Session, _: Words) -> Value:
    return session.name or None


def _so_it_is(_: Session, __: Words) -> Value:
    return OK


def _set_name(session: Session, words: Words) -> Value:
    session.name = _own_name(words[2], "Client names")
    return OK


def _set_info(session: Session, words: Words) -> Value:
    field = words[2].decode("latin-1").lower()
    if field not in session.library:
        raise wrong(f"Unrecognized option {shown(field)}")
    session.library[field] = _own_name(words[3], field)
    return OK


def _client_info(session: Session, _: Words) -> Value:
    fields: dict[str, object] = {
        "id": session.id,
        "name": session.name,
        "db": 0,
        "resp": session.version,
    }
    fields |= session.library
    return " ".join(f"{name}={value}" for name, value in fields.items()) + "\n"


_CLIENT: dict[str, tuple[int, Callable[[Session, Words], Value]]] = {
    "ID": (2, _id),
    "GETNAME": (2, _name),
    "SETNAME": (3, _set_name),
    "SETINFO": (4, _set_info),
    "INFO": (2, _client_info),
    "NO-EVICT": (3, _so_it_is),
    "NO-TOUCH": (3, _so_it_is),
}
"""How many words each has, and what it does."""


# --- CONFIG and INFO -------------------------------------------------------------------------


def config(session: Session, words: Words) -> Value:
    if words[1].upper() != b"GET":
        raise wrong("settings cannot be changed here, see gossipd run --help; CONFIG has GET")
    if len(words) < 3:
        raise wrong(wrong_number("config|get"))
    limits = session.port.limits
    settings = {
        "save": "",
        "appendonly": "yes" if session.node.status().get("data_dir") else "no",
        "databases": "1",
        "maxclients": str(limits.connections_max),
        "maxmemory": "0",
        "proto-max-bulk-len": str(limits.request_size_max),
        "timeout": f"{limits.text_idle_timeout:.0f}",
    }
    wanted = [pattern(text(word).lower()) for word in words[2:]]
    return {
        name: value for name, value in settings.items() if any(each.fits(name) for each in wanted)
    }


def info(session: Session, words: Words) -> Value:
    wanted = {text(word).lower() for word in words[1:]}
    if not wanted or wanted & {"default", "all", "everything"}:
        wanted = set(_SECTIONS)
    return "\r\n".join(
        f"# {name.capitalize()}\r\n"
        + "".join(f"{key}:{value}\r\n" for key, value in tell(session))
        for name, tell in _SECTIONS.items()
        if name in wanted
    )


_Fields = Iterator[tuple[str, object]]


def _server(session: Session) -> _Fields:
    yield "redis_version", REDIS_VERSION
    yield "redis_mode", "standalone"
    yield "gossipd_version", full_version()
    yield "process_id", os.getpid()
    yield "tcp_port", next((port for _, port in session.port.addresses), 0)
    yield "uptime_in_seconds", int(time.time() - session.port.resp.began_at)


def _clients(session: Session) -> _Fields:
    yield "connected_clients", session.port.connection_count
    yield "maxclients", session.port.limits.connections_max


def _memory(_: Session) -> _Fields:
    """Of the process that serves; that of its disk is another one."""
    with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123 - no disk is asked
        pages = int(statm.read().split()[1])
    yield "used_memory", pages * resource.getpagesize()
    yield "maxmemory", 0


def _persistence(session: Session) -> _Fields:
    yield "loading", int(session.node.incomplete() is not None)
    yield "aof_enabled", int(bool(session.node.status().get("data_dir")))


def _replication(session: Session) -> _Fields:
    yield "role", "master"
    yield "connected_slaves", sum(1 for _ in session.node.peers())


def _cpu(_: Session) -> _Fields:
    used = resource.getrusage(resource.RUSAGE_SELF)
    yield "used_cpu_sys", round(used.ru_stime, 6)
    yield "used_cpu_user", round(used.ru_utime, 6)


def _cluster(_: Session) -> _Fields:
    yield "cluster_enabled", 0


def _keyspace(session: Session) -> _Fields:
    if session.node.counter_count:
        yield "db0", f"keys={session.node.counter_count},expires=0,avg_ttl=0"


def _gossipd(session: Session) -> _Fields:
    """What `gossipd status` shows, as far as it has single values."""
    yield from _flat(session.node.status(), "")


def _flat(values: Mapping[str, object], before: str) -> _Fields:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}_")
        elif isinstance(value, bool):
            yield before + name, int(value)
        elif isinstance(value, int | float | str):
            yield before + name, " ".join(str(value).split())


_SECTIONS: dict[str, Callable[[Session], _Fields]] = {
    "server": _server,
    "clients": _clients,
    "memory": _memory,
    "persistence": _persistence,
    "replication": _replication,
    "cpu": _cpu,
    "cluster": _cluster,
    "keyspace": _keyspace,
    "gossipd": _gossipd,
}
