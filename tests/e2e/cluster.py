"""Clusters of real nodes, and what one waits for in them.

A `Cluster` has loopback addresses of its own, so that tests can run beside each other. Whatever
was started has ended when it closes.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from gossipd.sealing.keyring import Secret
from tests.e2e.forge import Forge
from tests.e2e.namespaces import Namespace
from tests.e2e.node import Node, until
from tests.e2e.ports import Net

SHOWN_LINES = 60
"""Lines of each log that are printed for a test that failed."""

MISHAP = re.compile(r"Traceback|Exception|level=error.*(?:exception|Task)")
"""What no node may ever log."""


class Cluster:
    """Nodes n1, n2, ... on loopback addresses that are nobody else's."""

    def __init__(
        self, directory: Path, secret: Secret | None = None, forge: Forge | None = None
    ) -> None:
        """`secret`: that of all nodes; `forge`: what forks them."""
        self.directory = directory
        self._forge = forge
        self._keyring = "" if secret is None else keyring(directory / "keyring", secret)
        self.nodes: list[Node] = []
        self._net = Net()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._net.close()

    def close(self) -> None:
        """End what still runs; what is started again has the addresses that it had."""
        for node in self.nodes:
            if node.running:
                node.send(signal.SIGCONT)
                node.process.kill()
        for node in self.nodes:
            if node.logs:
                node.process.wait(10)

    def address(self) -> str:
        """The next free address."""
        return self._net.address(len(self.nodes) + 1)

    def add(
        self,
        host: str | None = None,
        port: int | None = None,
        name: str | None = None,
        namespace: Namespace | None = None,
    ) -> Node:
        """One more node, not started yet."""
        name = name or f"n{len(self.nodes) + 1}"
        directory = self.directory / str(len(self.nodes) + 1)
        directory.mkdir()
        node = Node(name, host or self.address(), directory, port, namespace)
        node.keyring = self._keyring
        node.forge = self._forge
        self.nodes.append(node)
        return node

    def start(self, count: int, *options: str) -> list[Node]:
        """Add nodes and form a cluster of them."""
        return self.form([self.add() for _ in range(count)], *options)

    def form(self, nodes: list[Node], *options: str) -> list[Node]:
        """Start nodes at once, each joining the first; wait until all see all and are ready."""
        for node in nodes:
            node.start(*options, join=[nodes[0]] if node is not nodes[0] else [])
        agree(nodes, within=20.0)
        return nodes

    def show(self) -> None:
        """Print the logs: pytest shows them for tests that failed."""
        for node in self.nodes:
            for log in node.logs:
                lines = log.read_text(errors="replace").splitlines()
                print(f"--- {node.name} at {node.address}, {log.name}")
                print(*lines[-SHOWN_LINES:], sep="\n")

    def mishaps(self) -> list[str]:
        """Lines of the logs that no node may ever write."""
        return [
            f"{log.parent.name}/{log.name}: {line}"
            for node in self.nodes
            for log in node.logs
            for line in log.read_text(errors="replace").splitlines()
            if MISHAP.search(line)
        ]


def keyring(path: Path, *secrets: Secret) -> str:
    """Write a file of these secrets; its name."""
    path.touch(0o600)
    path.write_text("".join(f"{secret.text}\n" for secret in secrets))
    return str(path)


def agree(nodes: Sequence[Node], within: float) -> float:
    """Wait until all of them are ready and each sees exactly these alive."""
    wanted = {node.name: "alive" for node in nodes}
    waiting = list(nodes)

    def all_agree() -> bool:
        while waiting and live(waiting[0]) == wanted and waiting[0].ready:
            waiting.pop(0)
        return not waiting

    def missing() -> str:
        with suppress(OSError):
            return f"{waiting[0].name} sees {waiting[0].states()}"
        return f"{waiting[0].name} is silent"

    try:
        return until(all_agree, within, f"{len(nodes)} nodes see each other alive")
    except AssertionError as error:
        raise AssertionError(f"{error}: {missing()}") from None


def live(node: Node) -> dict[str, str]:
    """The states of those whom a node does not hold as gone."""
    return {
        name: state for name, state in node.states().items() if state not in ("failed", "left")
    }


def counted(nodes: Sequence[Node], wanted: int, within: float, counter: str = "default") -> float:
    """Wait until the count is the same everywhere."""
    return until(
        lambda: all(node.count(counter) == wanted for node in nodes),
        within,
        f"{counter} is {wanted} on {', '.join(node.name for node in nodes)}",
    )


def see(nodes: Sequence[Node], name: str, state: str, within: float) -> float:
    """Wait until all of them hold a member in this state."""
    return until(
        lambda: all(node.state_of(name) == state for node in nodes),
        within,
        f"{name} is {state} everywhere",
    )
