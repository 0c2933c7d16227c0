"""Checkers on single facts: what they accept, what they refuse, and what a look costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from gossipd.core import (
    Failure,
    MemberView,
    Node,
    Status,
    TagFrame,
)
from gossipd.core.wire.encoding import (
    pack_body,
    pack_group,
    pack_head,
    pack_record,
    pack_view,
)
from gossipd.core.wire.messages import Gossip, Message, Pages
from gossipd.core.wire.records import BEGINNING, END, Page, Position
from tests.simulation.checkers import (
    Checker,
    Traffic,
    check_merging,
    compare_idle,
    demand_agreement,
    demand_calm,
    demand_rounds,
    idle_traffic,
    rounds_max,
)
from tests.simulation.faulty.disk import When
from tests.simulation.faulty.world import (
    Captured,
    CopiesTold,
    Made,
    World,
)

STREAM = bytes(9) + b"\7"


@pytest.fixture
def world() -> World:
    """Two nodes at rest, and three events of one stream at one of them."""
    world = World(1)
    world.cluster(2)
    demand_agreement(world, 10)
    for counter in ("a", "b", "a"):
        world.increment("n0", counter, 2)
    demand_agreement(world, 10)
    world.run(3)
    return world


def said(
    world: World, group: bytes = b"", view: bytes = b"", message: Message | None = None
) -> None:
    """Note a datagram as if n0 had sent it."""
    own = world.node("n0").own
    head = pack_head(own.name, own.generation, own.incarnation, message or Gossip())
    body = pack_body(head, [view] if view else [], [group] if group else [])
    assert world.captured is not None
    world.captured.append(Captured("n1", TagFrame("sim").close(body), own.address))


def group_of(world: World, start: int, to: int, *registers: tuple[str, int, int]) -> bytes:
    stream = world.made[0].stream
    return pack_group(stream, start, to, [pack_record(register) for register in registers])


# --- what is said --------------------------------------------------------------------------------


def test_a_true_group_passes(world: World) -> None:
    checker = Checker(world)
    said(world, group_of(world, 0, 3, ("a", 3, 4), ("b", 2, 2)))
    said(world, group_of(world, 2, 3, ("a", 3, 4)))
    checker.check()


@pytest.mark.parametrize(
    ("start", "to", "register", "invariant"),
    [
        (0, 3, ("a", 3, 4), "I3"),
        (1, 3, ("b", 2, 2), "I3"),
        (3, 4, ("a", 3, 4), "I3"),
        (0, 0, ("a", 4, 6), "I1"),
        (0, 0, ("a", 2, 4), "I1"),
        (0, 0, ("a", 3, 5), "I2"),
    ],
)
def test_a_group_that_is_not_true_is_named(
    world: World, start: int, to: int, register: tuple[str, int, int], invariant: str
) -> None:
    checker = Checker(world)
    said(world, group_of(world, start, to, register))
    with pytest.raises(AssertionError, match=f"^{invariant}: n0 says"):
        checker.check()


@pytest.mark.parametrize(
    ("after", "upto", "true"), [((0, "a"), END, True), (BEGINNING, (0, "b"), False)]
)
def test_a_page_answers_for_the_counters_between_its_bounds_only(
    world: World, after: Position, upto: Position, true: bool
) -> None:
    checker = Checker(world)
    page = Page(world.made[0].stream, 0, after, upto, 3, (("b", 2, 2),))
    said(world, message=Pages(1, (page,), True))
    if true:
        checker.check()
    else:
        with pytest.raises(AssertionError, match=r"^I3: n0 says a page without a 3"):
            checker.check()


def test_a_view_with_an_incarnation_that_its_member_never_had_is_named(world: World) -> None:
    checker = Checker(world)
    own = world.node("n1").own
    said(world, view=pack_view(own))
    checker.check()
    said(world, view=pack_view(own._replace(incarnation=own.incarnation + 1)))
    with pytest.raises(AssertionError, match=r"^I12: n0 says"):
        checker.check()


def test_a_view_of_a_member_that_never_spoke_is_named(world: World) -> None:
    checker = Checker(world)
    said(world, view=pack_view(MemberView("ghost", ("10.0.0.99", 1), 1, 0, Status.ALIVE)))
    with pytest.raises(AssertionError, match=r"^I12: n0 says"):
        checker.check()


@pytest.mark.parametrize("data", [bytes(1201), b"gd", bytes(40)])
def test_a_datagram_that_is_too_large_or_would_be_dropped_is_named(
    world: World, data: bytes
) -> None:
    checker = Checker(world)
    assert world.captured is not None
    world.captured.append(Captured("n1", data, ("10.0.0.2", 7946)))
    with pytest.raises(AssertionError, match=r"^I10: "):
        checker.check()


def test_a_list_of_datagrams_that_somebody_else_keeps_is_read_along_and_left_whole(
    world: World,
) -> None:
    checker = Checker(world)
    world.captured = kept = list[Captured]()
    world.run(3)
    count = len(kept)
    checker.check()
    checker.check()
    assert len(kept) == count > 0
    said(world, group_of(world, 0, 3))
    with pytest.raises(AssertionError, match=r"^I3: "):
        checker.check()


def test_without_the_wire_nothing_is_noted(world: World) -> None:
    checker = Checker(world, wire=False)
    world.add("n2", seeds=["n0"])
    world.run(3)
    world.crash("n2")
    checker.check()
    assert len(world.node("n0").members) == 3
    assert world.captured is None


# --- what is made and held -----------------------------------------------------------------------


def test_two_contents_under_one_id_are_named(world: World) -> None:
    checker = Checker(world)
    checker.check()
    first = world.made[0]
    world.made.append(Made("n1", first.stream, first.seq, "other", 1))
    with pytest.raises(AssertionError, match=r"^I1: .* have one id"):
        checker.check()


def test_a_shared_stream_may_have_two_contents(world: World) -> None:
    checker = Checker(world)
    checker.check()
    first = world.made[0]
    checker.share(first.stream)
    world.made.append(Made("n1", first.stream, 4, "other", 1))
    world.made.append(Made("n0", first.stream, 4, "a", 1))
    checker.check()


def test_a_register_that_nobody_made_is_named(world: World) -> None:
    checker = Checker(world)
    checker.check()
    world.node("n1").log.merge(STREAM, [("a", 1, 1)])
    with pytest.raises(AssertionError, match=r"^I1: n1 holds .* which nobody made"):
        checker.check()


def test_a_version_above_everything_made_is_named(world: World) -> None:
    checker = Checker(world)
    checker.check()
    world.node("n1").log.claim(world.made[0].stream, 4)
    with pytest.raises(AssertionError, match=r"^I3: n1 holds version 4, made were 3"):
        checker.check()


def test_a_version_without_an_event_below_it_is_named() -> None:
    world = World(1)
    world.cluster(2)
    demand_agreement(world, 10)
    checker = Checker(world)
    world.isolate("n1")
    world.increment("n0", "a")
    world.increment("n0", "b")
    stream = world.made[0].stream
    world.node("n1").log.merge(stream, [("b", 2, 1)])
    checker.check()
    world.node("n1").log.claim(stream, 2)
    with pytest.raises(AssertionError, match=r"^I3: n1 holds version 2 without a 1"):
        checker.check()


@pytest.mark.parametrize("found", [0, 1])
def test_an_event_is_on_its_writers_disk_unless_a_life_found_it_on_a_copy(found: int) -> None:
    world = World(1, disks=True)
    world.cluster(2)
    demand_agreement(world, 10)
    checker = Checker(world)
    disk = world.hosts["n1"].disk
    assert disk is not None
    world.increment("n1", "a")
    checker.check()
    disk.fails_next = (When.AFTER, Failure.FULL)
    world.increment("n1", "a")
    made, seq = world.made[-1], 2 + found
    if found:
        world.clone("n1", "n2")
        world.made.append(replace(made, seq=seq))
    world.run(1)
    checker.check()
    world.node("n0").log.merge(made.stream, [("a", seq, seq)])
    with pytest.raises(AssertionError, match=f"^I4: n0 holds event {seq}, its writer's"):
        checker.check()


# --- what is promised ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "disks", "memory", "enough", "true"),
    [
        (2, 2, False, True, True),
        (2, 3, False, True, True),
        (2, 1, False, True, False),
        (2, 0, True, True, True),
        (1, 1, False, True, False),
        (1, 1, False, False, True),
        (2, 2, False, False, False),
    ],
)
def test_copies_that_are_told_of_are_on_so_many_disks(
    world: World, told: int, disks: int, memory: bool, enough: bool, true: bool
) -> None:
    checker = Checker(world)
    world.answered.append(CopiesTold(world.made[0], 2, memory, told, enough, disks))
    if true:
        checker.check()
    else:
        with pytest.raises(AssertionError, match=f"^I4: n0 told that {told} hold "):
            checker.check()


def test_a_node_that_counts_what_it_does_not_hold_is_named(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    checker = Checker(world)
    checker.check()
    world.isolate("n1")
    world.increment("n0")
    checker.check()
    monkeypatch.setattr(Node, "counted", lambda *_: True)
    with pytest.raises(AssertionError, match=r"^Q5: n1 says it counts "):
        checker.check()


def test_nobody_is_asked_for_what_a_clone_has_made_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    checker = Checker(world)
    checker.check()
    checker.share(world.made[0].stream)
    world.isolate("n1")
    world.increment("n0")
    monkeypatch.setattr(Node, "counted", lambda *_: True)
    checker.check()


# --- rest ----------------------------------------------------------------------------------------


def test_rest_passes_when_all_agree(world: World) -> None:
    checker = Checker(world)
    checker.check_rest()
    assert checker.expected("a") == 4


def test_what_one_node_lacks_is_named_at_rest(world: World) -> None:
    checker = Checker(world)
    world.isolate("n1")
    world.increment("n0")
    with pytest.raises(AssertionError, match=r"^Q1: "):
        checker.check_rest()


def test_what_all_lack_is_named_unless_it_may_be_lost() -> None:
    world = World(1)
    world.cluster(3)
    demand_agreement(world, 10)
    checker = Checker(world)
    world.isolate("n2")
    world.increment("n2")
    world.crash("n2")
    stream = world.made[0].stream
    world.network.heal()
    world.run(15)
    with pytest.raises(AssertionError, match=r"^Q3: "):
        checker.check_rest()
    checker.check_rest(lost={stream})


def test_a_partition_that_lasts_is_no_agreement(world: World) -> None:
    world.isolate("n1")
    world.increment("n0")
    with pytest.raises(AssertionError, match=r"^Q1: no agreement in 3 s"):
        demand_agreement(world, 3)
    with pytest.raises(AssertionError, match=r"^Q6: 2 nodes do not agree in 1.5 rounds"):
        demand_rounds(world, 0.2)


def test_the_rounds_allowed_grow_with_the_logarithm() -> None:
    assert rounds_max(16) == 4 * rounds_max(2) == 4 * rounds_max(1)


def test_a_suspicion_is_no_calm(world: World) -> None:
    demand_calm(world)
    world.stall("n1")
    world.run(5)
    with pytest.raises(AssertionError, match=r"^I12: n0 blames n1"):
        demand_calm(world)
    demand_calm(world, since=world.now)


def test_states_of_two_sides_merge_in_any_order(world: World) -> None:
    world.partition(["n0"], ["n1"])
    world.increment("n0")
    world.increment("n1")
    world.run(20)
    check_merging(world)


# --- traffic -------------------------------------------------------------------------------------


def test_idle_traffic_is_that_of_the_probes(world: World) -> None:
    packets, size = idle_traffic(world, 60)
    assert packets == pytest.approx(2, abs=0.1), "a ping and an ack per second and node"
    assert 30 * packets < size < 100 * packets
    assert world.captured is None


def test_traffic_may_gain_the_bytes_of_a_fingerprint_and_no_more() -> None:
    compare_idle(Traffic(2, 100), Traffic(2.05, 132))
    for costly in (Traffic(2.2, 100), Traffic(2, 150)):
        with pytest.raises(AssertionError, match=r"^Q7: "):
            compare_idle(Traffic(2, 100), costly)


# --- cost ----------------------------------------------------------------------------------------


def test_a_look_at_a_large_log_costs_what_changed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3000):
        world.increment("n0", f"counter {number}")
        world.run(0.001)
    demand_agreement(world, 10)
    checker = Checker(world)
    checker.check(full=True)
    world.increment("n0", "one more")
    read: list[int] = []
    log = type(world.node("n0").log)
    for name in ("newest_first", "by_name"):
        counted(monkeypatch, log, name, read)
    checker.check()
    assert len(read) == 1
    checker.check(full=True)
    assert len(read) > 6000


def counted(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, read: list[int]) -> None:
    """Note every register that a query gives out."""
    sound: Callable[..., list[object]] = getattr(owner, name)

    def query(*args: object, **named: object) -> list[object]:
        given = list(sound(*args, **named))
        read.extend(range(len(given)))
        return given

    monkeypatch.setattr(owner, name, query)
