"""The HTTP calls as a table, and the way from a request to its row.

A row says where a call is found, which fields it takes and what it answers. Only the increment
is more than a row: the dialect hands it to the pipeline, where increments are started together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import NamedTuple

from gossipd.sideport.answers import (
    JSON,
    TEXT,
    Answer,
    WrongMethod,
    encode,
    encode_string,
    encoded_row,
    with_text,
)
from gossipd.sideport.backend import Refused
from gossipd.sideport.batch import FIELDS, count_batch
from gossipd.sideport.commands import COUNTER_DEFAULT, Commands
from gossipd.sideport.fields import from_body, from_query, merge, unescape
from gossipd.sideport.outcomes import Later
from gossipd.sideport.rows import Listing
from gossipd.sideport.values import counts_are_text, refusal, shown

Fields = Mapping[str, object]

NONE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Call:
    """A row: `run` gets the fields (and those parts of the path that stand in braces) and returns
    text, what becomes JSON, bytes that are JSON already, `Later` one of them, or a `Listing`."""

    method: str
    path: str
    summary: str
    run: Callable[[Commands, Fields], object]
    query: frozenset[str] = NONE
    body: frozenset[str] = NONE
    status: int = 200
    batch: bool = False
    """The body is no object of fields but lines, which `run` gets as the field `body`."""
    lists: bool = False
    """The answer is a `Listing`."""
    counts: bool = False
    """Its answer tells counts, which may be wanted as strings: the query field `counts`."""


class Request(NamedTuple):
    """What a request means."""

    call: Call
    fields: dict[str, object]
    text: bool
    """Counts are wanted as strings."""


def _index(_: Commands, __: Fields) -> object:
    rows = "".join(f"{call.method:<5} {call.path:<27} {call.summary}\n" for call in CALLS)
    return (
        f"gossipd: a replicated counter\n\n{rows}\n"
        'Fields go into the query (?counter=x) or into a JSON body ({"counter": "x"}).\n'
        "Counts beyond 2^53 are exact as strings: ?counts=string\n"
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


def _counters(commands: Commands, fields: Fields) -> object:
    return Listing(commands.counters(**fields), _counter_row, "{", "}\n")


def _counter_row(row: tuple[str, int], text: bool) -> str:
    counter, count = row
    return f'{encode_string(counter)}: "{count}"' if text else f"{encode_string(counter)}: {count}"


def _members(commands: Commands, fields: Fields) -> object:
    return Listing(commands.members(**fields), encoded_row)


def _log(commands: Commands, fields: Fields) -> object:
    return Listing(commands.log(**fields), encoded_row)


def _peers(commands: Commands, _: Fields) -> object:
    return Listing(commands.peers(), encoded_row)


def _counted(commands: Commands, fields: Fields) -> object:
    increment, counted = commands.counted(fields["id"], fields.get("counter"))
    return {"id": str(increment), "counted": counted}


def _event(commands: Commands, fields: Fields) -> object:
    return Later(partial(_event_of, commands, _needed(fields, "key")))


async def _event_of(commands: Commands, wanted: object) -> object:
    event = await commands.event_of(wanted)
    return {
        "key": wanted,
        "id": str(event.id),
        "counter": event.counter,
        "by": event.by,
        "counted": event.counted,
    }


def _batch(commands: Commands, fields: Fields) -> object:
    body = fields["body"]
    assert isinstance(body, bytes)
    return Later(partial(count_batch, commands, body, text=fields["text"] is True))


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


def _needed(fields: Fields, key: str) -> object:
    if key not in fields:
        raise refusal(400, f"{key} is missing")
    return fields[key]


COUNTER = frozenset({"counter"})
AFTER = frozenset({"counter", "after", "timeout"})
WAITING = frozenset({"after", "ack"})
"""Fields that make an answer wait for other nodes."""
PAGE = frozenset({"prefix", "limit", "after"})
AMOUNT = FIELDS | {"ack", "ack_memory", "timeout"}
INCREMENT = Call(
    "POST", "/increment", "add; fields: counter, by, key, ack, ack_memory, timeout",
    lambda *_: None, AMOUNT, AMOUNT, counts=True,
)  # fmt: skip

CALLS: tuple[Call, ...] = (
    INCREMENT,
    Call(
        "POST", "/increments", "add many; a line of JSON each; fields: counter, by, key",
        _batch, batch=True, counts=True,
    ),
    Call(
        "GET", "/count", "one count; fields: counter, after, timeout", _count, AFTER, counts=True
    ),
    Call(
        "GET", "/counters", "every counter's count; fields: prefix, limit, after",
        _counters, PAGE, lists=True, counts=True,
    ),
    Call("GET", "/increments/{id}", "whether an increment is counted", _counted, COUNTER),
    Call("GET", "/increments", "what a key stands for; field: key", _event, frozenset({"key"})),
    Call(
        "PUT", "/sources/{client}/{counter}", "a client's own total; body: seq, total",
        _source, body=frozenset({"seq", "total"}), counts=True,
    ),
    Call(
        "GET", "/log", "recent increments; fields: prefix, limit, after",
        _log, PAGE, lists=True, counts=True,
    ),
    Call("GET", "/health", "OK while the process lives", lambda *_: "OK\n"),
    Call("GET", "/ready", "whether counts are complete", _ready),
    Call("GET", "/peers", "the other alive members", _peers, lists=True),
    Call(
        "GET", "/members", "the cluster's members; fields: prefix, limit, after",
        _members, PAGE, lists=True,
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


_METHODS = sorted({call.method for call in CALLS} | {"HEAD", "OPTIONS"})
_COUNTS = frozenset({"counts"})


def find(method: str, target: bytes, body: bytes) -> Request:
    """What a request means; raises `Refused`."""
    path, query = _split(target)
    call, fields = _row(method, path)
    text = False
    if query:
        fields |= from_query(query, call.query | _COUNTS if call.counts else call.query)
        text = "counts" in fields and counts_are_text(fields.pop("counts"))
    if call.batch:
        fields |= {"body": body, "text": text}
    elif body:
        fields = merge(fields, from_body(body, call.body))
    return Request(call, fields, text)


def allowed(target: bytes) -> str:
    """The methods of a target, or of all for `*`, as `Allow` names them; raises `Refused`."""
    path = _split(target)[0]
    return ", ".join(_METHODS) if path == b"*" else _allow(_rows(path)[0])


def is_batch(method: str, target: bytes) -> bool:
    """Whether a request's body may be as large as that of a batch."""
    try:
        return _row(method, _split(target)[0])[0].batch
    except Refused:
        return False


