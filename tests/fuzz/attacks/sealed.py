"""Hostile datagrams at a real node that has a secret, made from what it was really sent:

    python -m tests.fuzz.attacks.sealed [--packets 1000000] [--each 90000]

Damaged, cut, sent again and sent back; of another cluster, without a secret, with another one;
under salts that nobody has used; noise. Then the node restarts, so that it does not know any more
what it has had, and all that it was ever sent comes again.

None of it changes what the node holds, all of it is counted by its reason, and what it costs is
told: CPU of the whole process, and of the frame with the core alone; with `--each` of so many
datagrams of each kind, too. All goes in parts, of which the median counts: where others use the
machine, some parts are dear for that alone.
"""

from __future__ import annotations

import itertools
import os
import socket
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from random import Random
from statistics import median
from typing import NamedTuple

from gossipd.core import Address, Drop, Dropped, MemberView, Node, Settings, Status, TagFrame
from gossipd.sealing.frame import SealedFrame
from gossipd.sealing.keyring import Keyring, Secret
from tests.e2e.cluster import Cluster, agree, counted
from tests.e2e.node import Node as Process
from tests.e2e.node import until
from tests.e2e.relay import Relay

CLUSTER = "gossipd"
PACKETS = 1_000_000
POOL = 30_000
"""Different ones; they come again and again."""

AT_ONCE = 48
"""Datagrams that are sent before it is asked whether they were taken in: a stranger has room for
so many."""

MICROSECONDS_MAX = 15.0
"""CPU of the process for one that is refused, in the median part."""

CAPTURED = 150
"""Datagrams to be captured in each direction."""


class Captured(NamedTuple):
    """Sealed traffic of one node."""

    to: list[bytes]
    by: list[bytes]


Kind = Callable[[Captured, Random], bytes]


def hostile(secret: Secret) -> dict[str, tuple[Drop, Kind]]:
    """Each kind, and why it is not used."""
    ring = Keyring((secret,))
    foreign = SealedFrame("another", ring)
    unsealed = TagFrame(CLUSTER)
    unknown = SealedFrame(CLUSTER, Keyring((Secret.fresh(),)))

    def flipped(captured: Captured, rng: Random) -> bytes:
        data = bytearray(rng.choice(captured.to))
        data[rng.randrange(12, len(data))] ^= 1 << rng.randrange(8)
        return bytes(data)

    def salted(captured: Captured, rng: Random) -> bytes:
        data = rng.choice(captured.to)
        return data[:12] + rng.randbytes(20) + data[32:]

    def renumbered(captured: Captured, rng: Random) -> bytes:
        data = rng.choice(captured.to)
        return data[:28] + rng.randbytes(4) + data[32:]

    return {
        "flipped": (Drop.FORGED, flipped),
        "under another salt": (Drop.FORGED, salted),
        "as another one": (Drop.FORGED, renumbered),
        "truncated": (Drop.FORGED, lambda c, r: r.choice(c.to)[: -r.randrange(1, 30)]),
        "replayed": (Drop.REPLAYED, lambda c, r: r.choice(c.to)),
        "reflected": (Drop.REPLAYED, lambda c, r: r.choice(c.by)),
        "cross-cluster": (Drop.FOREIGN, lambda c, r: foreign.close(r.choice(c.to)[48:300])),
        "unsealed": (Drop.UNSEALED, lambda c, r: unsealed.close(r.choice(c.to)[48:300])),
        "unknown secret": (
            Drop.UNKNOWN_SECRET,
            lambda c, r: unknown.close(r.choice(c.to)[48:300]),
        ),
        "garbage": (Drop.MAGIC, lambda c, r: b"x" + r.randbytes(r.randrange(40, 1200))),
    }


def pool(captured: Captured, secret: Secret, size: int, rng: Random) -> list[bytes]:
    """Some of each kind."""
    kinds = [make for _, make in hostile(secret).values()]
    return [make(captured, rng) for make in itertools.islice(itertools.cycle(kinds), size)]


# --- the core with the frame, alone --------------------------------------------------------------


