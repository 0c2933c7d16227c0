"""What a node says that it holds for others: only what a restart would load."""

from __future__ import annotations

import pytest

from gossipd.core import Drop, SaveWanted
from gossipd.core.durability.holding import ANSWERS_AT_ONCE, WISHES_EACH, WISHES_MAX
from gossipd.core.log.log import Log
from gossipd.core.wire.messages import (
    Digest,
    DigestAsk,
    Held,
    Hold,
)
from tests.unit.core.talk import Said, Talk, group, stream


def idle(increments: int = 0) -> Talk:
    """A node without a disk, and nothing left to tell."""
    talk = Talk(peers=2)
    if increments:
        talk.increment(times=increments)
    talk.settle()
    return talk


def keeper(peers: int = 2) -> Talk:
    """A node with a disk, on which everything is that the node holds."""
    talk = Talk(peers=peers, durable=True)
    talk.settle()
    talk.store_all()
    return talk


def test_who_stays_keeps_what_it_is_sent_and_shows_its_versions() -> None:
    talk = idle()
    p0 = talk.peer("p0")
    said = talk.hear(p0, Hold(5, (group(1, [("a", 1, 1)]),)))
    assert said.sent(Held, p0) == [Held(5, False, ((stream(1), 1),), False)]
    assert talk.node.log.value("a") == 1


@pytest.mark.parametrize(("to", "urgent"), [(8, True), (9, False)])
def test_who_is_behind_pulls_from_a_leaver_at_once_and_from_others_in_its_time(
    to: int, urgent: bool
) -> None:
    talk = idle()
    p0 = talk.peer("p0")
    asked = talk.hear(p0, Hold(4, (group(2, [("a", 9, 1)], start=8),))).sent(DigestAsk, p0)[-1]
    talk.hear(p0, Digest(asked.nonce, 0, 0, (), None))
    said = talk.hear(p0, Hold(5, (group(1, [("a", 9, 1)], start=8, to=to),)))
    assert said.sent(Held, p0) == [Held(5, False, ((stream(1), 0),), False)]
    assert bool(said.sent(DigestAsk, p0)) is urgent


def test_who_leaves_too_says_so_and_pulls_nothing() -> None:
    talk = idle(increments=3)
    talk.leave()
    p0 = talk.peer("p0")
    said = talk.hear(p0, Hold(5, (group(1, [("a", 9, 1)], start=8),)))
    assert [held.leaving for held in said.sent(Held, p0)] == [True]
    assert not said.sent(DigestAsk)


def test_who_has_no_room_does_not_say_that_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossipd.core.state.Log", lambda *_: Log(registers_max=0))
    talk = idle()
    said = talk.hear(talk.peer("p0"), Hold(5, (group(1, [("a", 1, 1)]),)))
    assert said.drops == [Drop.STREAMS_FULL]
    assert not said.sent(Held)


# --- as the one who stays and has a disk ---------------------------------------------------------


def test_a_hold_is_answered_when_everything_in_it_is_on_the_disk() -> None:
    talk = keeper()
    p0 = talk.peer("p0")
    said = talk.hear(p0, Hold(5, (group(1, [("a", 1, 1), ("b", 2, 1), ("c", 3, 1)]),)))
    assert said.of(SaveWanted)
    assert not said.sent(Held)
    for _ in range(2):
        assert not talk.stored(talk.take(1)).sent(Held)
    said = talk.stored(talk.take(1))
    assert said.sent(Held, p0) == [Held(5, False, ((stream(1), 3),), True)]
    assert not said.of(SaveWanted)


def test_a_hold_that_brings_nothing_new_is_answered_at_once_when_everything_is_stored() -> None:
    talk = keeper()
    p0 = talk.peer("p0")
    said = talk.hear(p0, Hold(5, (group(1, [], start=4),)))
    assert not said.of(SaveWanted)
    assert said.sent(Held, p0) == [Held(5, False, ((stream(1), 0),), True)]


def test_a_hold_waits_for_the_cycle_that_begins_after_it() -> None:
    talk = keeper()
    p0 = talk.peer("p0")
    talk.hear_news(group(1, [("a", 1, 1)]))
    running = talk.take()
    assert not talk.hear(p0, Hold(5, (group(2, [("b", 9, 1)], start=8),))).sent(Held)
    said = talk.stored(running)
    assert not said.sent(Held)
    assert said.of(SaveWanted)
    assert talk.stored(talk.take()).sent(Held, p0) == [Held(5, False, ((stream(2), 0),), True)]