def answer(call: Call, value: object, text: bool) -> Answer:
    """What the row's `run` returned, but for a `Listing`, as an answer."""
    match value:
        case bytes():
            return Answer(call.status, JSON, value)
        case str():
            return Answer(call.status, TEXT, value.encode())
        case _:
            return Answer(call.status, JSON, encode(with_text(value) if text else value))


def _row(method: str, path_raw: bytes) -> tuple[Call, dict[str, object]]:
    rows, fields = _rows(path_raw)
    call = rows.get("GET" if method == "HEAD" else method)
    if call is None:
        path, allow = shown(unescape(path_raw, "the path")), _allow(rows)
        raise WrongMethod(f"{method} is not a method of {path}; it has {allow}", allow)
    return call, fields


def _rows(path_raw: bytes) -> tuple[_Rows, dict[str, object]]:
    """The rows of a path, with the fields that stand in it; raises `Refused` where none are."""
    path = unescape(path_raw, "the path")
    fields: dict[str, object] = {}
    rows = _BY_PATH.get(path)
    if rows is None:
        rows, fields = _matching(path_raw)
    if not rows:
        raise refusal(404, f"there is no {shown(path)} here; GET / lists the calls")
    return rows, fields


def _allow(rows: _Rows) -> str:
    return ", ".join([*rows, *(["HEAD"] if "GET" in rows else []), "OPTIONS"])


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
