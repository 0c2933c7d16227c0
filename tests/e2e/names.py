"""Names as hosts really resolve them: dnsmasq on the hub of a network, and files of their own.

Each host asks dnsmasq alone; what names stand for may change at any time, and the resolver may
fall silent without a word.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Self

from tests.deadline import DEADLINE
from tests.e2e import namespaces
from tests.e2e.namespaces import Network
from tests.e2e.node import until

NAME = "cluster.test"


@cache
def why_none() -> str:
    """Why there can be no names here; empty if there can."""
    for program, package in (("dnsmasq", "dnsmasq-base"), ("nft", "nftables")):
        if shutil.which(program) is None:
            return f"names need {package}"
    return namespaces.why_none()


class Names:
    """The names of one network; all of them end in .test."""

    def __init__(self, network: Network, directory: Path) -> None:
        self._hub = network.hub
        self._zone = directory / "zone"
        self._zone.write_text(f"{network.HUB} up.test\n")
        for host in network.hosts:
            host.file("resolv.conf", f"nameserver {network.HUB}\n")
            host.file("hosts", "127.0.0.1 localhost\n")
            host.file("nsswitch.conf", "hosts: files dns\n")
        self._process = subprocess.Popen(
            (
                *self._hub.prefix, "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null",
                "--pid-file=", "--user=root", "--no-resolv", "--no-hosts", "--local=/test/",
                f"--addn-hosts={self._zone}", "--bind-interfaces",
                f"--listen-address={network.HUB}",
            ),
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        self._asker = network.hosts[0]
        self._wait("up.test", network.HUB)  # before that a signal would end it

    def set(self, name: str, *addresses: str) -> None:
        """Let a name have these addresses from now on; none: there is no such name."""
        kept = [line for line in self._zone.read_text().splitlines() if line.split()[1] != name]
        lines = [*kept, *(f"{address} {name}" for address in addresses)]
        self._zone.write_text("".join(f"{line}\n" for line in lines))
        self._process.send_signal(signal.SIGHUP)
        self._wait(name, *addresses)

    def _wait(self, name: str, *addresses: str) -> None:
        is_told = lambda: set(self._resolved(name)) == set(addresses)  # noqa: E731
        until(is_told, 10, f"{name} is {addresses}")

    def _resolved(self, name: str) -> Sequence[str]:
        asked = (*self._asker.prefix, "getent", "ahosts", name)
        done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=DEADLINE)
        return [line.split()[0] for line in done.stdout.splitlines()]

    def fall_silent(self) -> None:
        """Answer nothing any more, and refuse nothing either."""
        for rule in (
            "add table ip silence",
            "add chain ip silence in { type filter hook input priority 0; }",
            "add rule ip silence in meta l4proto { tcp, udp } th dport 53 drop",
        ):
            self._hub.nft(rule)

    def speak_again(self) -> None:
        self._hub.nft("delete table ip silence")

    def close(self) -> None:
        self._process.kill()
        self._process.wait(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
