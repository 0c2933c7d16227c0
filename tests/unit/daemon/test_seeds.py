"""The addresses that a node joins through."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gossipd.config.endpoint import Endpoint
from gossipd.core import (
    Address,
    Joined,
    Refused,
    Status,
)
from gossipd.daemon import resolving, targets
from gossipd.daemon import seeds as module
from gossipd.daemon.retrying import Retrying
from gossipd.daemon.seeds import Seeds
from gossipd.daemon.troubles import Troubles
from tests.deadline import DEADLINE
from tests.unit.daemon.waiting import until
from tests.unit.pair import (
    HERE,
    NOWHERE,
    SETTINGS,
    THERE,
    Pair,
)

SEED = Endpoint(*THERE)
ABSENT = Endpoint(*NOWHERE)
CAUSE = "this host has no route to any other"
NAME = Endpoint("name.invalid", 7)
OTHER = Endpoint("other.invalid", 7)


@pytest.fixture
def pair() -> Pair:
    made = Pair()
    made.start()
    return made


@pytest.fixture
def troubles() -> Troubles:
    return Troubles()


@pytest.fixture
def changes() -> list[None]:
    """One item for each change that was told."""
    return []


@pytest.fixture
async def seeds(pair: Pair, troubles: Troubles, changes: list[None]) -> AsyncIterator[Seeds]:
    def perform(effects: object) -> None:
        assert isinstance(effects, list)
        pair.perform(effects)

    made = Seeds(
        pair.node,
        SETTINGS,
        troubles,
        perform,
        lambda: changes.append(None),
        lambda address: "cannot speak to" if ":" in address[0] else None,
        Retrying(lambda: CAUSE),
    )
    yield made
    await made.stop()


Zone = dict[str, list[Address] | OSError]


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Zone:
    """What names resolve to, or why they do not."""
    made: Zone = {}
    real = resolving.resolve_now

    def resolve(endpoint: Endpoint, *, flags: int = 0) -> list[Address]:
        found = made.get(endpoint.host)
        if flags or found is None:
            return real(endpoint, flags=flags)
        if isinstance(found, OSError):
            raise found
        return found

    monkeypatch.setattr(resolving, "resolve_now", resolve)
    return made


def many(count: int) -> list[Address]:
    return [("127.0.0.1", 2000 + number) for number in range(count)]


def no_name() -> OSError:
    return OSError(socket.EAI_NONAME, "Name or service not known")


def no_answer() -> OSError:
    return OSError(socket.EAI_AGAIN, "Temporary failure in name resolution")


def states(seeds: Seeds) -> dict[object, object]:
    """The state of each address."""
    rows: list[dict[str, object]] = []
    for seed in seeds.report():
        addresses = seed["addresses"]
        assert isinstance(addresses, list)
        rows += addresses
    return {row["address"]: row["state"] for row in rows}


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


async def test_a_look_at_a_live_member_waits_for_a_tick(
    pair: Pair, seeds: Seeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It alone need not wake a node that sleeps."""
    loop, late = asyncio.get_running_loop(), list[float]()
    call_later = loop.call_later

    def called(wait: float, *given: Any) -> asyncio.TimerHandle:
        if wait >= targets.LOOKED_AT_LATE - 1:
            late.append(wait)
        return call_later(wait, *given)

    monkeypatch.setattr(loop, "call_later", called)
    seeds.keep(SEED)
    await until(lambda: bool(late))
    looks = len(late)
    seeds.tick(time.monotonic() + 1)
    assert len(late) == looks + 1, "it has looked, and waits for the next one"
    seeds.tick(float("-inf"))
    assert len(late) == looks + 1, "it is nobody's turn"


async def test_the_own_address_is_no_seed(pair: Pair, seeds: Seeds) -> None:
    seeds.keep(Endpoint(*HERE))
    seeds.keep(ABSENT)
    await until(lambda: pair.sent.count(NOWHERE) >= 5)
    assert HERE not in pair.sent
    assert not seeds.only_itself


async def test_a_name_that_lists_the_node_itself_lists_the_others_too(
    pair: Pair, seeds: Seeds, zone: Zone
) -> None:
    zone[NAME.host] = [HERE, NOWHERE, THERE]
    seeds.keep(NAME)
    await until(lambda: "there" in [view.name for view in pair.node.members])
    assert pair.sent.count(NOWHERE) > 0
    assert HERE not in pair.sent


