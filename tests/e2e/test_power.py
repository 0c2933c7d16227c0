"""Power cuts and failing disks below SQLite, with real processes."""

from __future__ import annotations

import pytest

from tests.e2e import crashes
from tests.e2e.cluster import Cluster, see
from tests.e2e.node import until
from tests.power.disk import Failing
from tests.power.vfs import why_none

pytestmark = pytest.mark.skipif(bool(why_none()), reason=why_none())

ROUNDS = 5


def test_power_cuts_under_load_lose_nothing_and_count_nothing_twice(cluster: Cluster) -> None:
    nodes, cuts = [cluster.add() for _ in range(3)], crashes.PowerCuts(1)
    for node in nodes:
        cuts.put(node)
    check(crashes.rounds(cluster.form(nodes), ROUNDS, seed=1, die=cuts.cut))
    print(cuts.took_back)


@pytest.mark.parametrize(("durability", "kept"), [("full", 20), ("normal", 0)])
def test_a_lone_node_keeps_what_it_counted_from_power_cuts_if_durability_is_full(
    cluster: Cluster, durability: str, kept: int
) -> None:
    node = cluster.add()
    disk = crashes.PowerCuts(1).put(node)
    cluster.form([node], "--durability", durability)
    for _ in range(20):
        node.increment()
    node.kill()
    took_back = disk.cut()
    assert took_back or durability == "full"
    cluster.form([node], "--durability", durability)
    assert node.count() == kept


@pytest.mark.parametrize("what", ["sync", "write"])
def test_a_disk_that_fails_under_load_ends_its_node_and_nothing_is_lost(
    cluster: Cluster, what: Failing
) -> None:
    nodes = [cluster.add() for _ in range(3)]
    peers, victim = nodes[:2], nodes[2]
    disk = crashes.PowerCuts(1).put(victim)
    cluster.form(nodes)
    with crashes.load(nodes) as clients:
        until(lambda: victim.count() > 100, 20, "it counts")
        disk.fail(what)
        assert victim.ended() == 1
        see(peers, victim.name, "left", within=3)
        reached = peers[0].count()
        until(lambda: peers[0].count() > reached + 100, 20, "its peers go on counting")
    ledgers = [client.ledger for client in clients]
    assert sum(ledger.doubtful for ledger in ledgers) > 0
    check(crashes.settled(peers, ledgers))
    victim.program = ("gossipd",)
    victim.start(join=peers)
    check(crashes.settled(nodes, ledgers))


def check(outcome: crashes.Outcome) -> None:
    """Nothing lost, nothing counted twice."""
    print(outcome)
    assert outcome.acknowledged > 100
    assert outcome.lost == 0
    assert 0 <= outcome.beyond <= outcome.unanswered
