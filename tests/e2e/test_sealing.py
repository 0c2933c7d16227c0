"""Nodes with secrets: who has none of them is kept out, and both sides say so."""

from __future__ import annotations

import json
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from gossipd.sealing.keyring import Secret
from tests.e2e.bounds import blames_nobody, report
from tests.e2e.cluster import Cluster, agree, counted, live
from tests.e2e.node import Node, gossipd, until
from tests.e2e.test_rolling import Clients

REASONS = {"sealed", "unsealed", "unknown_secret", "forged", "replayed"}
"""Why a frame refuses a datagram of this cluster."""


def write(path: Path, secrets: Sequence[Secret]) -> None:
    """These secrets, in a file of a mode that does."""
    path.touch(0o600)
    path.write_text("".join(f"{secret.text}\n" for secret in secrets))


def keyring(directory: Path, *secrets: Secret) -> str:
    """A file of these secrets."""
    path = directory / f"keyring{len(list(directory.glob('keyring*')))}"
    write(path, secrets)
    return str(path)


def plain_answer(node: Node, question: bytes) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.connect((node.host, node.port))
        sock.send(question)
        return sock.recv(2000)


def test_nodes_with_a_secret_count_together_and_all_others_are_kept_out(
    cluster: Cluster, tmp_path: Path
) -> None:
    secret, other = (Secret.parse(gossipd("keygen").stdout.strip()) for _ in range(2))
    file = keyring(tmp_path, secret)
    nodes = cluster.start(2, "--keyring", file)
    inside = cluster.add()
    inside.start(join=nodes[:1], GOSSIPD_SECRET=secret.text)
    nodes.append(inside)
    agree(nodes, within=20)
    without, wrong = cluster.add(), cluster.add()
    without.start("--ready-after", "0.5", join=nodes[:1])
    wrong.start("--keyring", keyring(tmp_path, other), "--ready-after", "0.5", join=nodes[:1])
    nodes[0].says("not sealed, and this node has a secret")
    nodes[0].says("sealed with a secret that this node does not have")
    nodes[1].increment(by=3)
    counted(nodes, 3, within=10)
    for stranger in (without, wrong):
        assert set(live(stranger)) == {stranger.name}
        until(lambda: stranger.count() == 0, 20, "it is ready, alone")  # noqa: B023
    assert set(live(nodes[0])) == {node.name for node in nodes}
    dropped = nodes[0].status()["dropped"]
    assert dropped["unsealed"] > 0 < dropped["unknown_secret"]
    nodes[0].says(f"seals={secret.fingerprint}")
    assert not any(secret.text in node.log or other.text in node.log for node in cluster.nodes)
    # That a packet gets through is told to all, the version only by who has no secret.
    assert plain_answer(nodes[0], b"ping\n") == b"pong\n"
    assert plain_answer(without, b"ping w0rd".ljust(60)).startswith(b"pong w0rd")
    before = nodes[0].status()["dropped"].get("magic", 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"ping w0rd".ljust(60), (nodes[0].host, nodes[0].port))
    until(lambda: nodes[0].status()["dropped"].get("magic", 0) > before, 10, "it is no question")


@pytest.mark.parametrize(
    ("mode", "lines", "said"),
    [
        (0o604, "", "others may use it (mode 0604); run: chmod 600"),
        (0o600, "# empty\n", "there is no secret in it"),
        (0o600, "\nhunter2\n", ":2: expected the base64 of 32 bytes, as gossipd keygen gives"),
    ],
)
def test_a_node_does_not_start_with_a_bad_keyring(
    cluster: Cluster, tmp_path: Path, mode: int, lines: str, said: str
) -> None:
    path = tmp_path / "keyring"
    path.write_text(lines)
    path.chmod(mode)
    node = cluster.add()
    node.start("--keyring", str(path))
    assert node.ended() == 1
    assert node.log.startswith(f"gossipd: {path}:")
    assert said in node.log
    assert "hunter2" not in node.log


class Member:
    """A node with a file of options and a keyring, which it reads again when it is told to."""

    def __init__(self, node: Node, directory: Path) -> None:
        self.node = node
        self.keyring = directory / f"{node.name}.keyring"
        self.config = directory / f"{node.name}.toml"
        self.options()

    def options(self, sealing: str | None = None) -> None:
        """What its file says from now on."""
        lines = ["profile = 'local'"]
        if self.keyring.exists():
            lines.append(f"keyring = '{self.keyring}'")
        if sealing is not None:
            lines.append(f"sealing = '{sealing}'")
        self.config.write_text("\n".join(lines))

    def reload(self, mode: str, seals: str, *opens: str) -> None:
        """Have it read again, until it seals so."""
        wanted = {"mode": mode, "seals": seals, "opens": [*opens], "from": str(self.keyring)}
        self.node.send(signal.SIGHUP)
        until(lambda: self.node.status()["sealing"] == wanted, 20, f"it is sealed: {wanted}")

    def keys(self, *arguments: str, given: str = "") -> str:
        """What `gossipd keys` says beside it."""
        done = self.node.cli("keys", *arguments, given=given)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout


