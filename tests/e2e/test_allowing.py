"""`--allow`: who is not in the list is not heard, and is sent nothing, whatever is said of it."""

from __future__ import annotations

import signal
from contextlib import ExitStack, closing
from pathlib import Path

from gossipd.core import MemberView, Status
from gossipd.core.wire.messages import Gossip
from tests.e2e.cluster import Cluster, agree, see
from tests.e2e.node import Node, until
from tests.fuzz.attacks.costly import Costly
from tests.fuzz.attacks.real import Victim, datagram, place

GHOST = "g0"


def allow(nodes: list[Node], files: list[Path], networks: list[str]) -> None:
    """A new list for all of them at once."""
    for node, file in zip(nodes, files, strict=True):
        file.write_text(f"allow = {networks}\n")
        node.send(signal.SIGHUP)
    for node in nodes:
        node.says("reload: read the configuration again: 1 changed")


def refused(node: Node) -> int:
    """How often it wanted to send to who is not in its list."""
    return int(node.status()["udp"]["refused"].get("EPERM", 0))


def dropped(node: Node) -> int:
    return int(node.status()["dropped"].get("not_allowed", 0))


def test_only_those_in_the_list_are_heard_and_spoken_to_and_sighup_changes_it(
    cluster: Cluster, tmp_path: Path
) -> None:
    nodes = [cluster.add() for _ in range(3)]
    net = cluster.address().rpartition(".")[0]
    files = [tmp_path / f"{node.name}.toml" for node in nodes]
    inside, outside = f"{net}.0/28", f"{net}.200"
    for node, file in zip(nodes, files, strict=True):
        file.write_text(f"allow = ['{inside}']\n")
        node.start("--config", str(file), join=nodes[:1] if node is not nodes[0] else [])
    agree(nodes, within=20)
    # Somebody in the list tells of a live member outside.
    liar = Costly(place(nodes[0]), f"{net}.9")
    with ExitStack() as stack, closing(liar.socket):
        victim = Victim(outside, stack)
        liar.join()
        speaker = MemberView("costly", liar.socket.getsockname(), liar.generation, 0, Status.ALIVE)

        def wants_to_know() -> bool:
            liar.behave(0.05)
            for node in nodes:
                told = datagram(speaker, Gossip(), victim.ghosts)
                liar.socket.sendto(told, place(node))
            return all(map(refused, nodes))

        until(wants_to_know, 15, "they want to know who is there")
        assert list(victim.received()) == []
        assert not any(GHOST in node.states() for node in nodes)
    # Somebody outside wants to join.
    late = cluster.add(host=outside)
    late.start(join=nodes[:1])
    until(lambda: dropped(nodes[0]) > 2, 10, "what comes from outside is dropped")
    told = nodes[0].log.count("dropped a datagram from")
    assert (told, list(late.states())) == (1, [late.name])
    nodes[0].says(f"dropped a datagram from {late.address}: from an address that allow does not")
    # The list grows and shrinks.
    allow(nodes, files, [inside, outside])
    until(lambda: all(late.name in node.states() for node in nodes), 15, "it has joined")
    see([*nodes, late], late.name, "alive", within=15)
    allow(nodes, files, [inside])
    see(nodes, late.name, "failed", within=20)
    fingerprints = {node.status()["fingerprint"] for node in nodes}
    assert (len(fingerprints), nodes[0].increment()) == (1, 1)
