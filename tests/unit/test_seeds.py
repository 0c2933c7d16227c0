"""The addresses that a node joins through."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from gossipd import seeds as module
from gossipd.core import Address, Joined
from gossipd.endpoint import Endpoint
from gossipd.seeds import Seeds, resolve_now
from tests.unit.pair import HERE, NOWHERE, SETTINGS, THERE, Pair
from tests.unit.waiting import until

SEED = Endpoint(*THERE)
ABSENT = Endpoint(*NOWHERE)


@pytest.fixture
def pair() -> Pair:
    made = Pair()
    made.start()
    return made


@pytest.fixture
async def seeds(pair: Pair) -> AsyncIterator[Seeds]:
    def perform(effects: object) -> None:
        assert isinstance(effects, list)
        pair.perform(effects)

    made = Seeds(pair.node, SETTINGS, perform)
    yield made
    await made.stop()


def test_a_seed_is_resolved_to_each_of_its_addresses_once() -> None:
    assert resolve_now(Endpoint("127.0.0.1", 7)) == [("127.0.0.1", 7)]
    found = resolve_now(Endpoint("localhost", 7))
    assert len(found) == len(set(found))
    assert set(found) & {("127.0.0.1", 7), ("::1", 7)}


def test_what_cannot_be_resolved_raises() -> None:
    with pytest.raises(OSError, match=r"."):
        resolve_now(Endpoint("nobody.invalid", 7))


async def test_a_silent_seed_is_asked_again_and_again(pair: Pair, seeds: Seeds) -> None:
    seeds.keep(ABSENT)
    await until(lambda: pair.sent.count(NOWHERE) >= 5)


async def test_a_seed_that_answers_is_joined_and_left_alone(pair: Pair, seeds: Seeds) -> None:
    seeds.keep(SEED)
    await until(lambda: "there" in [view.name for view in pair.node.members])
    seeds.keep(ABSENT)
    before = pair.sent.count(THERE)
    await until(lambda: pair.sent.count(NOWHERE) >= 5)
    assert pair.sent.count(THERE) == before


async def test_the_own_address_is_no_seed(pair: Pair, seeds: Seeds) -> None:
    seeds.keep(Endpoint(*HERE))
    seeds.keep(ABSENT)
    await until(lambda: pair.sent.count(NOWHERE) >= 5)
    assert HERE not in pair.sent


async def test_a_name_that_cannot_be_resolved_is_tried_again_and_said_once(
    pair: Pair,
    seeds: Seeds,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    outcomes: list[list[Address]] = [[], [], [NOWHERE]]

    def resolve(seed: Endpoint) -> list[Address]:
        found = outcomes.pop(0) if len(outcomes) > 1 else outcomes[0]
        if not found:
            raise OSError(-2, "Name or service not known")
        return found

    monkeypatch.setattr(module, "resolve_now", resolve)
    with caplog.at_level(logging.WARNING):
        seeds.keep(Endpoint("later.invalid", 7))
        await until(lambda: NOWHERE in pair.sent)
    complaint = "cannot resolve the seed later.invalid:7: Name or service not known; trying again"
    assert caplog.messages == [complaint]


async def test_a_seed_asked_once_ends_when_it_is_alive(pair: Pair, seeds: Seeds) -> None:
    pair.cut = True
    seeds.keep(SEED, once=True)
    await until(lambda: pair.sent.count(THERE) >= 3)
    pair.cut = False
    await until(lambda: "there" in [view.name for view in pair.node.members])
    sent = pair.sent.count(THERE)
    seeds.keep(ABSENT)
    await until(lambda: pair.sent.count(NOWHERE) >= 5)
    assert pair.sent.count(THERE) == sent


async def test_only_a_seed_that_takes_the_node_in_is_news(pair: Pair, seeds: Seeds) -> None:
    seeds.keep(ABSENT)
    await until(lambda: NOWHERE in pair.sent)
    assert seeds.joined(Joined(NOWHERE, "x"))
    assert not seeds.joined(Joined(NOWHERE, "x"))
    assert seeds.joined(Joined(NOWHERE, "y"))
    assert not seeds.joined(Joined(("127.0.0.1", 5), "z"))


async def test_a_stop_ends_all_tries(pair: Pair, seeds: Seeds) -> None:
    seeds.keep(ABSENT)
    await until(lambda: NOWHERE in pair.sent)
    await seeds.stop()
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
