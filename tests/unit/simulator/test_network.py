"""What happens to datagrams on their path: each fault, alone."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from gossipd.core import Address
from tests.simulation.faulty.link import Bursts, Constant, Uniform
from tests.simulation.faulty.network import Fate, Network, Released

A: Address = ("10.0.0.1", 1)
B: Address = ("10.0.0.2", 2)
C: Address = ("10.0.0.3", 3)
DATA = bytes(range(100))
COUNT = 20_000


def sent(network: Network, count: int = COUNT, every: float = 0.0) -> list[tuple[float, bytes]]:
    """All arrivals of some datagrams from A to B, `every` so many seconds."""
    rng = Random(1)
    arrived: list[tuple[float, bytes]] = []
    for _ in range(count):
        arrived += network.arrivals(DATA, A, B, rng)
        network.now += every
    return arrived


def test_without_faults_everything_arrives_once_whole_and_within_the_delay() -> None:
    network = Network()
    arrived = sent(network)
    assert [data for _, data in arrived] == [DATA] * COUNT
    assert all(0.0002 <= delay <= 0.002 for delay, _ in arrived)
    assert not any(network.fates.values())


def test_a_lost_packet_is_lost() -> None:
    assert sent(Network(loss=1.0)) == []


def test_loss_has_the_rate_that_it_says() -> None:
    network = Network(loss=0.3)
    arrived = sent(network)
    assert len(arrived) == pytest.approx(0.7 * COUNT, rel=0.02)
    assert network.fates[Fate.LOST] == COUNT - len(arrived)


def test_bursts_lose_the_part_that_they_say_and_lose_it_together() -> None:
    network = Network(bursts=Bursts(every=9.0, lasting=1.0, loss=0.9))
    rng = Random(1)
    lost = []
    for _ in range(5 * COUNT):
        lost.append(not network.arrivals(DATA, A, B, rng))
        network.now += 0.05
    assert sum(lost) / len(lost) == pytest.approx(0.09, rel=0.1)
    after_a_loss = [now for before, now in pairwise(lost) if before]
    assert sum(after_a_loss) / len(after_a_loss) > 0.8
    assert network.fates[Fate.LOST_IN_BURST] == sum(lost)


def test_each_path_has_bursts_of_its_own() -> None:
    network = Network(bursts=Bursts(every=1.0, lasting=1.0))
    rng = Random(1)
    differing = 0
    for _ in range(1000):
        there = bool(network.arrivals(DATA, A, B, rng))
        back = bool(network.arrivals(DATA, B, A, rng))
        differing += there != back
        network.now += 0.5
    assert differing > 300


def test_a_duplicated_packet_arrives_twice() -> None:
    network = Network(duplication=0.25)
    assert len(sent(network)) == pytest.approx(1.25 * COUNT, rel=0.02)
    assert len(sent(Network(duplication=1.0), 1)) == 2


def test_uniform_delays_let_datagrams_overtake_each_other() -> None:
    delays = [at + delay for at, (delay, _) in enumerate(sent(Network(latency=Uniform(1.0, 9.0))))]
    assert delays != sorted(delays)


def test_a_late_packet_comes_later_than_the_latency_allows() -> None:
    network = Network(latency=Constant(0.01), late=0.1, late_by=2.0)
    late = [delay for delay, _ in sent(network) if delay > 0.01]
    assert len(late) == pytest.approx(0.1 * COUNT, rel=0.1)
    assert 1.9 < max(late) <= 2.01
    assert network.fates[Fate.LATE] == len(late)


def test_truncation_cuts_the_end_off() -> None:
    for _, data in sent(Network(truncation=1.0), 1000):
        assert len(data) < len(DATA)
        assert DATA.startswith(data)


def test_a_flip_changes_exactly_one_bit() -> None:
    for _, data in sent(Network(bit_flips=1.0), 1000):
        differing = int.from_bytes(data, "big") ^ int.from_bytes(DATA, "big")
        assert differing.bit_count() == 1
        assert len(data) == len(DATA)


@pytest.mark.parametrize(("size_max", "arrives"), [(100, True), (99, False)])
def test_larger_datagrams_vanish(size_max: int, arrives: bool) -> None:
    network = Network(size_max=size_max)
    assert bool(sent(network, 1)) is arrives
    assert network.fates[Fate.TOO_LARGE] == (not arrives)


def test_a_link_of_its_own_differs_from_the_network_in_one_direction_only() -> None:
    network = Network(latency=Constant(0.01))
    network.link(A, B).size_max = 50
    rng = Random(1)
    assert network.arrivals(DATA, A, B, rng) == []
    assert network.arrivals(DATA, B, A, rng) == [(0.01, DATA)]
    assert network.arrivals(DATA[:50], A, B, rng) == [(0.01, DATA[:50])]


def test_a_link_of_its_own_begins_as_a_copy_and_keeps_its_figures() -> None:
    network = Network(latency=Constant(0.01), loss=1.0)
    link = network.link(A, B)
    assert (link.latency, link.loss) == (Constant(0.01), 1.0)
    network.loss = 0.0
    assert network.link(A, B) is link
    assert sent(network, 10) == []


def test_a_cut_is_a_cut_in_one_direction_until_the_heal() -> None:
    network = Network()
    network.cut(A, B)
    rng = Random(1)
    assert network.arrivals(DATA, A, B, rng) == []
    assert network.arrivals(DATA, B, A, rng)
    assert network.arrivals(DATA, A, C, rng)
    assert network.fates[Fate.CUT] == 1
    network.heal()
    assert network.arrivals(DATA, A, B, rng)


def test_a_clogged_path_holds_back_until_it_is_unclogged() -> None:
    network = Network(latency=Constant(0.01))
    network.clog(A, B)
    rng = Random(1)
    assert network.arrivals(DATA, A, B, rng) == []
    assert network.arrivals(b"second", A, B, rng) == []
    assert network.arrivals(DATA, B, A, rng)
    assert network.released == []
    network.unclog(A, B)
    assert network.released == [Released(0.01, DATA, A, B), Released(0.01, b"second", A, B)]
    assert network.arrivals(DATA, A, B, rng)


def test_clogs_come_and_go_one_by_one() -> None:
    network = Network()
    network.clog(A, B)
    network.clog(A, C)
    network.unclog(A, B)
    network.unclog(B, C)  # was none
    rng = Random(1)
    assert network.arrivals(DATA, A, B, rng)
    assert network.arrivals(DATA, A, C, rng) == []


def test_clogging_twice_keeps_what_is_held_back() -> None:
    network = Network()
    network.clog(A, B)
    network.arrivals(DATA, A, B, Random(1))
    network.clog(A, B)
    network.heal()
    assert [released.data for released in network.released] == [DATA]


def test_what_is_lost_is_not_held_back_either() -> None:
    network = Network(loss=1.0)
    network.clog(A, B)
    assert sent(network, 10) == []
    network.heal()
    assert network.released == []
