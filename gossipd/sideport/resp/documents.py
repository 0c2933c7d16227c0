"""`COMMAND`: the table of commands, as clients ask for it, and redis-cli for its hints."""

from __future__ import annotations

from collections.abc import Mapping

from gossipd.sideport.resp.answers import Value, simple
from gossipd.sideport.resp.reading import Words
from gossipd.sideport.resp.refusals import unknown_part, wrong_number
from gossipd.sideport.resp.rows import Command, Given
from gossipd.sideport.validation import wrong

_KEY = "key"


def command(rows: Mapping[str, Command], words: Words) -> Value:
    """`rows`: by their names in capitals."""
    part = words[1].upper() if len(words) > 1 else b"INFO"
    names = [word.decode("latin-1").upper() for word in words[2:]] or list(rows)
    match part:
        case b"COUNT" if len(words) == 2:
            return len(rows)
        case b"LIST" if len(words) == 2:
            return [name.lower() for name in rows]
        case b"INFO":
            return [_info(name, rows[name]) if name in rows else None for name in names]
        case b"DOCS":
            return {name.lower(): _docs(rows[name]) for name in names if name in rows}
        case b"COUNT" | b"LIST":
            raise wrong(wrong_number(f"command|{part.decode().lower()}"))
        case _:
            raise wrong(unknown_part(words, ["COUNT", "DOCS", "INFO", "LIST"]))


def _info(name: str, row: Command) -> Value:
    """Name, arity, flags, the places of the first and the last counter and the step between, then
    what has nothing in it: categories, tips, key specifications, subcommands."""
    has_key = row.given[:1] and row.given[0].type == _KEY
    last = -1 if has_key and row.given[0].multiple else 1
    flags: list[Value] = [simple(flag) for flag in row.flags]
    places = (1, last, 1) if has_key else (0, 0, 0)
    return [name.lower(), row.arity, flags, *places, [], [], [], []]


def _docs(row: Command) -> Value:
    documents: dict[str, Value] = {
        "summary": row.summary, "since": row.since, "group": row.group,
    }  # fmt: skip
    if row.given:
        documents["arguments"] = [_given(given) for given in row.given]
    return documents


def _given(given: Given) -> Value:
    described: dict[str, Value] = {"name": given.name, "type": given.type}
    if given.type == _KEY:
        described["key_spec_index"] = 0
    if given.token:
        described["token"] = given.token
    flags: list[Value] = [
        simple(name) for name in ("optional", "multiple") if getattr(given, name)
    ]
    if flags:
        described["flags"] = flags
    return described
