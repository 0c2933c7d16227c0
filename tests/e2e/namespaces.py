"""Network namespaces joined by a bridge, whose links can be cut one direction at a time.

Everything lives in namespaces made here: the bridge too, so nothing of the machine's own network
is touched, and all of it goes with them.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Self

from tests.deadline import DEADLINE

_CLONE_NEWNET = 0x40000000
_CLONE_NEWNS = 0x00020000
_MS_BIND = 0x1000
_MS_REC = 0x4000
_MS_SLAVE = 0x80000
_MNT_DETACH = 2
_FILES = Path("/etc/netns")
"""What stands here below a namespace's name stands in /etc for programs that run inside."""


@cache
def why_none() -> str:
    """Why namespaces cannot be made here; empty if they can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "network namespaces need iproute2"
    name = f"gossipd-{secrets.token_hex(4)}"
    made = subprocess.run(("ip", "netns", "add", name), capture_output=True, check=False)
    if made.returncode:
        return f"no network namespaces here: {made.stderr.decode().strip()}"
    _ip("netns", "del", name)
    return ""


def _ip(*arguments: str) -> None:
    subprocess.run(("ip", *arguments), check=True, timeout=DEADLINE)


def _call(name: str, *arguments: object) -> None:
    """Call the system. Raises `OSError`."""
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments):
        raise OSError(ctypes.get_errno(), f"{name} fails: {arguments}")


def _set_namespace(path: str | Path) -> None:
    with open(path) as file:  # noqa: PTH123  /proc/thread-self is no ordinary path
        _call("setns", file.fileno(), _CLONE_NEWNET)


def move_to(name: str) -> None:
    """Have the network of a namespace, and its files, for the rest of this process: what `ip netns
    exec` does before it runs a program."""
    _set_namespace(f"/run/netns/{name}")
    _call("unshare", _CLONE_NEWNS)
    _call("mount", b"", b"/", b"none", _MS_SLAVE | _MS_REC, None)
    _call("umount2", b"/sys", _MNT_DETACH)
    _call("mount", name.encode(), b"/sys", b"sysfs", 0, None)
    own = _FILES / name
    for file in own.iterdir() if own.exists() else ():
        _call("mount", bytes(file), b"/etc/" + file.name.encode(), b"none", _MS_BIND, None)


@contextmanager
def entered(path: str | Path) -> Iterator[None]:
    """What this thread opens meanwhile belongs to the network at this path."""
    with open("/proc/thread-self/ns/net") as home:  # noqa: PTH123
        _set_namespace(path)
        try:
            yield
        finally:
            _set_namespace(f"/proc/self/fd/{home.fileno()}")


class Namespace:
    """A network of its own, with loopback up."""

    def __init__(self) -> None:
        self.name = f"gossipd-{secrets.token_hex(4)}"
        _ip("netns", "add", self.name)
        self.ip("link", "set", "lo", "up")

    @property
    def prefix(self) -> tuple[str, ...]:
        """What goes before a command that is to run inside."""
        return ("ip", "netns", "exec", self.name)

    def ip(self, *arguments: str) -> None:
        """Configure the network inside."""
        _ip("-n", self.name, *arguments)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """What this thread opens meanwhile belongs to this network."""
        with entered(f"/run/netns/{self.name}"):
            yield

    def file(self, name: str, text: str) -> None:
        """Give the programs that are started inside from now on an /etc/NAME of their own, such as
        `hosts` or `resolv.conf`; those that were given it already see it change. It has to exist
        in this machine's /etc."""
        path = _FILES / self.name / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    @contextmanager
    def refused(self, port: int) -> Iterator[None]:
        """Whatever is sent to a TCP port inside meanwhile is answered by a reset: connections
        break as soon as either side says something."""
        self.nft("add table ip refused")
        self.nft("add chain ip refused out { type filter hook output priority 0; }")
        self.nft(f"add rule ip refused out tcp dport {port} reject with tcp reset")
        try:
            yield
        finally:
            self.nft("delete table ip refused")

    def nft(self, command: str) -> None:
        """Change the rules for packets inside."""
        subprocess.run((*self.prefix, "nft", command), check=True, timeout=DEADLINE)

    def forward_packets(self) -> None:
        """Be a router."""
        with self.entered():
            Path("/proc/sys/net/ipv4/ip_forward").write_text("1")

    def close(self) -> None:
        shutil.rmtree(_FILES / self.name, ignore_errors=True)
        _ip("netns", "del", self.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Network:
    """Hosts 10.77.0.1, 10.77.0.2, ... on one bridge, which is a host itself, 10.77.0.254."""

    HUB = "10.77.0.254"

    def __init__(self, size: int) -> None:
        self._made: list[Namespace] = []
        try:
            self.hub = self._make()
            self.hub.ip("link", "add", "hub", "type", "bridge", "forward_delay", "0")
            self.hub.ip("link", "set", "hub", "up")
            self.hub.ip("addr", "add", f"{self.HUB}/24", "dev", "hub")
            self.hosts = [self._host(number) for number in range(1, size + 1)]
        except BaseException:
            self.close()
            raise

    def address(self, host: int) -> str:
        """Of host 0, 1, ..."""
        return f"10.77.0.{host + 1}"

    def behind(self, number: int) -> Namespace:
        """A host 192.168.9.2 in a network of its own, for which host `number` is the router and
        the NAT: what it sends seems to come from there, and from another port. Nothing that
        nobody inside has asked for reaches it, until `forward`. Once for each host."""
        router, inside = self.hosts[number], self._make()
        peer = ("peer", "name", "inside", "netns", router.name)
        _ip("link", "add", "eth0", "netns", inside.name, "type", "veth", *peer)
        router.ip("addr", "add", "192.168.9.1/24", "dev", "inside")
        router.ip("link", "set", "inside", "up")
        inside.ip("addr", "add", "192.168.9.2/24", "dev", "eth0")
        inside.ip("link", "set", "eth0", "up")
        inside.ip("route", "add", "default", "via", "192.168.9.1")
        router.forward_packets()
        router.nft("add table ip nat")
        router.nft("add chain ip nat out { type nat hook postrouting priority 100; }")
        router.nft("add rule ip nat out oif eth0 meta l4proto udp masquerade to :20000-29999")
        # What is dropped opens no flow, which would go on to end here once a port is forwarded.
        router.nft("add chain ip nat here { type filter hook input priority 0; }")
        router.nft("add rule ip nat here iif eth0 meta l4proto udp drop")
        return inside

    def forward(self, number: int, port: int) -> None:
        """What is sent to a UDP port of host `number` reaches the host behind it from now on."""
        router = self.hosts[number]
        router.nft("add chain ip nat in { type nat hook prerouting priority -100; }")
        router.nft(f"add rule ip nat in iif eth0 udp dport {port} dnat to 192.168.9.2")

    def _make(self) -> Namespace:
        namespace = Namespace()
        self._made.append(namespace)
        return namespace

    def _host(self, number: int) -> Namespace:
        host = self._make()
        port = f"port{number}"
        peer = ("peer", "name", port, "netns", self.hub.name)
        _ip("link", "add", "eth0", "netns", host.name, "type", "veth", *peer)
        self.hub.ip("link", "set", port, "master", "hub", "up")
        host.ip("addr", "add", f"10.77.0.{number}/24", "dev", "eth0")
        host.ip("link", "set", "eth0", "up")
        # A rule can drop what comes in only if it is asked before the table of local addresses.
        host.ip("rule", "add", "pref", "32000", "lookup", "local")
        host.ip("rule", "del", "pref", "0")
        return host

    def _rule(self, action: str, source: int, target: int) -> None:
        where = ("iif", "eth0", "from", self.address(source))
        self.hosts[target].ip("rule", action, "pref", "10", *where, "blackhole")

    def cut(self, source: int, target: int) -> None:
        """Nothing that `source` sends reaches `target` any more, without a word to either."""
        self._rule("add", source, target)

    def heal(self, source: int, target: int) -> None:
        self._rule("del", source, target)

    def lose(self, percent: int) -> None:
        """Of the UDP packets that any host is sent, so many are lost at random."""
        for host in self.hosts:
            chain = "{ type filter hook input priority 0; }"
            dropped = f"meta l4proto udp numgen random mod 100 < {percent} drop"
            for rule in (
                "add table ip loss",
                f"add chain ip loss in {chain}",
                f"add rule ip loss in {dropped}",
            ):
                host.nft(rule)

    def between(self, one: Sequence[int], other: Sequence[int]) -> Iterator[tuple[int, int]]:
        """All links between two groups of hosts, both directions."""
        for a in one:
            for b in other:
                yield a, b
                yield b, a

    def close(self) -> None:
        for namespace in self._made:
            namespace.close()
        self._made.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
