"""The HTTP calls as a table, and the way from a request to its row.

A row says where a call is found, which fields it takes and what it answers. Only the increment
is more than a row: it is not done at once, so the dialect hands it to the pipeline.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gossipd.sideport.answers import JSON, TEXT, Answer, WrongMethod, encode
from gossipd.sideport.commands import COUNTER_DEFAULT, LOG_LIMIT_DEFAULT, Commands, refusal, shown
from gossipd.sideport.fields import from_body, from_query, merge, unescape

Fields = Mapping[str, object]

NONE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Call:
    """A row: `run` gets the fields (and, as `id`, the last part of the path) and returns text or
    what becomes JSON."""

    method: str
    path: str
    summary: str
    run: Callable[[Commands, Fields], object]
    query: frozenset[str] = NONE
    body: frozenset[str] = NONE
    status: int = 200


def _index(_: Commands, __: Fields) -> object:
    rows = "".join(f"{call.method:<5} {call.path:<17} {call.summary}\n" for call in CALLS)
    return (
        f"gossipd: a replicated counter\n\n{rows}\n"
        'Fields go into the query (?counter=x) or into a JSON body ({"counter": "x"}).\n'
        "netcat: type help\n"
    )


def _count(commands: Commands, fields: Fields) -> object:
    counter, count = commands.count(fields.get("counter", COUNTER_DEFAULT))
    return {"counter": counter, "count": count}


def _counted(commands: Commands, fields: Fields) -> object:
    increment, counted = commands.counted(fields["id"], fields.get("counter"))
    return {"id": str(increment), "counted": counted}


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
AMOUNT = frozenset({"counter", "by"})
INCREMENT = Call("POST", "/increment", "add; fields: counter, by", lambda *_: None, AMOUNT, AMOUNT)

CALLS: tuple[Call, ...] = (
    INCREMENT,
    Call("GET", "/count", "one count; field: counter", _count, COUNTER),
    Call("GET", "/counters", "every counter's count", lambda commands, _: commands.counters()),
    Call("GET", "/increments/{id}", "whether an increment is counted", _counted, COUNTER),
    Call(
        "GET", "/log", "recent increments; field: limit",
        lambda commands, fields: commands.log(fields.get("limit", LOG_LIMIT_DEFAULT)),
        frozenset({"limit"}),
    ),
    Call("GET", "/health", "OK while the process lives", lambda *_: "OK\n"),
    Call("GET", "/ready", "whether counts are complete", _ready),
    Call("GET", "/peers", "the other alive members", lambda commands, _: commands.peers()),
    Call("GET", "/members", "the cluster's members", lambda commands, _: commands.members()),
    Call("GET", "/status", "this node", lambda commands, _: commands.status()),
    Call("POST", "/join", "body: peers", _join, body=frozenset({"peers"}), status=202),
    Call("POST", "/leave", "leave the cluster and stop", _leave, status=202),
    Call("POST", "/forget", "body: name", _forget, body=frozenset({"name"}), status=202),
    Call("GET", "/", "this page", _index),
)  # fmt: skip

_BY_PATH: dict[str, dict[str, Call]] = {}
for _call in CALLS:
    _BY_PATH.setdefault(_call.path, {})[_call.method] = _call

_ABSOLUTE = re.compile(rb"https?://[^/?#]*", re.IGNORECASE)
_COUNTED = re.compile("/increments/([^/]*)")


def find(method: str, target: bytes, body: bytes) -> tuple[Call, dict[str, object]]:
    """The call that a request means, with its fields; raises `Refused`."""
    if not target.startswith(b"/"):
        target = _origin_form(target)
    path_raw, _, query = target.partition(b"#")[0].partition(b"?")
    call, fields = _row(method, unescape(path_raw, "the path"))
    if query:
        fields |= from_query(query, call.query)
    if body:
        fields = merge(fields, from_body(body, call.body))
    return call, fields


def answer(call: Call, commands: Commands, fields: Fields) -> Answer:
    value = call.run(commands, fields)
    if isinstance(value, str):
        return Answer(call.status, TEXT, value.encode())
    return Answer(call.status, JSON, encode(value))


def _row(method: str, path: str) -> tuple[Call, dict[str, object]]:
    rows = _BY_PATH.get(path)
    fields: dict[str, object] = {}
    if rows is None and (found := _COUNTED.fullmatch(path)):
        rows, fields = _BY_PATH["/increments/{id}"], {"id": found[1]}
    if rows is None:
        raise refusal(404, f"there is no {shown(path)} here; GET / lists the calls")
    call = rows.get("GET" if method == "HEAD" else method)
    if call is None:
        allow = ", ".join([*rows, "HEAD"] if "GET" in rows else rows)
        raise WrongMethod(f"{method} is not a method of {shown(path)}; it has {allow}", allow)
    return call, fields


def _origin_form(target: bytes) -> bytes:
    """Proxies are sent the absolute form; what follows the authority is what we serve."""
    found = _ABSOLUTE.match(target)
    if found is None:
        return target
    rest = target[found.end() :]
    return rest if rest.startswith(b"/") else b"/" + rest
