"""The calls of HTTP, as they follow from the table, and the way from a request to its row."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from gossipd.config.tokens import Right
from gossipd.core import Refused, Why
from gossipd.sideport.fields import from_body, from_query, merge, unescape
from gossipd.sideport.http_answers import TEXT, VARIES, Document, Problem
from gossipd.sideport.operations import OPERATIONS, Operation
from gossipd.sideport.page import is_preferred, page
from gossipd.sideport.validation import COUNTS, Argument, key, shown, wrong

_QUOTED = re.compile(r'"(?:[^"\\]|\\["\\])*"')
_ESCAPED = re.compile(r'\\(["\\])')


class Call(NamedTuple):
    """A row, and where its arguments may stand."""

    operation: Operation
    query: Mapping[str, Argument]
    body: Mapping[str, Argument]


class Request(NamedTuple):
    """What a request means."""

    operation: Operation
    fields: dict[str, object]
    text: bool
    """Counts are wanted as strings."""


def _index(_: object, accept: str) -> Document:
    if is_preferred(accept):
        return page()
    rows = "".join(f"{row.method:<5} {row.path:<27} {_summary(row)}\n" for row in CALLS)
    text = (
        f"gossipd: a replicated counter\n\n{rows}\n"
        'Fields go into the query (?counter=x) or into a JSON body ({"counter": "x"}).\n'
        "Counts beyond 2^53 are exact as strings: ?counts=string\n"
        "netcat: type help\n"
    )
    return Document(TEXT, text.encode(), VARIES)


def _summary(row: Operation) -> str:
    names = list(_outside_path(row))
    only_in_body = row.method != "GET" and not row.anywhere and not row.batch
    kind = "body" if only_in_body else "field" if len(names) == 1 else "fields"
    return f"{row.summary}; {kind}: {', '.join(names)}" if names else row.summary


def _outside_path(row: Operation) -> dict[str, Argument]:
    by_name = row.by_name.items()
    return {name: argument for name, argument in by_name if f"{{{name}}}" not in row.path}


def _call(row: Operation) -> Call:
    fields, is_get = _outside_path(row), row.method == "GET"
    query = fields if is_get or row.anywhere else {}
    return Call(
        row, {**query, "counts": COUNTS} if row.counts else query, {} if is_get else fields
    )


INDEX = Operation(
    "index", "GET /", Right.READ, "this list; a page for browsers", _index, negotiates=True
)

CALLS = (*(operation for operation in OPERATIONS if operation.http), INDEX)

_Rows = dict[str, Call]
_BY_PATH: dict[bytes, _Rows] = {}
_PATTERNS: list[tuple[re.Pattern[bytes], _Rows]] = []
for _each in CALLS:
    if "{" in _each.path:
        _pattern = re.sub("{(.*?)}", "(?P<\\1>[^/]*)", _each.path)
        _PATTERNS.append((re.compile(_pattern.encode()), {_each.method: _call(_each)}))
    else:
        _BY_PATH.setdefault(_each.path.encode(), {})[_each.method] = _call(_each)

_ABSOLUTE = re.compile(rb"https?://[^/?#]*", re.IGNORECASE)


_METHODS = sorted({call.method for call in CALLS} | {"HEAD", "OPTIONS"})


def find(method: str, target: bytes, body: bytes) -> Request:
    """What a request means; raises `Refused`."""
    path, query = _split(target)
    call, fields = _row(method, path)
    operation = call.operation
    text = False
    if query:
        given = from_query(query, call.query)
        text = "counts" in given and COUNTS.check(given.pop("counts"))
        fields |= given
    if body and not operation.batch:
        fields = merge(fields, from_body(body, call.body))
    return Request(operation, fields, text)


def allowed(target: bytes) -> str:
    """The methods of a target, or of all for `*`, as `Allow` names them; raises `Refused`."""
    path = _split(target)[0]
    return ", ".join(_METHODS) if path == b"*" else _allow(_rows(path)[0])


def asked(method: str, target: bytes) -> Operation | None:
    """What is asked for, whatever is said along with it; None where there is no such call."""
    try:
        return _row(method, _split(target)[0])[0].operation
    except Refused:
        return None


def is_batch(method: str, target: bytes) -> bool:
    """Whether a request's body may be as large as that of a batch."""
    operation = asked(method, target)
    return operation is not None and operation.batch


def _row(method: str, path_raw: bytes) -> tuple[Call, dict[str, object]]:
    rows, fields = _rows(path_raw)
    call = rows.get("GET" if method == "HEAD" else method)
    if call is None:
        path, allow = shown(unescape(path_raw, "the path")), _allow(rows)
        detail = f"{method} is not a method of {path}; it has {allow}"
        raise Problem(405, detail, headers=b"Allow: %b\r\n" % allow.encode())
    return call, fields


def _rows(path_raw: bytes) -> tuple[_Rows, dict[str, object]]:
    """The rows of a path, with the fields that stand in it; raises `Refused` where none are."""
    rows = _BY_PATH.get(path_raw)
    if rows is not None:
        return rows, {}
    path = unescape(path_raw, "the path")
    rows = _BY_PATH.get(path.encode())
    if rows is not None:
        return rows, {}
    rows, fields = _matching(path_raw)
    if not rows:
        raise Refused(Why.UNKNOWN, f"there is no {shown(path)} here; GET / lists the calls")
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


def add_key(fields: dict[str, object], given: list[bytes]) -> None:
    """Add the key of an `Idempotency-Key` field: bare, or a string of RFC 8941."""
    if len(given) > 1:
        raise wrong("Idempotency-Key is given twice")
    value = given[0].strip(b" \t")
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = value.decode("latin-1")
    if text.startswith('"'):
        if not _QUOTED.fullmatch(text):
            raise wrong(f"Idempotency-Key is no string in quotes: {shown(text)}")
        text = _ESCAPED.sub(r"\1", text[1:-1])
    if "key" in fields and key(fields["key"]) != key(text):
        other = shown(fields["key"])
        raise wrong(f"Idempotency-Key and key differ: {shown(text)}, {other}")
    fields["key"] = text
