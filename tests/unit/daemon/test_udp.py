"""The UDP socket, on both kinds of loop: production runs on uvloop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from gossipd.core import Address
from gossipd.daemon.udp import (
    Udp,
    is_local,
    open_socket,
    plain,
    speaks,
)
from tests.deadline import DEADLINE
from tests.unit.daemon.waiting import until

Loops = Callable[[], asyncio.AbstractEventLoop]
Scene = Callable[[Udp, "asyncio.Queue[tuple[bytes, Address]]"], Awaitable[None]]

BOTH = pytest.mark.parametrize("loops", [asyncio.new_event_loop, uvloop.new_event_loop])


def play(loops: Loops, host: str, scene: Scene) -> None:
    """Run a scene around an open socket."""

    async def scenes() -> None:
        arrived: asyncio.Queue[tuple[bytes, Address]] = asyncio.Queue()
        udp = Udp(open_socket(host, 0), lambda data, source: arrived.put_nowait((data, source)))
        await udp.start()
        try:
            async with asyncio.timeout(DEADLINE):
                await scene(udp, arrived)
        finally:
            udp.close()

    with asyncio.Runner(loop_factory=loops) as runner:
        runner.run(scenes())


def test_an_address_is_this_hosts_where_it_can_be_bound() -> None:
    assert is_local(("127.3.2.1", 1))
    assert not is_local(("192.0.2.1", 7946))
    assert not is_local(("2001:db8::1", 7946))


def test_an_open_socket_does_not_block_and_has_a_large_buffer() -> None:
    with open_socket("127.0.0.1", 0) as sock:
        assert not sock.getblocking()
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= 200_000


def test_a_port_in_use_is_an_error() -> None:
    with (
        open_socket("127.0.0.1", 0) as first,
        pytest.raises(OSError, match="already in use"),
    ):
        open_socket("127.0.0.1", first.getsockname()[1])


def test_a_host_that_cannot_be_resolved_is_an_error() -> None:
    with pytest.raises(OSError, match=r"."):
        open_socket("nobody.invalid", 0)


def test_addresses_are_shown_in_their_plain_form() -> None:
    assert plain(("::ffff:127.0.0.1", 5, 0, 0)) == ("127.0.0.1", 5)
    assert plain(("0:0::0:1", 5, 0, 0)) == ("::1", 5)
    assert plain(("::ffff:0:1.2.3.4", 5, 0, 0)) == ("::ffff:0:102:304", 5)
    assert plain(("127.0.0.1", 5)) == ("127.0.0.1", 5)


def test_a_socket_of_one_ipv6_address_does_not_speak_ipv4() -> None:
    with open_socket("::1", 0) as six:
        assert speaks(six, ("::1", 9))
        assert not speaks(six, ("127.0.0.1", 9))


@BOTH
def test_what_is_sent_arrives_and_both_are_counted(loops: Loops) -> None:
    async def scene(udp: Udp, arrived: asyncio.Queue[tuple[bytes, Address]]) -> None:
        udp.send(b"hello", udp.address)
        assert await arrived.get() == (b"hello", udp.address)
        assert (udp.sent_count, udp.sent_bytes, udp.received_count) == (1, 5, 1)
        later: list[bytes] = []
        udp.receive_with(lambda data, _: later.append(data))
        udp.send(b"again", udp.address)
        await until(lambda: later)
        assert (later, arrived.empty()) == ([b"again"], True)

    play(loops, "127.0.0.1", scene)


@BOTH
@pytest.mark.parametrize("family", ["127.0.0.1", "::1"])
def test_one_socket_speaks_both_families(loops: Loops, family: str) -> None:
    async def scene(udp: Udp, arrived: asyncio.Queue[tuple[bytes, Address]]) -> None:
        with open_socket(family, 0) as peer:
            peer.sendto(b"ping", (family, udp.address[1]))
            data, source = await arrived.get()
            assert (data, source) == (b"ping", plain(peer.getsockname()))
            udp.send(b"pong", source)
            answer = await asyncio.get_running_loop().sock_recv(peer, 100)
            assert answer == b"pong"

    play(loops, "", scene)


@BOTH
@pytest.mark.parametrize("host", ["127.0.0.1", ""])
def test_who_is_not_allowed_is_neither_heard_nor_sent_anything(loops: Loops, host: str) -> None:
    async def scene(udp: Udp, arrived: asyncio.Queue[tuple[bytes, Address]]) -> None:
        barred: list[Address] = []
        own, port = "127.0.0.1", udp.address[1]
        with open_socket("127.0.0.2", 0) as stranger, open_socket(own, 0) as friend:
            at = plain(stranger.getsockname())
            udp.restrict(lambda host: host.removeprefix("::ffff:") == own, barred.append)
            stranger.sendto(b"hello", (own, port))
            await until(lambda: barred)
            friend.sendto(b"hello", (own, port))
            assert await arrived.get() == (b"hello", plain(friend.getsockname()))
            assert (barred, arrived.empty(), udp.received_count) == ([at], True, 2)
            assert udp.why_not(at) == "may not speak to (allow)"
            assert udp.why_not(plain(friend.getsockname())) is None
            udp.send(b"no", at)
            assert (udp.sent_count, udp.refusals) == (0, {"EPERM": 1})
            udp.restrict(None)
            assert udp.why_not(at) is None
            udp.send(b"yes", at)
            assert await asyncio.get_running_loop().sock_recv(stranger, 100) == b"yes"

    play(loops, host, scene)


@BOTH
@pytest.mark.parametrize(
    ("data", "to"),
    [
        (b"x" * 70_000, ("127.0.0.1", 9)),  # EMSGSIZE
        (b"x", ("255.255.255.255", 9)),  # EACCES: broadcast was not asked for
        (b"x", ("::1", 9)),  # the wrong family
    ],
)
def test_what_the_kernel_refuses_is_counted_and_survived(
    loops: Loops, data: bytes, to: Address
) -> None:
    async def scene(udp: Udp, arrived: asyncio.Queue[tuple[bytes, Address]]) -> None:
        udp.send(data, to)
        await until(lambda: udp.refusals)
        assert sum(udp.refusals.values()) == 1
        udp.send(b"still here", udp.address)
        assert (await arrived.get())[0] == b"still here"

    play(loops, "127.0.0.1", scene)


@BOTH
def test_a_closed_socket_sends_nothing(loops: Loops) -> None:
    async def scene(udp: Udp, arrived: asyncio.Queue[tuple[bytes, Address]]) -> None:
        udp.close()
        udp.send(b"late", ("127.0.0.1", 9))
        assert udp.sent_count == 0

    play(loops, "127.0.0.1", scene)


def test_what_waits_to_be_read_and_what_found_no_room_is_told() -> None:
    sock = open_socket("127.0.0.1", 0)
    udp = Udp(sock, lambda *_: None)
    assert udp.memory == (0, 0)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with sock, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(100):
            sender.sendto(bytes(1000), sock.getsockname())
        assert udp.memory.used > 1000
        assert 0 < udp.memory.overflows < 100
