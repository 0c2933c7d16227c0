"""Sockets that a service manager passes are those of the options, or the node does not start."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from gossipd.config.endpoint import Endpoint
from gossipd.config.unix import UnixSocket
from gossipd.daemon.inherited import UnfitError, check, check_mode, is_at, sorted_out, unfit
from gossipd.process.passed import Passed

UDP, TCP = socket.SOCK_DGRAM, socket.SOCK_STREAM


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def bound(
    stack: ExitStack, kind: socket.SocketKind, host: str, dual: bool = False
) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = stack.enter_context(socket.socket(family, kind))
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not dual)
    sock.bind((host, 0))
    if kind == TCP:
        sock.listen()
    return sock


def passed(*socks: socket.socket) -> list[Passed]:
    return [Passed(sock.detach(), "gossipd.socket") for sock in socks]


def test_each_is_what_its_kind_says(stack: ExitStack) -> None:
    given = bound(stack, TCP, "127.0.0.1"), bound(stack, UDP, "::", True), bound(stack, TCP, "::1")
    names = [sock.getsockname() for sock in given]
    gossip, api = sorted_out(passed(*given))
    assert gossip is not None
    stack.enter_context(gossip)
    for sock in api:
        stack.enter_context(sock)
    assert [sock.getsockname() for sock in (api[0], gossip, api[1])] == names


def test_nothing_may_be_passed() -> None:
    assert sorted_out([]) == (None, ())


def test_a_connection_is_refused(stack: ExitStack) -> None:
    one, _ = map(stack.enter_context, socket.socketpair())
    with pytest.raises(UnfitError, match="is a connection: remove Accept=yes"):
        sorted_out(passed(one))
    listener = bound(stack, TCP, "127.0.0.1")
    client = stack.enter_context(socket.create_connection(listener.getsockname()))
    with pytest.raises(UnfitError, match="is a connection: remove Accept=yes"):
        sorted_out(passed(client))


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_SEQPACKET])
def test_a_unix_socket_of_another_kind_is_refused(
    stack: ExitStack, kind: socket.SocketKind
) -> None:
    sock = stack.enter_context(socket.socket(socket.AF_UNIX, kind))
    with pytest.raises(UnfitError, match=r"gossipd.socket \(\d+\) is no UDP, TCP or Unix socket"):
        sorted_out(passed(sock))


def test_a_unix_socket_is_that_of_its_path(stack: ExitStack, tmp_path: Path) -> None:
    sock = stack.enter_context(socket.socket(socket.AF_UNIX))
    sock.bind(str(tmp_path / "a"))
    (tmp_path / "link").symlink_to(tmp_path)
    other = bound(stack, TCP, "127.0.0.1")
    for path, fits in (("a", True), ("link/a", True), ("b", False)):
        wanted = UnixSocket(str(tmp_path / path))
        assert is_at(sock, wanted, ()) is fits
        assert not is_at(other, wanted, ())
    assert not is_at(sock, Endpoint("", 1), ())
    said = str(unfit(sock, "ListenStream", "--api", ":1"))
    assert f"a socket at unix:{tmp_path}/a (ListenStream), but --api is :1: make" in said


def test_a_unix_socket_that_more_may_use_than_the_option_says_is_refused(
    stack: ExitStack, tmp_path: Path
) -> None:
    """Systemd makes it 0666 by itself."""
    path = tmp_path / "a"
    stack.enter_context(socket.socket(socket.AF_UNIX)).bind(str(path))
    for mode, wanted, fits in ((0o666, 0o660, False), (0o755, 0o660, True), (0o666, 0o666, True)):
        path.chmod(mode)
        if fits:
            check_mode(UnixSocket(str(path), wanted))
            continue
        with pytest.raises(UnfitError) as caught:
            check_mode(UnixSocket(str(path), wanted))
        assert "(mode 0666): set SocketMode=0660 in its unit" in str(caught.value)
        assert f"--api unix:{path}?mode=0666" in str(caught.value)


def test_two_sockets_for_gossip_are_refused(stack: ExitStack) -> None:
    with pytest.raises(UnfitError, match="leave one ListenDatagram"):
        sorted_out(passed(bound(stack, UDP, "127.0.0.1"), bound(stack, UDP, "::1")))


def test_what_is_no_socket_is_refused() -> None:
    with pytest.raises(UnfitError, match=r"unnamed \(9999\): Bad file descriptor"):
        sorted_out([Passed(9999, "")])


@pytest.mark.parametrize(
    ("kind", "host", "wanted", "resolved"),
    [
        (UDP, "::", "", ()),
        (UDP, "0.0.0.0", "", ()),
        (TCP, "::", "", ()),
        (TCP, "127.0.0.1", "localhost", ()),
        (TCP, "::1", "localhost", ()),
        (UDP, "127.0.0.1", "a.example", ("127.0.0.1",)),
        (UDP, "127.0.0.1", "127.0.0.1", ("127.0.0.1",)),
    ],
)
def test_a_socket_that_is_bound_as_the_option_says_does(
    stack: ExitStack, kind: socket.SocketKind, host: str, wanted: str, resolved: tuple[str, ...]
) -> None:
    sock = bound(stack, kind, host, dual=True)
    port = sock.getsockname()[1]
    for given in port, 0:
        check(sock, Endpoint(wanted, given), resolved)
    with pytest.raises(UnfitError, match="make them equal"):
        check(sock, Endpoint(wanted, port - 1), resolved)


@pytest.mark.parametrize(
    ("kind", "host", "wanted", "resolved", "problem"),
    [
        (UDP, "127.0.0.1", "", (), r"at 127\.0\.0\.1:\d+ \(ListenDatagram\), but --bind is :"),
        (
            UDP,
            "::",
            "localhost",
            (),
            r"at \[::\]:\d+ \(ListenDatagram\), but --bind is localhost:",
        ),
        (UDP, "::", "127.0.0.1", ("127.0.0.1",), "make them equal"),
        (UDP, "::", "", (), "for IPv6 only, but --bind is .* BindIPv6Only=both"),
    ],
)
def test_another_one_is_refused_with_both_addresses(
    stack: ExitStack,
    kind: socket.SocketKind,
    host: str,
    wanted: str,
    resolved: tuple[str, ...],
    problem: str,
) -> None:
    sock = bound(stack, kind, host)
    with pytest.raises(UnfitError, match=problem):
        check(sock, Endpoint(wanted, sock.getsockname()[1]), resolved)


def test_what_was_announced_and_is_not_there_is_told_in_a_line() -> None:
    """What is opened later must not be taken for it."""
    start = (
        "import os, sys; os.environ['LISTEN_PID'] = str(os.getpid()); sys.argv[1:] = ['run']; "
        "from gossipd.process.entry import main; main()"
    )
    environment = {**os.environ, "LISTEN_FDS": "1000000000"}
    ended = subprocess.run(
        [sys.executable, "-c", start], env=environment, stderr=subprocess.PIPE, timeout=30
    )
    assert ended.returncode == 1
    assert ended.stderr.decode() == (
        "gossipd: 1000000000 sockets are passed, but not as 3: Bad file descriptor\n"
    )