def test_a_hold_that_adds_nothing_to_what_is_being_stored_is_answered_when_that_is() -> None:
    talk = keeper()
    p0 = talk.peer("p0")
    news = group(1, [("a", 1, 1)])
    talk.hear_news(news)
    running = talk.take()
    assert not talk.hear(p0, Hold(5, (news,))).sent(Held)
    said = talk.stored(running)
    assert said.sent(Held, p0) == [Held(5, False, ((stream(1), 1),), True)]
    assert not said.of(SaveWanted)


def test_a_hold_is_not_answered_by_a_part_that_could_not_be_stored() -> None:
    talk = keeper()
    p0 = talk.peer("p0")
    talk.hear(p0, Hold(5, (group(1, [("a", 1, 1)]),)))
    talk.take()
    talk.not_stored()
    assert talk.stored(talk.take()).sent(Held, p0) == [Held(5, False, ((stream(1), 1),), True)]


def test_a_version_that_is_only_held_in_memory_is_not_told() -> None:
    talk = keeper()
    p0 = talk.peer("p0")
    talk.hear_news(group(1, [("a", 1, 1)]))
    talk.hear(p0, Hold(5, (group(1, [("b", 2, 1)], start=1),)))
    running = talk.take()
    talk.hear_news(group(1, [("c", 3, 1)], start=2))
    assert talk.stored(running).sent(Held, p0) == [Held(5, False, ((stream(1), 2),), True)]


def test_so_many_wait_for_the_disk_and_no_more() -> None:
    talk = keeper(peers=WISHES_MAX // WISHES_EACH + 1)
    groups = (group(1, [("a", 1, 1)]),)
    peers = list(talk.peers.values())
    said = [
        talk.hear(peer, Hold(nonce, groups)) for peer in peers for nonce in range(WISHES_EACH + 1)
    ]
    wanted = [bool(each.of(SaveWanted)) for each in said]
    assert wanted == [True] + [False] * (len(said) - 1), "once"
    stored = talk.store_all()
    assert len(stored.sent(Held)) == ANSWERS_AT_ONCE, "the others a moment later"
    stored = Said([*stored.timed, *talk.wait(0.05).timed])
    answered = [[held.nonce for held in stored.sent(Held, peer)] for peer in peers]
    assert answered == [list(range(WISHES_EACH))] * (len(peers) - 1) + [[]]


def test_who_waits_to_be_answered_takes_a_place() -> None:
    talk = keeper()
    p0 = talk.peer("p0")
    for nonce in range(WISHES_EACH):
        talk.hear(p0, Hold(nonce, (group(1, [("a", 1, 1)]),)))
    talk.store_all()
    left = WISHES_EACH - ANSWERS_AT_ONCE
    for nonce in range(100, 100 + WISHES_EACH):
        talk.hear(p0, Hold(nonce, (group(2, [("a", 1, 1)]),)))
    said = Said([*talk.store_all().timed, *talk.wait(0.05).timed])
    nonces = [held.nonce for held in said.sent(Held, p0)]
    assert nonces == [*range(ANSWERS_AT_ONCE, WISHES_EACH), *range(100, 100 + WISHES_EACH - left)]


def test_everybody_who_waits_is_answered() -> None:
    talk = keeper()
    p0, p1 = talk.peer("p0"), talk.peer("p1")
    talk.hear(p0, Hold(5, (group(1, [("a", 1, 1)]),)))
    talk.hear(p1, Hold(6, (group(2, [("b", 9, 1)], start=8),)))
    said = talk.store_all()
    assert [held.nonce for held in said.sent(Held, p0)] == [5]
    assert said.sent(Held, p1) == [Held(6, False, ((stream(2), 0),), True)]


def test_a_hold_does_not_wait_for_own_increments() -> None:
    talk = keeper()
    p0 = talk.peer("p0")
    talk.increment(times=3)
    said = talk.hear(p0, Hold(5, (group(1, [], start=4),)))
    assert not said.of(SaveWanted)
    assert said.sent(Held, p0)
