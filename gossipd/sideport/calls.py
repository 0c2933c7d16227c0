"""The HTTP calls as a table, and the way from a request to its row.

A row says where a call is found, which fields it takes and what it answers. Only the increment
is more than a row: the dialect hands it to the pipeline, where increments are started together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from operator import itemgetter

from gossipd.sideport import pages, values
from gossipd.sideport.answers import JSON, TEXT, Answer, WrongMethod, encode
from gossipd.sideport.backend import Refused
from gossipd.sideport.batch import FIELDS, count_batch
from gossipd.sideport.commands import COUNTER_DEFAULT, LOG_LIMIT_DEFAULT, Commands
from gossipd.sideport.fields import from_body, from_query, merge, unescape
from gossipd.sideport.outcomes import Later
from gossipd.sideport.values import refusal, shown

Fields = Mapping[str, object]

NONE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Call:
    """A row: `run` gets the fields (and those parts of the path that stand in braces) and returns
    text, what becomes JSON, bytes that are JSON already, or `Later` one of them."""

    method: str
    path: str
    summary: str
    run: Callable[[Commands, Fields], object]
    query: frozenset[str] = NONE
    body: frozenset[str] = NONE
    status: int = 200
    batch: bool = False
    """The body is no object of fields but lines, which `run` gets as the field `body`."""


def _index(_: Commands, __: Fields) -> object:
    rows = "".join(f"{call.method:<5} {call.path:<27} {call.summary}\n" for call in CALLS)
    return (
        f"gossipd: a replicated counter\n\n{rows}\n"
        'Fields go into the query (?counter=x) or into a JSON body ({"counter": "x"}).\n'
        "netcat: type help\n"
    )


def _count(commands: Commands, fields: Fields) -> object:
    if "after" in fields:
        return Later(partial(_count_after, commands, fields))
    counter, count = commands.count(fields.get("counter", COUNTER_DEFAULT))
    return {"counter": counter, "count": count}


async def _count_after(commands: Commands, fields: Fields) -> object:
    counter, count = await commands.count_after(**fields)
    return {"counter": counter, "count": count}


def _counted(commands: Commands, fields: Fields) -> object:
    increment, counted = commands.counted(fields["id"], fields.get("counter"))
    return {"id": str(increment), "counted": counted}


def _event(commands: Commands, fields: Fields) -> object:
    return Later(partial(_event_of, commands, _needed(fields, "key")))


async def _event_of(commands: Commands, wanted: object) -> object:
    key, event = await commands.event_of(wanted)
    return {
        "key": str(key),
        "id": str(event.id),
        "counter": event.counter,
        "by": event.by,
        "counted": event.counted,
    }


def _batch(commands: Commands, fields: Fields) -> object:
    body = fields["body"]
    assert isinstance(body, bytes)
    return Later(partial(count_batch, commands, body))


def _source(commands: Commands, fields: Fields) -> object:
    return Later(partial(_put_source, commands, fields))


async def _put_source(commands: Commands, fields: Fields) -> object:
    seq, total = _needed(fields, "seq"), _needed(fields, "total")
    return asdict(await commands.put_source(fields["client"], fields["counter"], seq, total))


def _ready(commands: Commands, _: Fields) -> object:
    commands.ready()
    return {"ready": True}


def _join(commands: Commands, fields: Fields) -> object:
    return {"joining": commands.join(_needed(fields, "peers"))}


def _leave(commands: Commands, _: Fields) -> object:
    commands.leave()
    return {"leaving": True}


def _forget(commands: Commands, fields: Fields) -> object:
    return {"forgotten": commands.forget(_needed(fields, "name"))}


def _counters(commands: Commands, fields: Fields) -> object:
    return dict(pages.of_names(list(commands.counters().items()), itemgetter(0), fields))


def _members(commands: Commands, fields: Fields) -> object:
    return pages.of_names(commands.members(), itemgetter("name"), fields)


def _log(commands: Commands, fields: Fields) -> object:
    limit = values.log_limit(fields.get("limit", LOG_LIMIT_DEFAULT))
    if not fields.keys() & {"prefix", "after"}:
        return commands.log(limit)
    return pages.of_events(commands.log(values.LOG_LIMIT_MAX), fields, limit)


def _needed(fields: Fields, key: str) -> object:
    if key not in fields:
        raise refusal(400, f"{key} is missing")
    return fields[key]


COUNTER = frozenset({"counter"})
AFTER = frozenset({"counter", "after", "timeout"})
AMOUNT = FIELDS | {"ack", "ack_memory", "timeout"}
INCREMENT = Call(
    "POST", "/increment", "add; fields: counter, by, key, ack, ack_memory, timeout",
    lambda *_: None, AMOUNT, AMOUNT,
)  # fmt: skip

CALLS: tuple[Call, ...] = (
    INCREMENT,
    Call(
        "POST", "/increments", "add many; a line of JSON each; fields: counter, by, key",
        _batch, batch=True,
    ),
    Call("GET", "/count", "one count; fields: counter, after, timeout", _count, AFTER),
    Call(
        "GET", "/counters", "every counter's count; fields: prefix, limit, after",
        _counters, pages.FIELDS,
    ),
    Call("GET", "/increments/{id}", "whether an increment is counted", _counted, COUNTER),
    Call("GET", "/increments", "what a key stands for; field: key", _event, frozenset({"key"})),
    Call(
        "PUT", "/sources/{client}/{counter}", "a client's own total; body: seq, total",
        _source, body=frozenset({"seq", "total"}),
    ),
    Call(
        "GET", "/log", "recent increments; fields: prefix, limit, after",
        _log, pages.FIELDS,
    ),
    Call("GET", "/health", "OK while the process lives", lambda *_: "OK\n"),
    Call("GET", "/ready", "whether counts are complete", _ready),
    Call("GET", "/peers", "the other alive members", lambda commands, _: commands.peers()),
    Call(
        "GET", "/members", "the cluster's members; fields: prefix, limit, after",
        _members, pages.FIELDS,
    ),
    Call("GET", "/status", "this node", lambda commands, _: commands.status()),
    Call("GET", "/join", "what became of each seed", lambda commands, _: commands.seeds()),
    Call("POST", "/join", "body: peers", _join, body=frozenset({"peers"}), status=202),
    Call("POST", "/leave", "leave the cluster and stop", _leave, status=202),
    Call("POST", "/forget", "body: name", _forget, body=frozenset({"name"}), status=202),
    Call("GET", "/", "this page", _index),
)  # fmt: skip

_Rows = dict[str, Call]
_BY_PATH: dict[str, _Rows] = {}
_PATTERNS: list[tuple[re.Pattern[bytes], _Rows]] = []
for _call in CALLS:
    if "{" in _call.path:
        _pattern = re.sub("{(.*?)}", "(?P<\\1>[^/]*)", _call.path)
        _PATTERNS.append((re.compile(_pattern.encode()), {_call.method: _call}))
    else:
        _BY_PATH.setdefault(_call.path, {})[_call.method] = _call

_ABSOLUTE = re.compile(rb"https?://[^/?#]*", re.IGNORECASE)


def find(method: str, target: bytes, body: bytes) -> tuple[Call, dict[str, object]]:
    """The call that a request means, with its fields; raises `Refused`."""
    path, query = _split(target)
    call, fields = _row(method, path)
    if query:
        fields |= from_query(query, call.query)
    if call.batch:
        fields["body"] = body
    elif body:
        fields = merge(fields, from_body(body, call.body))
    return call, fields


def is_batch(method: str, target: bytes) -> bool:
    """Whether a request's body may be as large as that of a batch."""
    try:
        return _row(method, _split(target)[0])[0].batch
    except Refused:
        return False


