"""Random lies of a peer that has joined, and by name what they have found."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from gossipd.core import (
    Accepted,
    Duplicate,
    KeyRecord,
    NameLost,
    Settings,
    Status,
    source_stream,
)
from gossipd.core.log.amends import Amends
from gossipd.core.log.keys import EVENTS_MAX
from gossipd.core.log.learning import Learning
from gossipd.core.log.writer import Writer
from gossipd.core.swim.own_view import OwnView
from gossipd.core.swim.plausible import GENERATION_SPAN, Plausible
from gossipd.core.wire.messages import Ack, Gossip, MemberView, Ping, Shown
from gossipd.core.wire.records import Group
from tests.effort import SEED, effort, few
from tests.fuzz.attacks.hostile import Hostile, cluster, view_of
from tests.fuzz.attacks.liar import Liar
from tests.simulation.faulty.world import EPOCH, World

from .clients import time_key
from .lies import Lies, run_seed
from .tables import tables

SEEDS = effort(1, 200)
LIES = effort(250, 10_000)
BASE = 1000 * (SEED or 0)
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("seed", range(BASE, BASE + SEEDS))
def test_a_liar_claims_and_changes_no_more_than_that(seed: int) -> None:
    assert run_seed(seed, LIES) == ""


def test_the_program_tells_of_each_seed() -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"{__package__}.lies", "--seeds", "1", "--lies", "20"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "0 of 1 seeds failed"


# --- the checks themselves -----------------------------------------------------------------------


@pytest.fixture
def lies() -> Lies:
    """A seed that has counted something, and lied a little."""
    found = Lies(7, 20)
    found.run()
    return found


def test_what_nobody_has_made_or_said_is_found(lies: Lies) -> None:
    node = lies.world.node("n0")
    stream = node.log.streams[0]
    node.log.merge(stream, [("out of nowhere", 7, 7)])
    with pytest.raises(AssertionError, match="holds what nobody has said"):
        lies.check_all()


def test_a_node_that_writes_on_under_a_stream_that_others_have_touched_is_found(
    lies: Lies,
) -> None:
    node = lies.world.node("n0")
    assert node.stream is not None
    node.log.merge(node.stream, [("default", 2**40, 7)])
    with pytest.raises(AssertionError, match="is not its own"):
        lies.check_now()


def test_a_key_record_that_nobody_has_made_or_said_is_found(lies: Lies) -> None:
    node = lies.world.node("n0")
    stream = next(s for s in node.log.streams if s != node.stream)
    node.log.merge_keys(stream, [KeyRecord(bytes(16), 2**40, "c", 1, 0)], lies.world.now)
    with pytest.raises(AssertionError, match="holds what nobody has said"):
        lies.check_all()


def test_an_acknowledged_increment_that_is_missing_is_found(lies: Lies) -> None:
    made = lies.world.made[0]
    lies.world.crash(made.host)
    lies.world.hosts[made.host].disk = None
    lies.world.start(made.host)
    with pytest.raises(AssertionError, match="has lost"):
        lies.check_all()


def test_a_table_that_grows_is_found_wherever_it_is(
    lies: Lies, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = lies.world.node("n0")
    sizes = tables(node)
    assert {"state.members.entries", "state.log.streams", "state.amplification.earned"} <= set(
        sizes
    )
    assert sizes["state.members.entries"] == len(node.members)
    monkeypatch.setattr("tests.simulation.lies.SMALL", 0)
    with pytest.raises(AssertionError, match="may have 0"):
        lies.check_all()


def test_nodes_that_do_not_agree_are_found(lies: Lies, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.simulation.lies.SETTLED_WITHIN", 2.0)
    lies.world.isolate("n0")
    lies.world.increment("n0")
    with pytest.raises(AssertionError, match="no agreement"):
        lies.settle()


def test_a_node_that_has_ended_is_found(lies: Lies) -> None:
    lies.world.crash("n0")
    with pytest.raises(AssertionError, match="n0 has ended"):
        lies.check_now()


def nothing(*_: object, **__: object) -> None:
    """What a broken core does."""


@pytest.mark.parametrize(
    ("part", "rule", "broken"),
    few(
        [
            (Writer, "heard_more_of", nothing),
            (Learning, "_is_shown", lambda *_: True),
            (Plausible, "is_absurd", lambda *_: False),
            (OwnView, "_rise_above", nothing),
            (Amends, "_owed", lambda *_: 0),
        ],
        2,
    ),
    ids=["streams are kept", "claims unshown", "any generation", "nobody rises", "no amends"],
)
def test_a_core_without_one_of_its_rules_does_not_pass(
    part: type, rule: str, broken: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.simulation.lies.SETTLED_WITHIN", 60.0)
    monkeypatch.setattr(part, rule, broken)
    assert any(run_seed(seed, 300) for seed in range(2))


# --- what they have found ------------------------------------------------------------------------


def joined(seed: int = 1) -> tuple[World, Hostile]:
    """A cluster with a hostile member."""
    world = cluster(seed)
    liar = Hostile(world)
    for name in world.running:
        assert liar.join(name)
    world.run(0.2)
    return world, liar


def agree(world: World, within: float = 90.0) -> None:
    """The liar is silent: all that run agree."""
    assert world.run_until_settled(within)


def test_false_tags_of_a_member_go_with_its_next_word() -> None:
    """Who heard it say that it lives kept the tags, which ranked above its own view: it rose above
    them again and again, and tables were never equal."""
    world, liar = joined()
    own = view_of(world, "n1")
    lie = own._replace(incarnation=own.incarnation + 7, tags=(("zone", "nowhere"),))
    liar.say("n0", Gossip(), [lie], speaker=view_of(world, "n2"))
    agree(world)
    assert {node.member("n1") for node in world.running.values()} == {view_of(world, "n1")}
    assert view_of(world, "n1").incarnation < own.incarnation + 20
    assert not view_of(world, "n1").tags


def test_a_key_in_a_clients_stream_moves_no_version() -> None:
    """A source has one register and no keys: its version was that of a false key, which nobody
    else could take over without a register that shows it."""
    world, liar = joined()
    world.put("n0", "client", "owned", 5, 50)
    world.run(0.5)
    stream = source_stream("client", "owned")
    lie = KeyRecord(b"\x11" * 16, 2**40, "owned", 1, 0)
    for name in ("n0", "n1"):
        liar.say(name, Gossip(), groups=[Group(stream, 0, 0, (), (lie,))])
    world.run(0.5)
    world.put("n0", "client", "owned", 6, 60)
    agree(world)
    assert {node.log.version(stream) for node in world.running.values()} == {6}
    assert {node.log.value("owned") for node in world.running.values()} == {60}


def test_events_of_one_key_that_versions_cover_do_not_keep_out_the_others() -> None:
    """One node holds as many as a key may name below versions, which nobody else has to fetch: so
    it refused for good what the others hold above theirs."""
    world, liar = joined()
    covered, above = b"\0" * 9 + b"\1", b"\1" * 10
    registers = (("c", EVENTS_MAX + 1, 1),)
    keys = tuple(KeyRecord(b"\x22" * 16, seq, "c", 1, 0) for seq in range(1, EVENTS_MAX + 1))
    for name in ("n1", "n2"):
        liar.say(name, Gossip(), groups=[Group(covered, 0, EVENTS_MAX + 1, registers)])
    world.isolate("n0")
    liar.say("n0", Gossip(), groups=[Group(covered, 0, EVENTS_MAX + 1, registers, keys)])
    lie = KeyRecord(b"\x22" * 16, 9, "c", 1, 0)
    liar.say("n1", Gossip(), groups=[Group(above, 0, 0, (("c", 9, 9),), (lie,))])
    world.run(0.5)
    world.network.heal()
    agree(world)
    assert all(node.log.keys.newest_at_or_below(above, 9) == 9 for node in world.running.values())
    assert all(len(node.events(b"\x22" * 16)) <= EVENTS_MAX for node in world.running.values())


def test_who_has_raised_itself_beyond_belief_is_forgotten_when_it_is_gone() -> None:
    """One node took its own word for it, and what that told the others they could not believe."""
    world, liar = joined()
    liar.generation += 2 * GENERATION_SPAN - 1000
    assert liar.join("n0")
    for _ in range(20):
        world.run(0.05)
        for by, ping in liar.pings():
            liar.say(by, Ack(ping.nonce, Shown(0, 0, True)))
    held = world.node("n0").member("liar")
    assert isinstance(held, MemberView)
    assert held.generation == liar.generation
    agree(world)
    assert world.node("n0").member("liar") in (None, world.node("n1").member("liar"))


def test_a_live_member_that_has_raised_itself_beyond_belief_stays() -> None:
    world, liar = joined()
    liar.generation += 2 * GENERATION_SPAN - 1000
    for name in world.running:
        assert liar.join(name)
    until = world.now + 130
    while world.now < until:
        world.run(0.05)
        for by, ping in liar.pings():
            assert isinstance(ping, Ping)
            liar.say(by, Ack(ping.nonce, Shown(0, 0, True)))
    held = [node.member("liar") for node in world.running.values()]
    assert all(view is not None and view.status is Status.ALIVE for view in held)


def test_a_twin_of_the_liars_own_ends_a_node_in_order_and_it_comes_back_after_it() -> None:
    """All that a liar can do to end a node: hold its name at an address of its own, with a larger
    claim. Until datagrams are sealed nothing tells it from a twin. Nothing is lost by it."""
    world = World(1, disks=True)
    world.cluster(3)
    assert world.run_until_settled(10)
    world.run(6)
    for number in range(20):
        world.increment("n0", f"c{number % 3}", number + 1)
    liar = Liar(world, Random(1))
    liar.take_name("n0", 20)
    lost = [effect for _, host, effect in world.effects if isinstance(effect, NameLost)]
    assert lost
    assert "n0" not in world.running
    world.run(20)
    world.start("n0")
    agree(world)
    for node in world.running.values():
        assert sum(node.log.values.values()) == sum(range(21))
        for made in world.made:
            assert node.log.register(made.stream, made.counter)[0] >= made.seq


@pytest.mark.parametrize("disks", [True, False])
def test_a_key_from_years_ahead_refuses_nobody_s_and_counts_nothing_twice(disks: bool) -> None:
    """Its record leaves memory as all do. The horizon is above all keys then, and believed up to
    this node's clock: where there is a disk it is asked."""
    world = World(1, Settings(key_window=30.0, key_retention=60.0), disks=disks)
    world.cluster(3)
    assert world.run_until_settled(10)
    liar = Hostile(world)
    ahead = int(1000 * (EPOCH + world.now + 10**8)).to_bytes(6, "big") + b"\x70" + bytes(9)
    lie = Group(b"\0" * 9 + b"\1", 0, 1, (("c", 1, 1),), (KeyRecord(ahead, 1, "c", 1, 290),))
    for name in world.running:
        assert liar.join(name)
        liar.say(name, Gossip(), groups=[lie])
    world.run(150)
    assert not any(node.log.keys for node in world.running.values()), "it has left memory"
    key = time_key(Random(1), world.now)
    asks = world.node("n0").is_doubtful(key, EPOCH + world.now)
    assert asks is disks, "the horizon is above it"
    assert isinstance(world.increment("n0", "hits", key=key), Accepted)
    world.run(1)
    for name in world.running:
        assert isinstance(world.increment(name, "hits", key=key), Duplicate)
    agree(world)
    assert {node.log.value("hits") for node in world.running.values()} == {1}
