"""Key records above a stream's version: part of the fingerprint, so all hold them equally long."""

from __future__ import annotations

import pytest

from gossipd.core import KeyRecord, Settings
from gossipd.core.wire.messages import Hold, Pages, PassAsk
from gossipd.core.wire.records import BEGINNING, Group, PassItem
from tests.unit.core.talk import Talk, stream

WINDOW, RETENTION = 5.0, 20.0
SETTINGS = Settings(key_window=WINDOW, key_retention=RETENTION)
KEY = bytes(6) + b"\x40" + bytes(9)
STREAM = stream(1)


def record(age: float = 0.0) -> KeyRecord:
    return KeyRecord(KEY, 2, "hits", 1, int(10 * age))


def holding(version: int, age: float = 0.0) -> Talk:
    """A node without a disk that was told of event 2 with its key, and what it holds whole."""
    talk = Talk(peers=1, settings=SETTINGS)
    start = 0 if version else 1
    group = Group(STREAM, start, version or 1, (("hits", 2, 2),), (record(age),))
    talk.hear(talk.peer("p0"), Hold(1, (group,)))
    return talk


def has_key(talk: Talk) -> bool:
    return bool(talk.node.events(KEY))


def test_a_record_that_the_version_covers_goes_with_the_window() -> None:
    talk = holding(version=2)
    talk.wait(WINDOW - 1)
    assert has_key(talk)
    talk.wait(2)
    assert not has_key(talk)


def test_a_record_above_the_version_stays_for_the_retention_without_a_disk_too() -> None:
    talk = holding(version=0)
    before = talk.node.log.fingerprint
    talk.wait(RETENTION - 1)
    assert has_key(talk)
    assert talk.node.log.fingerprint == before
    talk.wait(2)
    assert not has_key(talk)


@pytest.mark.parametrize(
    ("version", "age", "taken"), [(2, 6, False), (0, 6, True), (0, 19, True), (0, 21, False)]
)
def test_a_record_older_than_the_window_is_taken_only_above_the_version(
    version: int, age: float, taken: bool
) -> None:
    assert has_key(holding(version, age)) is taken


@pytest.mark.parametrize(("version", "told"), [(2, 0), (0, 1)])
def test_who_wants_no_records_beyond_the_window_is_told_those_above_the_version(
    version: int, told: int
) -> None:
    talk = holding(version)
    ask = PassAsk(7, (PassItem(STREAM, 0, BEGINNING),), 1, 1200, age=10)
    talk.wait(2)
    peer = talk.peer("p0")
    pages = talk.hear(peer, ask).sent(Pages, peer)[0].pages
    assert sum(len(page.keys) for page in pages) == told
