"""Which key records a start takes into memory, which stay on the disk, and which go from it.

The rule is that of the core's retention: of each stream the oldest leave memory, in the order of
seqs, once they are older than the window and covered by the stream's version; what has expired
goes in any case. All that is not in memory lies below the horizon. What has expired goes from the
disk, but stays a while longer where its key tells a time that is too far ahead (see the core's
`dedup`). How old a record is says the file's own clock (`clock`).
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterator
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from gossipd.core import KeyRecord, Snapshot, Stream, StreamSnapshot, key_time
from gossipd.core.identity import SEQ_MAX
from gossipd.core.log.dedup import held_longer, reach
from gossipd.core.settings import KEYS_MAX

from .double_rows import Found, corrections_of, doubles_of, unknown_doubles
from .key_rows import Kept, aged, are_kept, newest_time, put_horizon, sound
from .rows import Write, meta_of, versions_of

DROPPED_AT_ONCE = 100
"""Expired records that go with one statement: a millisecond or less."""

_REMOVE_KEYS = "DELETE FROM keys WHERE stream = ? AND seq <= ?"


class Lifetimes(NamedTuple):
    """For how many seconds key records are held."""

    in_memory: float
    on_disk: float
    keys_max: int = KEYS_MAX
    """As many are for memory at most: of those that versions cover the older ones are not, nor, of
    a stream that has more of them than there is room for, are those above its version."""


FOREVER = Lifetimes(0.0, math.inf)
"""On the disk; in memory are only those above versions."""


class _Limits(NamedTuple):
    """What goes from the disk; all in seconds."""

    expired: float
    """Accepted by then, where its key does not lie too far ahead, ..."""
    longest: float
    """... and by then, whatever its key says."""
    horizon: float
    """The latest time of a key that lies not too far ahead."""

    def wait(self, record: Kept) -> float:
        """Seconds until a record goes; it goes now if that is not above 0."""
        _, _, key, _, _, at = record
        ahead = (key_time(key) or 0) / 1000 - self.horizon
        accepted = at / 1000
        return min(accepted - self.longest, max(accepted - self.expired, ahead))


class _Part(NamedTuple):
    """The key records of one stream."""

    in_memory: tuple[KeyRecord, ...]
    archived: int
    horizon: int


def add_keys(
    connection: sqlite3.Connection, snapshot: Snapshot, now: float, lifetimes: Lifetimes
) -> tuple[Snapshot, Found]:
    """A snapshot with all that is stored of keys, and the doubles in it that are not stored: twins
    that both came to the disk, where only one of them may have been in memory.

    `now`: by the file's clock. Raises `DamagedError`.
    """
    if not are_kept(connection):
        return snapshot, []
    lifetimes = _with_room(connection, now, lifetimes)
    versions = dict(versions_of(connection))
    horizon = int(meta_of(connection).get("horizon", 0))
    streams = {each.stream: each for each in snapshot.streams}
    room = lifetimes.keys_max
    for stream in _streams(connection):
        version = versions.get(stream, 0)
        above = _count_above(connection, stream, version, now - lifetimes.on_disk, room)
        fits = above <= room
        room -= above * fits
        part = _part(connection, stream, version if fits else SEQ_MAX, now, lifetimes)
        held = streams.get(stream) or StreamSnapshot(stream, version, ())
        streams[stream] = held._replace(keys=part.in_memory, archived=part.archived)
        horizon = max(horizon, part.horizon)
    found = unknown_doubles(connection)
    doubles = merge(doubles_of(connection, now), sorted(found))
    for stream, some in groupby(doubles, itemgetter(0)):
        held = streams.get(stream) or StreamSnapshot(stream, versions.get(stream, 0), ())
        streams[stream] = held._replace(doubles=tuple(double for _, double in some))
    for stream, folded in groupby(corrections_of(connection), itemgetter(0)):
        held = streams.get(stream) or StreamSnapshot(stream, versions.get(stream, 0), ())
        streams[stream] = held._replace(corrections=tuple(each for _, each in folded))
    return Snapshot(tuple(streams.values()), snapshot.members, horizon), found


def _with_room(connection: sqlite3.Connection, now: float, lifetimes: Lifetimes) -> Lifetimes:
    """With a shorter time in memory where more records are younger than there is room for."""
    query = "SELECT at FROM keys WHERE at > ? ORDER BY at DESC LIMIT 1 OFFSET ?"
    old = 1000 * (now - lifetimes.in_memory)
    first = connection.execute(query, (old, lifetimes.keys_max)).fetchone()
    return lifetimes._replace(in_memory=now - first[0] / 1000) if first else lifetimes


class Expiry:
    """Removes key records that have expired, and finds when the next ones will."""

    def __init__(
        self,
        connected: Callable[[], sqlite3.Connection],
        now: float,
        wall: float,
        lifetimes: Lifetimes,
    ) -> None:
        """`now`: by the file's clock; `wall`: seconds since 1970. The connection is asked for
        again at each step, for it may have been replaced in between."""
        self._connected = connected
        expired = now - lifetimes.on_disk
        horizon = wall - reach(lifetimes.on_disk)
        self._limits = _Limits(expired, expired - held_longer(lifetimes.in_memory), horizon)
        self.wait = lifetimes.on_disk
        """Seconds until the first of those goes that are left, once all is written."""

    def writes(self, limit: int) -> Iterator[Write]:
        """What removes some `limit` of them, and raises the horizon to them."""
        stream = b""
        while stream := _next_stream(self._connected(), stream):
            above = 0
            while records := self._expired(stream, above):
                above = records[-1][1]
                limit -= len(records)
                # The horizon first: between the two a retry is still known by its record.
                yield put_horizon(newest_time(key for _, _, key, *_ in records))
                yield _REMOVE_KEYS, (stream, above)
                if limit <= 0:
                    self.wait = 0.0
                    return

    def _expired(self, stream: Stream, above: int) -> list[Kept]:
        """The next expired records of a stream, none behind one that has not expired."""
        query = "SELECT * FROM keys WHERE stream = ? AND seq > ? ORDER BY seq LIMIT ?"
        found: list[Kept] = []
        for record in sound(self._connected().execute(query, (stream, above, DROPPED_AT_ONCE))):
            wait = self._limits.wait(record)
            if wait > 0:
                self.wait = min(self.wait, wait)
                break
            found.append(record)
        return found


def _count_above(
    connection: sqlite3.Connection, stream: Stream, version: int, expired: float, room: int
) -> int:
    """How many records of a stream that have not expired are above its version; just above `room`
    if there are more than that."""
    query = """SELECT count(*) FROM (
        SELECT 1 FROM keys WHERE stream = ? AND seq > ? AND at > ? LIMIT ?)"""
    row = (stream, version, 1000 * expired, room + 1)
    return int(connection.execute(query, row).fetchone()[0])


def _part(
    connection: sqlite3.Connection,
    stream: Stream,
    version: int,
    now: float,
    lifetimes: Lifetimes,
) -> _Part:
    """In memory are the young ones, and those above `version`. What stays on the disk is looked
    through by SQLite alone, for it may be much."""
    old = 1000 * (now - lifetimes.in_memory)
    expired = 1000 * (now - lifetimes.on_disk)
    query = """SELECT seq FROM keys WHERE stream = ? AND (at > ? OR seq > ? AND at > ?)
        ORDER BY seq LIMIT 1"""
    found = connection.execute(query, (stream, old, version, expired)).fetchone()
    first = found[0] if found else SEQ_MAX + 1
    query = "SELECT * FROM keys WHERE stream = ? AND seq >= ? ORDER BY seq"
    in_memory = aged(sound(connection.execute(query, (stream, first))), now)
    query = """SELECT * FROM keys WHERE stream = ? AND seq < ? AND at > ?
        ORDER BY seq DESC LIMIT 1"""
    archived = list(sound(connection.execute(query, (stream, first, expired))))
    # Of those that tell their time, which are UUIDs of version 7, the largest is the latest.
    query = """SELECT stream, seq, max(key), counter, by, at, sum FROM keys
        WHERE stream = ? AND seq < ? AND substr(key, 7, 1) BETWEEN x'70' AND x'7f'
        GROUP BY stream"""
    newest = sound(connection.execute(query, (stream, first)))
    return _Part(
        tuple(in_memory),
        archived[0][1] if archived else 0,
        newest_time(key for _, _, key, *_ in newest),
    )


def _streams(connection: sqlite3.Connection) -> Iterator[Stream]:
    stream = b""
    while stream := _next_stream(connection, stream):
        yield stream


def _next_stream(connection: sqlite3.Connection, after: Stream) -> Stream:
    """The next stream that has key records; empty behind the last one."""
    query = "SELECT stream FROM keys WHERE stream > ? ORDER BY stream LIMIT 1"
    found = connection.execute(query, (after,)).fetchone()
    return bytes(found[0]) if found else b""
