"""Datagrams that are not used: told at once where it matters, and all others once a minute."""

from __future__ import annotations

import asyncio
import logging

import pytest

from gossipd.core import Drop
from gossipd.daemon import dropping
from gossipd.daemon.dropping import Drops
from gossipd.daemon.repeats import BURST
from gossipd.daemon.troubles import Troubles

HERE = ("10.0.0.9", 7946)
FLOOD = 5000


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dropping, "SUM_EVERY", 0.05)


async def lines(caplog: pytest.LogCaptureFixture, count: int) -> list[tuple[str, str]]:
    deadline = asyncio.get_running_loop().time() + 20
    while len(caplog.records) < count:
        assert asyncio.get_running_loop().time() < deadline, caplog.text
        await asyncio.sleep(0.001)
    return [(record.levelname, record.getMessage()) for record in caplog.records]


@pytest.mark.usefixtures("often")
async def test_a_flood_is_one_line_and_a_sum(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    drops = Drops(Troubles())
    for _ in range(FLOOD):
        drops.drop(HERE, Drop.FOREIGN)
        drops.drop(HERE, Drop.BUSY)
    assert await lines(caplog, 2) == [
        ("WARNING", "dropped a datagram from 10.0.0.9:7946: another cluster's"),
        ("WARNING", "dropped 9,999 more datagrams in 0.05 s: 5,000 busy, 4,999 foreign"),
    ]
    assert caplog.records[0].__dict__["fields"] == {
        "reason": "foreign",
        "address": "10.0.0.9:7946",
    }
    assert caplog.records[1].__dict__["fields"] == {"busy": 5000, "foreign": 4999}
    assert drops.counts == {Drop.FOREIGN: FLOOD, Drop.BUSY: FLOOD}
    drops.drop(HERE, Drop.OWN)
    assert (await lines(caplog, 3))[2] == ("INFO", "dropped 1 more datagrams in 0.05 s: 1 own")


@pytest.mark.usefixtures("often")
async def test_what_is_told_with_its_address_is_in_no_sum(
    caplog: pytest.LogCaptureFixture,
) -> None:
    drops = Drops(Troubles())
    drops.drop(HERE, Drop.FOREIGN)
    await asyncio.sleep(0.1)
    drops.drop(HERE, Drop.FOREIGN)
    assert [text for _, text in await lines(caplog, 2)] == [
        "dropped a datagram from 10.0.0.9:7946: another cluster's"
    ] * 2


@pytest.mark.parametrize("reason", [Drop.VERSION, Drop.MALFORMED, Drop.UNKNOWN_KIND])
async def test_who_speaks_another_version_is_named(
    reason: Drop, caplog: pytest.LogCaptureFixture
) -> None:
    Drops(Troubles()).drop(HERE, reason)
    (line,) = await lines(caplog, 1)
    assert line[0] == "WARNING"
    assert "from 10.0.0.9:7946: " in line[1]
    assert "version" in line[1] or "newer" in line[1]


async def test_to_look_closely_is_no_flood_either(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    drops = Drops(Troubles())
    for _ in range(FLOOD):
        drops.drop(HERE, Drop.STRANGER)
        drops.drop(HERE, Drop.UNASKED)
    assert len(caplog.records) == 2 * BURST


@pytest.mark.usefixtures("often")
async def test_a_lie_about_own_increments_is_an_alarm_until_a_while_after_the_last_one() -> None:
    troubles = Troubles()
    drops = Drops(troubles)
    drops.drop(HERE, Drop.FALSE_CLAIM)
    assert troubles.texts == []
    for _ in range(4):
        drops.drop(HERE, Drop.NOT_OURS)
        await asyncio.sleep(0.03)
        assert troubles.texts == [
            "10.0.0.9:7946 told of increments of this process that it never made"
        ]
        assert troubles.not_serving is None
    deadline = asyncio.get_running_loop().time() + 20
    while troubles.texts:
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.001)
