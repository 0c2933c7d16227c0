"""How large everything is that a node keeps, found by walking over it: whatever is new there is
seen, too."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from gossipd.core import Node

_LEAVES = (int, float, str, bytes, bool, type(None))


def tables(node: Node) -> dict[str, int]:
    """The number of items in each collection of a node, by the names that lead to it. Of those
    inside of others the largest one counts, as `of.[]`."""
    sizes: dict[str, int] = {}
    for path, size in walk(node, "", set()):
        sizes[path] = max(size, sizes.get(path, 0))
    return sizes


def walk(thing: Any, path: str, seen: set[int]) -> Iterator[tuple[str, int]]:
    """Each collection within, by its path."""
    if isinstance(thing, _LEAVES) or callable(thing) or id(thing) in seen:
        return
    seen.add(id(thing))
    if isinstance(thing, Mapping):
        yield path, len(thing)
        for item in list(thing.values()):
            yield from walk(item, f"{path}[]", seen)
    elif isinstance(thing, list | set | frozenset | deque):
        yield path, len(thing)
        for item in list(thing):
            yield from walk(item, f"{path}[]", seen)
    elif type(thing).__module__.startswith("gossipd.core") and not isinstance(thing, tuple):
        for name, value in _attributes(thing):
            yield from walk(value, f"{path}.{name.strip('_')}".lstrip("."), seen)


def _attributes(thing: Any) -> Iterator[tuple[str, Any]]:
    names = dict.fromkeys(getattr(thing, "__dict__", ()))
    for kind in type(thing).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        names |= dict.fromkeys((slots,) if isinstance(slots, str) else slots)
    for name in names:
        if hasattr(thing, name):
            yield name, getattr(thing, name)
