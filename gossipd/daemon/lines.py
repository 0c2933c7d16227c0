"""What one event of the log looks like: a line, whatever is in it.

    time=2026-11-29T17:30:16.123+01:00 level=warning msg="member b is failed" member=b

So no name, and nothing that a peer or a client has sent, can end a line, begin another one, pass
for a field, or move a terminal's cursor: in quotes all that is no printable sign is escaped, as in
JSON. Where the journal takes the lines it has the time itself.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from gossipd.config.config import LogFormat

Value: TypeAlias = str | int | float | tuple[str, ...] | None
"""What a field may be; None is left out."""

Form: TypeAlias = Callable[[logging.LogRecord], str]

LISTED_MAX = 3
"""Names that are told of many."""

_FIELDS = "fields"

_BARE = re.compile(r"[!#-<>-\[\]-~]+", re.ASCII)
"""What needs no quotes: printable ASCII without space, quote, equals sign and backslash."""


def fields(**values: Value) -> Mapping[str, Mapping[str, Value]]:
    """What a line says beside its words: `log.info("ready", extra=fields(member="b"))`."""
    return {_FIELDS: values}


def listed(names: Sequence[str]) -> str:
    """Some names, of many the first."""
    more = f" and {len(names) - LISTED_MAX} more" if len(names) > LISTED_MAX else ""
    return ", ".join(names[:LISTED_MAX]) + more


def form_of(name: LogFormat, *, for_journal: bool) -> Form:
    """How each event is written; without the word of the operator as it suits its reader."""
    if name == "json":
        return as_json
    if name == "auto" and for_journal:
        return lambda record: _logfmt(record, with_time=False)
    return _logfmt


def as_json(record: logging.LogRecord) -> str:
    """One object; all that is not ASCII is escaped, so any encoding will do. Bytes of a path that
    are no UTF-8 are text like `\\udce9`, for their escapes are no Unicode to many readers."""
    event = {name: _in_unicode(value) for name, value in _event(record).items()}
    return json.dumps(event)


def quoted(text: str) -> str:
    """In quotes, on one line."""
    return f'"{"".join(map(_escaped, text))}"'


def _logfmt(record: logging.LogRecord, with_time: bool = True) -> str:
    event = _event(record)
    said = [f"msg={quoted(str(event.pop('msg')))}"]
    time = event.pop("time")
    first = [f"time={time}"] if with_time else []
    first.append(f"level={_shown(event.pop('level'))}")
    return " ".join(first + said + [f"{name}={_shown(value)}" for name, value in event.items()])


def _event(record: logging.LogRecord) -> dict[str, Value]:
    at = datetime.fromtimestamp(record.created).astimezone()
    event: dict[str, Value] = {
        "time": at.isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "msg": record.getMessage(),
    }
    values: Mapping[str, Value] = getattr(record, _FIELDS, {})
    event |= {name: value for name, value in values.items() if value is not None}
    if record.exc_info:
        event["trace"] = logging.Formatter().formatException(record.exc_info)
    return event


def _in_unicode(value: Value) -> Value:
    if isinstance(value, tuple):
        return tuple(str(_in_unicode(each)) for each in value)
    if not isinstance(value, str) or value.isascii():
        return value
    return value.encode(errors="backslashreplace").decode()


def _shown(value: Value) -> str:
    text = ",".join(value) if isinstance(value, tuple) else str(value)
    text = text.lower() if isinstance(value, bool) else text
    return text if _BARE.fullmatch(text) else quoted(text)


def _escaped(sign: str) -> str:
    is_plain = sign.isprintable() and sign not in '"\\'
    return sign if is_plain else json.dumps(sign)[1:-1]