def sealers(member: Member) -> dict[str, list[str]]:
    """Who last sealed with what, as the command beside it has it."""
    return {row["secret"]: row["names"] for row in json.loads(member.keys("list", "--json"))}


def all_seal_with(members: list[Member], wanted: str) -> None:
    """Wait until each has shown it to each."""
    until(
        lambda: all(
            row["sealed"] == wanted for member in members for row in member.node.get("/members")
        ),
        30,
        f"all have seen that all seal with {wanted}",
    )


@contextmanager
def under_load(nodes: list[Node]) -> Iterator[Callable[[], None]]:
    """Clients count at all nodes meanwhile. Nobody may be suspected, no increment be lost and no
    packet be refused. What it gives waits until each client has counted once more."""
    clients = Clients(nodes)

    def go_on() -> None:
        before = list(clients.answered[:-1])
        until(lambda: all(map(int.__lt__, before, clients.answered)), 20, "all clients go on")

    began = time.monotonic()
    with ThreadPoolExecutor() as pool:
        counting = [pool.submit(clients.count, number) for number in range(len(nodes))]
        try:
            go_on()
            yield go_on
        finally:
            clients.stop()
        for thread in counting:
            thread.result()
    report(f"5 nodes under load, {sum(clients.answered)} increments", time.monotonic() - began)
    counted(nodes, sum(clients.answered), within=20)
    blamed = re.compile(r"member \S+ at \S+ is (?:suspect|failed|left)")
    for node in nodes:
        assert REASONS & node.status()["dropped"].keys() == set()
        assert set(node.states().values()) == {"alive"}
    blames_nobody([line for node in nodes for line in blamed.findall(node.log)])


def test_a_secret_is_replaced_under_load_and_nothing_is_lost_or_refused(
    cluster: Cluster, tmp_path: Path
) -> None:
    old, new = Secret.fresh(), Secret.fresh()
    members = [Member(cluster.add(), tmp_path) for _ in range(5)]
    nodes = [member.node for member in members]
    for member in members:
        write(member.keyring, [old])
        member.options()
        member.node.start("--config", str(member.config), join=nodes[:1])
    agree(nodes, within=20)
    all_seal_with(members, old.fingerprint)
    first, second = old.fingerprint, new.fingerprint
    by_hand, by_command = members[:3], members[3:]
    with under_load(nodes) as go_on:

        def step(command: Sequence[str], *secrets: Secret, given: str = "") -> None:
            """On all nodes, one after the other: from now on there are these secrets."""
            opens = [secret.fingerprint for secret in secrets]
            more = ", ".join(opens[1:]) or "no other"
            for member in by_hand:
                write(member.keyring, secrets)
                member.reload("require", opens[0], *opens)
                go_on()
            for member in by_command:
                said = member.keys(*command, given=given)
                assert said == f"seals with {opens[0]}, opens also {more}\n"
                go_on()

        step(["install"], old, new, given=f"{new.text}\n")
        early = nodes[-1].cli("keys", "remove", first)
        assert (early.returncode, early.stdout) == (1, "")
        assert "these members may seal with it: " in early.stderr
        step(["use", second], new, old)
        all_seal_with(members, second)
        assert members[-1].keys("list") == (
            f"{second}\tyes\t5\tn1, n2, n3 and 2 more\n{first}\tno\t0\t-\n"
        )
        step(["remove", first], new)
        assert [member.keyring.read_text() for member in members] == [f"{new.text}\n"] * 5
    late = cluster.add()
    late.start("--keyring", keyring(tmp_path, old), join=nodes[:1])
    nodes[0].says("sealed with a secret that this node does not have")
    late.says("sealed with a secret that this node does not have")  # both sides are told


def test_a_cluster_without_a_secret_is_given_one_under_load_and_nothing_is_lost_or_refused(
    cluster: Cluster, tmp_path: Path
) -> None:
    secret = Secret.fresh()
    members = [Member(cluster.add(), tmp_path) for _ in range(5)]
    nodes = [member.node for member in members]
    for member in members:
        member.node.start("--config", str(member.config), join=nodes[:1])
    agree(nodes, within=20)
    own = secret.fingerprint
    modes = ("accept", "plain"), ("send", own), ("require", own)
    others = [node.name for node in nodes[1:]]
    untold = nodes[0].cli("keys", "list")
    assert "this node has no secret: start it with a keyring" in untold.stderr
    with under_load(nodes) as go_on:
        for mode, seals in modes:
            if mode == "require":
                all_seal_with(members, secret.fingerprint)
            for member in members:
                write(member.keyring, [secret])
                member.options(None if mode == "require" else mode)
                member.reload(mode, seals, secret.fingerprint)
                if (mode, member) == ("send", members[0]):
                    until(lambda: sealers(members[0]) == {own: ["n1"], "plain": others}, 20, "who")
                go_on()
    assert all(node.status()["alarms"] == [] for node in nodes)
    without = cluster.add()
    without.start(join=nodes[:1])
    nodes[0].says("not sealed, and this node has a secret")
    without.says("sealed, and this node has no secret")