def alone(datagrams: Sequence[bytes], secret: Secret, first: Sequence[bytes]) -> float:
    """Microseconds of CPU for each of them in a core that has had those that were real."""
    own = MemberView("n1", ("127.0.0.1", 7946), 1, 0, Status.ALIVE)
    frame = SealedFrame(CLUSTER, Keyring((secret,)))
    node = Node(own, Settings(), frame, Random(1), 0.0)
    node.start(True, 0.0)
    for data in first:
        node.receive_datagram(data, ("127.0.0.2", 7946), 0.0)
    before = (node.members_fingerprint, node.log.fingerprint, node.live_count)
    began = time.process_time()
    effects = [node.receive_datagram(data, ("127.0.0.2", 7946), 0.0) for data in datagrams]
    spent = time.process_time() - began
    assert all(isinstance(effect, Dropped) for each in effects for effect in each)
    assert before == (node.members_fingerprint, node.log.fingerprint, node.live_count)
    return 1e6 * spent / len(datagrams)


# --- a real node ---------------------------------------------------------------------------------


def state_of(node: Process) -> dict[str, object]:
    """All that clients see of what a node holds, but for what moves by itself."""
    status = node.status()
    shown = ("address", "state", "generation", "incarnation", "tags")
    members = {row["name"]: {key: row[key] for key in shown} for row in node.get("/members")}
    kept = ("fingerprint", "members", "streams", "registers", "counters", "keys", "ready")
    held = {key: status[key] for key in kept}
    return {**held, "table": members, "counts": node.get("/counters")}


class Outcome(NamedTuple):
    """What became of them at a real node."""

    packets: int
    dropped: Counter[str]
    """By reason."""
    opened: int
    """How many of those that came again were opened after the restart, once each."""
    changed: list[str]
    """What is not as it was."""
    parts: list[float]
    """Microseconds of CPU of the process for each, part by part."""
    core: float
    """The part of the frame and the core, measured by themselves."""
    kinds: dict[str, float]
    """Microseconds for each of a kind, if that was asked for."""

    @property
    def microseconds(self) -> float:
        return median(self.parts)

    @property
    def uncounted(self) -> int:
        """Those that are in no sum."""
        return self.packets - sum(self.dropped.values())

    def __str__(self) -> str:
        reasons = ", ".join(f"{number:,} {why}" for why, number in sorted(self.dropped.items()))
        return (
            f"{self.packets:,} datagrams: {reasons}; {self.uncounted:,} uncounted; "
            f"{self.opened:,} more opened after a restart; changed: {self.changed or 'nothing'}; "
            f"CPU each: process {self.microseconds:.1f} us, median of {len(self.parts)} parts of "
            f"{min(self.parts):.1f} to {max(self.parts):.1f}; frame and core {self.core:.1f} us"
            + "".join(f"\n  {kind}: {each:.1f} us" for kind, each in self.kinds.items())
        )


class Sender:
    """Somebody who sends as fast as a node takes it in."""

    def __init__(self, to: Address, host: str, stack: ExitStack) -> None:
        self._to = to
        self._socket = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self._socket.bind((host, 0))
        self._socket.settimeout(60)

    def send(self, datagrams: Sequence[bytes]) -> None:
        """All of them."""
        for first in range(0, len(datagrams), AT_ONCE):
            for data in datagrams[first : first + AT_ONCE]:
                self._socket.sendto(data, self._to)
            self._socket.sendto(b"ping", self._to)
            while self._socket.recv(2000) != b"pong":
                pass  # an answer to what was opened


def _talk(nodes: Sequence[Process], relay: Relay) -> Captured:
    """Two nodes count; what they have said to each other since they began."""
    relay.between(*nodes)
    for side, node in enumerate(nodes):
        joins = ("--join", relay.front(0)) if side else ()
        node.start("--advertise", relay.front(side), *joins)
    agree(nodes, within=30)
    counts: Counter[str] = Counter()
    while min(len(relay.captured(side)) for side in range(2)) < CAPTURED:
        counter = f"captured-{counts.total() % 9}"
        nodes[counts.total() % 2].increment(counter)
        counts[counter] += 1
    for counter, count in counts.items():
        counted(nodes, count, 20, counter)
    return Captured(relay.captured(0), relay.captured(1))