async def test_a_live_member_does_not_hide_the_other_addresses_of_its_name(
    pair: Pair, seeds: Seeds, zone: Zone
) -> None:
    zone[NAME.host] = [NOWHERE, THERE]
    seeds.keep(NAME)
    await until(lambda: "there" in [view.name for view in pair.node.members])
    before, asked = pair.sent.count(THERE), pair.sent.count(NOWHERE)
    await until(lambda: pair.sent.count(NOWHERE) >= asked + 5)
    assert pair.sent.count(THERE) <= before + 1, "an answer may be under way"


async def test_all_addresses_of_a_name_get_their_turn_in_rounds(
    pair: Pair, seeds: Seeds, zone: Zone
) -> None:
    addresses = zone[NAME.host] = many(200)
    rounds: list[int] = []
    seeds.keep(NAME)
    async with asyncio.timeout(DEADLINE):
        while any(pair.sent.count(address) < 2 for address in addresses):
            before = len(pair.sent)
            while len(pair.sent) == before:  # noqa: ASYNC110
                await asyncio.sleep(0)  # it looks after each turn of the loop
            rounds.append(len(pair.sent) - before)
    assert max(rounds) <= targets.ROUND_MAX
    counts = [pair.sent.count(address) for address in addresses]
    assert max(counts) - min(counts) <= 1, "nobody comes short"
    assert set(seeds.addresses) == set(addresses)


async def test_an_address_that_two_seeds_list_is_asked_once(
    pair: Pair, seeds: Seeds, zone: Zone
) -> None:
    zone[NAME.host] = [NOWHERE]
    seeds.keep(NAME)
    seeds.keep(ABSENT)
    await until(lambda: NOWHERE in pair.sent)
    assert seeds.addresses == [NOWHERE]
    zone[NAME.host] = no_name()
    await until(lambda: seeds.report()[0]["error"] is not None)
    assert seeds.addresses == [NOWHERE], "the other seed still lists it"


async def test_what_the_socket_does_not_speak_is_not_asked_and_told(
    pair: Pair, seeds: Seeds, troubles: Troubles, zone: Zone
) -> None:
    zone[NAME.host] = [("::1", 7), NOWHERE]
    seeds.keep(NAME)
    seeds.keep(Endpoint("::1", 8))
    await until(lambda: NOWHERE in pair.sent)
    assert {address for address in pair.sent if ":" in address[0]} == set()
    (text,) = troubles.texts
    assert text.startswith("cannot resolve the seed [::1]:8: it has only IPv6 addresses")


async def test_where_the_node_finds_itself_it_asks_no_more(
    pair: Pair, seeds: Seeds, changes: list[None]
) -> None:
    seeds.keep(ABSENT)
    await until(lambda: NOWHERE in pair.sent)
    assert [seeds.only_itself] == [False]
    told = len(changes)
    seeds.found_itself(NOWHERE)
    seeds.found_itself(("127.0.0.1", 5))
    await until(lambda: len(changes) > told)
    assert seeds.only_itself
    assert states(seeds) == {"127.0.0.1:1009": "self"}
    before = pair.sent.count(NOWHERE)
    seeds.keep(Endpoint("127.0.0.1", 1010))
    await until(lambda: pair.sent.count(("127.0.0.1", 1010)) >= 5)
    assert pair.sent.count(NOWHERE) == before
    seeds.joined(Joined(NOWHERE, "another"))
    assert states(seeds) == {"127.0.0.1:1009": "asked", "127.0.0.1:1010": "asked"}


async def test_behind_the_address_of_a_balancer_may_be_others(
    pair: Pair, seeds: Seeds, zone: Zone
) -> None:
    balancer = zone[NAME.host] = [("192.0.2.1", 7)]
    seeds.keep(NAME)
    await until(lambda: balancer[0] in pair.sent)
    seeds.found_itself(balancer[0])
    assert states(seeds) == {"192.0.2.1:7": "self"}
    assert not seeds.only_itself