def answer(call: Call, value: object) -> Answer:
    """What the row's `run` returned, as an answer."""
    match value:
        case bytes():
            return Answer(call.status, JSON, value)
        case str():
            return Answer(call.status, TEXT, value.encode())
        case _:
            return Answer(call.status, JSON, encode(value))


def _row(method: str, path_raw: bytes) -> tuple[Call, dict[str, object]]:
    path = unescape(path_raw, "the path")
    fields: dict[str, object] = {}
    rows = _BY_PATH.get(path)
    if rows is None:
        rows, fields = _matching(path_raw)
    if not rows:
        raise refusal(404, f"there is no {shown(path)} here; GET / lists the calls")
    call = rows.get("GET" if method == "HEAD" else method)
    if call is None:
        allow = ", ".join([*rows, "HEAD"] if "GET" in rows else rows)
        raise WrongMethod(f"{method} is not a method of {shown(path)}; it has {allow}", allow)
    return call, fields


def _matching(path_raw: bytes) -> tuple[_Rows, dict[str, object]]:
    """The rows of a path that has names in it, which may themselves hold an escaped slash."""
    for pattern, rows in _PATTERNS:
        if found := pattern.fullmatch(path_raw):
            parts = found.groupdict()
            return rows, {part: unescape(raw, "the path") for part, raw in parts.items()}
    return {}, {}


def _split(target: bytes) -> tuple[bytes, bytes]:
    """Path and query. Proxies are sent the absolute form; what follows the authority is what we
    serve."""
    if not target.startswith(b"/") and (found := _ABSOLUTE.match(target)):
        rest = target[found.end() :]
        target = rest if rest.startswith(b"/") else b"/" + rest
    path, _, query = target.partition(b"#")[0].partition(b"?")
    return path, query
