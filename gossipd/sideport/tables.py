"""What the daemon answers as data, as lines for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gossipd.sideport.rings import Event
from gossipd.sideport.tokens import quote


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows as lines whose columns stand below each other."""
    if not rows:
        return ""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    return "".join(f"{line}\n" for line in lines)


def lines(rows: Sequence[str]) -> str:
    return "".join([f"{row}\n" for row in rows])


def counters(rows: Sequence[tuple[str, int]]) -> str:
    return "".join([f"{quote(counter)}\t{count}\n" for counter, count in rows])


def members(rows: Sequence[Mapping[str, object]]) -> str:
    return aligned([_member(row) for row in rows])


def events(rows: Sequence[Mapping[str, object]]) -> str:
    return aligned([(*_event(row), f"number {row.get('number')}") for row in rows])


def change(event: Event) -> str:
    """Something that a watcher is told, as lines that begin with what it is."""
    match event.kind, event.data():
        case "member", row:
            return f"member  {'  '.join(filter(None, _member(row)))}\n"
        case "increment", row:
            return f"increment  {'  '.join(_event(row))}\n"
        case "counts", counts:
            return "".join([f"count  {quote(name)}  {count}\n" for name, count in counts.items()])
        case "end", end:
            return f"error: {end['reason']}\n"
        case _:
            return ""


def fields(values: Mapping[str, object]) -> str:
    """With an empty line behind them."""
    return aligned([(f"{key}:", _flat(value)) for key, value in values.items()]) + "\n"


def _member(member: Mapping[str, object]) -> tuple[str, ...]:
    rtt = member.get("rtt_ms")
    return (
        quote(str(member.get("name"))),
        str(member.get("address")),
        str(member.get("state")),
        "self" if member.get("self") else "" if rtt is None else f"{rtt} ms",
        _flat(member.get("tags") or {}),
        str(member.get("why") or ""),
    )


def _event(event: Mapping[str, object]) -> tuple[str, ...]:
    return (
        str(event.get("at")),
        quote(str(event.get("counter"))),
        f"by {event.get('by')}",
        f"count {event.get('count')}",
        str(event.get("id")),
    )


def _flat(value: object) -> str:
    """A value on one line, the way a person would write it."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case Mapping():
            return " ".join(f"{key}={_flat(inner)}" for key, inner in value.items())
        case list() | tuple():
            return " ".join(map(_flat, value))
        case _:
            return str(value)