async def test_a_name_that_cannot_be_resolved_is_tried_again_and_said_once(
    pair: Pair, seeds: Seeds, zone: Zone, troubles: Troubles, caplog: pytest.LogCaptureFixture
) -> None:
    zone[NAME.host] = no_name()
    with caplog.at_level(logging.INFO):
        seeds.keep(NAME)
        await until(lambda: troubles.texts)
        assert (
            str(seeds.unresolved)
            == "no seed's name resolves: name.invalid:7: Name or service not known"
        )
        zone[NAME.host] = no_answer()
        await until(lambda: "Temporary" in str(seeds.unresolved))
        zone[NAME.host] = [NOWHERE]
        await until(lambda: NOWHERE in pair.sent)
    assert seeds.unresolved is None
    assert troubles.texts == []
    warned = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert warned == [
        "cannot resolve the seed name.invalid:7: Name or service not known; it will be tried again"
    ]
    assert [text for text in caplog.messages if text.startswith("cleared: cannot resolve")]


async def test_without_an_answer_the_last_addresses_are_asked_with_one_they_are_gone(
    pair: Pair, seeds: Seeds, zone: Zone, troubles: Troubles
) -> None:
    zone[NAME.host] = [NOWHERE]
    seeds.keep(NAME)
    await until(lambda: NOWHERE in pair.sent)
    zone[NAME.host] = no_answer()
    await until(lambda: seeds.report()[0]["error"] is not None)
    assert (seeds.addresses, troubles.texts) == ([NOWHERE], [])
    asked = pair.sent.count(NOWHERE)
    await until(lambda: pair.sent.count(NOWHERE) > asked)
    zone[NAME.host] = no_name()
    await until(lambda: troubles.texts)
    assert seeds.addresses == []
    assert seeds.unresolved is None, "it has been resolved once"


async def test_many_unresolved_names_are_not_all_listed(seeds: Seeds, zone: Zone) -> None:
    for number in range(5):
        zone[f"n{number}.invalid"] = no_name()
        seeds.keep(Endpoint(f"n{number}.invalid", 7))
    assert str(seeds.unresolved).endswith("n2.invalid:7: not answered yet; and 2 more")


