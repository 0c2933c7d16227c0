"""Names to addresses, without waiting."""

from __future__ import annotations

import asyncio
import threading

import pytest

from gossipd.config.endpoint import Endpoint
from gossipd.core import Address
from gossipd.daemon import resolving as module
from gossipd.daemon.resolving import Resolver, literal, resolve_now
from gossipd.daemon.udp import open_socket, speaks
from tests.unit.daemon.waiting import until


def test_a_name_is_resolved_to_each_of_its_addresses_once() -> None:
    assert resolve_now(Endpoint("127.0.0.1", 7)) == [("127.0.0.1", 7)]
    found = resolve_now(Endpoint("localhost", 7))
    assert len(found) == len(set(found))
    assert set(found) & {("127.0.0.1", 7), ("::1", 7)}


@pytest.mark.parametrize("host", ["nobody.invalid", "two..dots", "l" * 64 + ".invalid"])
def test_what_cannot_be_resolved_raises(host: str) -> None:
    with pytest.raises(OSError, match=r"."):
        resolve_now(Endpoint(host, 7))


def test_addresses_need_no_resolver() -> None:
    assert literal(Endpoint("127.0.0.1", 7)) == [("127.0.0.1", 7)]
    assert literal(Endpoint("0:0::1", 7)) == [("::1", 7)]
    assert literal(Endpoint("localhost", 7)) == []
    assert literal(Endpoint("two..dots", 7)) == []


def test_an_address_of_one_link_keeps_the_name_of_the_link() -> None:
    """Without it the kernel does not know where to send."""
    found = literal(Endpoint("fe80::1%lo", 7))
    assert found == [("fe80::1%lo", 7)]
    with open_socket("", 0) as sock:
        assert [speaks(sock, address) for address in (*found, ("fe80::1", 7))] == [True, False]


async def test_what_the_resolver_says_is_told_to_who_waits() -> None:
    resolver = Resolver()
    assert await resolver.resolve(Endpoint("127.0.0.1", 7)) == [("127.0.0.1", 7)]
    with pytest.raises(OSError, match=r"."):
        await resolver.resolve(Endpoint("nobody.invalid", 7))


async def test_so_many_names_are_looked_up_at_once_and_those_given_up_count_until_they_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release = threading.Event()
    begun: list[str] = []

    def resolve(endpoint: Endpoint) -> list[Address]:
        begun.append(endpoint.host)
        release.wait(60)
        return [(endpoint.host, endpoint.port)]

    monkeypatch.setattr(module, "resolve_now", resolve)
    resolver = Resolver(lookups_max=2)
    waiting = [
        asyncio.ensure_future(resolver.resolve(Endpoint(name, 7))) for name in ("a", "b", "c")
    ]
    try:
        await until(lambda: len(begun) == 2)
        waiting[0].cancel()
        assert not (await asyncio.wait(waiting[1:], timeout=0.1))[0]
        assert begun == ["a", "b"]
    finally:
        release.set()
    assert await asyncio.gather(*waiting[1:]) == [[("b", 7)], [("c", 7)]]


async def test_a_thread_that_cannot_be_had_is_a_failure_like_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    resolver = Resolver(lookups_max=1)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(OSError, match="can't start new thread"):
            await resolver.resolve(Endpoint("127.0.0.1", 7))
    assert await resolver.resolve(Endpoint("127.0.0.1", 7)) == [("127.0.0.1", 7)]