def _changes(when: str, before: dict[str, object], after: dict[str, object]) -> list[str]:
    return [
        f"{when}: {key} is {after[key]}, was {before[key]}"
        for key in before
        if before[key] != after[key]
    ]


def _idle(node: Process) -> float:
    """CPU that it uses by itself, in a second."""
    began, cpu = time.monotonic(), node.cpu
    until(lambda: time.monotonic() - began > 1, 5, "a second has passed")
    return (node.cpu - cpu) / (time.monotonic() - began)


def _costs(node: Process, sender: Sender, datagrams: Sequence[bytes], packets: int) -> list[float]:
    """Microseconds of CPU for each, in parts, of as many as are wanted: they come again."""
    idle, found = _idle(node), []
    for first in range(0, packets, len(datagrams)):
        part = datagrams[: packets - first]
        began, cpu = time.monotonic(), node.cpu
        sender.send(part)
        used = node.cpu - cpu - idle * (time.monotonic() - began)
        found.append(1e6 * used / len(part))
    return found


def _by_kind(
    node: Process, sender: Sender, made: list[bytes], kinds: list[str], each: int
) -> dict[str, float]:
    """The median of so many of each kind, which take turns in what was made."""
    if not each:
        return {}
    ones = [made[place :: len(kinds)] * len(kinds) for place in range(len(kinds))]
    return {
        kind: median(_costs(node, sender, of, each)) for kind, of in zip(kinds, ones, strict=True)
    }


def _dropped(node: Process, secret: Secret) -> Counter[str]:
    """What the frame has refused, by reason."""
    reasons = {drop.name.lower() for drop, _ in hostile(secret).values()}
    told = node.status()["dropped"]
    return Counter({reason: told.get(reason, 0) for reason in reasons})


def run(packets: int = PACKETS, each: int = 0, seed: int = 1) -> Outcome:
    """All of it, at one of two nodes; `each`: so many of each kind besides."""
    secret = Secret.fresh()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        cluster = stack.enter_context(Cluster(directory, secret))
        fronts = (cluster.address() + "1", cluster.address() + "2")
        relay = stack.enter_context(Relay(fronts, loss=0.0, doubled=0.0, seed=seed))
        nodes = [cluster.add() for _ in fronts]
        captured = _talk(nodes, relay)
        node = nodes[0]
        sender = Sender((node.host, node.port), cluster.address() + "9", stack)
        # What is its own has not come yet, nor what was sent before it listened.
        sender.send([*captured.to, *captured.by])
        made = pool(captured, secret, min(packets, POOL), Random(seed))
        before, dropped = state_of(node), _dropped(node, secret)
        parts = _costs(node, sender, made, packets)
        reasons = _dropped(node, secret) - dropped
        by_kind = _by_kind(node, sender, made, list(hostile(secret)), each)
        changed = _changes("flooded", before, state_of(node))
        opened, later = _again_after_a_restart(nodes, relay, sender, captured, secret)
    core = alone(made, secret, [*captured.to, *captured.by])
    return Outcome(packets, reasons, opened, changed + later, parts, core, by_kind)


def _again_after_a_restart(
    nodes: Sequence[Process], relay: Relay, sender: Sender, captured: Captured, secret: Secret
) -> tuple[int, list[str]]:
    """The node knows nothing any more of what it has had: all of it comes again, twice."""
    node, counts = nodes[0], nodes[0].get("/counters")
    node.kill()
    node.start("--advertise", relay.front(0))
    agree(nodes, within=30)
    until(lambda: node.get("/counters") == counts, 20, "it counts as before")
    before, dropped = state_of(node), _dropped(node, secret)
    again = captured.to + captured.by
    sender.send(again)
    sender.send(again)
    refused = (_dropped(node, secret) - dropped).total()
    return 2 * len(again) - refused, _changes("restarted", before, state_of(node))


def main(arguments: list[str]) -> int:
    """The program."""
    parser = ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--packets", type=int, default=PACKETS)
    parser.add_argument("--each", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args(arguments)
    load = os.getloadavg()[0]
    found = run(wanted.packets, wanted.each, wanted.seed)
    print(f"{found}; load before it {load:.1f}")
    well = not (found.changed or found.uncounted) and found.microseconds < MICROSECONDS_MAX
    return int(not well)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