async def test_a_resolver_that_hangs_holds_up_no_other_seed_and_is_told(
    pair: Pair, seeds: Seeds, troubles: Troubles, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    real = resolving.resolve_now

    def resolve(endpoint: Endpoint, *, flags: int = 0) -> list[Address]:
        if endpoint.host.startswith("hangs") and not flags:
            release.wait(60)
        return [THERE] if endpoint == NAME and not flags else real(endpoint, flags=flags)

    monkeypatch.setattr(resolving, "resolve_now", resolve)
    monkeypatch.setattr(module, "SLOW_AFTER", 0.05)
    try:
        for number in range(40):
            seeds.keep(Endpoint(f"hangs{number}.invalid", 7))
        seeds.keep(NAME)
        await until(lambda: "there" in [view.name for view in pair.node.members])
        await until(lambda: len(troubles.texts) == 40)
        assert (
            "cannot resolve the seed hangs0.invalid:7: no answer for 0.05 s" in (troubles.texts[0])
        )
        began = time.monotonic()
        await seeds.stop()
        assert time.monotonic() - began < 5
    finally:
        release.set()


async def test_a_wish_is_tried_until_its_time_is_over(
    pair: Pair, seeds: Seeds, zone: Zone, troubles: Troubles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WISH_LASTS", 0.5)
    zone[NAME.host] = no_name()
    seeds.wish([NAME])
    seeds.wish([ABSENT])
    seeds.wish([ABSENT])
    await until(lambda: troubles.texts and NOWHERE in pair.sent)
    await until(lambda: not seeds.report())
    assert (seeds.addresses, troubles.texts) == ([], [])


async def test_what_is_kept_outlasts_a_wish_for_it(
    pair: Pair, seeds: Seeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WISH_LASTS", 0.2)
    kept, both, wished = (Endpoint("127.0.0.1", port) for port in (4001, 4002, 4003))
    seeds.keep(kept)
    seeds.wish([kept])
    seeds.wish([both])
    seeds.keep(both)
    seeds.wish([wished])
    await until(lambda: len(seeds.report()) == 2)
    assert [seed["seed"] for seed in seeds.report()] == [str(kept), str(both)]


async def test_wishes_are_bounded(seeds: Seeds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WISHES_MAX", 2)
    for _ in range(2):
        seeds.wish([SEED])
        seeds.wish([ABSENT])
    with pytest.raises(Refused, match="at most 2 seeds are joined at a time"):
        seeds.wish([NAME])
    assert len(seeds.report()) == 2


async def test_a_wish_for_what_waits_asks_at_once(pair: Pair, seeds: Seeds, zone: Zone) -> None:
    zone[NAME.host] = [NOWHERE]
    seeds.wish([NAME])
    await until(lambda: NOWHERE in pair.sent)
    seeds.found_itself(NOWHERE)
    before = pair.sent.count(NOWHERE)
    seeds.wish([NAME])
    await until(lambda: pair.sent.count(NOWHERE) > before)


async def test_what_becomes_of_a_seed_is_told(
    pair: Pair, seeds: Seeds, zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(targets, "SILENT_AFTER", 0.2)
    zone[NAME.host] = [HERE, NOWHERE, THERE]
    zone[OTHER.host] = no_name()
    pair.cut = True
    seeds.keep(NAME)
    seeds.keep(OTHER)
    await until(lambda: states(seeds).get("127.0.0.1:1002") == "asked")
    await until(lambda: states(seeds)["127.0.0.1:1002"] == "silent")
    assert (seeds.report()[0]["joined"], seeds.report()[0]["error"]) == (False, CAUSE)
    pair.cut = False
    await until(lambda: seeds.report()[0]["joined"])
    assert seeds.report() == [
        {
            "seed": "name.invalid:7",
            "joined": True,
            "error": None,
            "addresses": [
                {"address": "127.0.0.1:1001", "state": "self", "member": None},
                {"address": "127.0.0.1:1009", "state": "silent", "member": None},
                {"address": "127.0.0.1:1002", "state": "member", "member": "there"},
            ],
        },
        {
            "seed": "other.invalid:7",
            "joined": False,
            "error": "Name or service not known",
            "addresses": [],
        },
    ]


async def test_only_a_seed_that_takes_the_node_in_is_news(pair: Pair, seeds: Seeds) -> None:
    seeds.keep(ABSENT)
    await until(lambda: NOWHERE in pair.sent)
    assert seeds.joined(Joined(NOWHERE, "x"))
    assert not seeds.joined(Joined(NOWHERE, "x"))
    assert seeds.joined(Joined(NOWHERE, "y"))
    assert not seeds.joined(Joined(("127.0.0.1", 5), "z"))


async def test_where_a_live_member_answered_it_counts_as_that_members(
    pair: Pair, seeds: Seeds
) -> None:
    seeds.keep(SEED)
    await until(lambda: "there" in [view.name for view in pair.node.members])
    seeds.keep(ABSENT)
    seeds.joined(Joined(NOWHERE, "there"))
    assert states(seeds)["127.0.0.1:1009"] == "member"
    pair.leave()
    held = pair.node.members

    def gone() -> bool:
        pair.perform_other(pair.other.handle_timeout(time.monotonic()))
        return all(view.status is Status.LEFT for view in pair.node.members if view != held[0])

    await until(gone)
    assert states(seeds)["127.0.0.1:1009"] != "member"


async def test_many_wishes_cost_little_each(seeds: Seeds, changes: list[None]) -> None:
    """They come and go one by one; what each costs must not grow with the others."""

    def seconds(count: int) -> float:
        began = time.process_time()
        for number in range(count):
            seeds.wish([Endpoint("127.9.0.1", 10_000 + number)])
        return time.process_time() - began

    assert seconds(1000) < 2.0
    assert len(seeds.addresses) == 1000


async def test_wishes_of_one_call_are_told_once(seeds: Seeds, changes: list[None]) -> None:
    """What follows from other seeds costs as much as there are."""
    seeds.wish([Endpoint("127.9.0.1", 10_000 + number) for number in range(256)])
    assert len(changes) == 1
    assert len(seeds.addresses) == 256


async def test_a_stop_ends_all_tries(pair: Pair, seeds: Seeds) -> None:
    seeds.keep(ABSENT)
    seeds.wish([NAME])
    await until(lambda: NOWHERE in pair.sent)
    await seeds.stop()
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
