"""Unix sockets: their files, who may use them, and who has gone."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import socket
import stat
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from gossipd.config.endpoint import Endpoint
from gossipd.config.tokens import parse_tokens
from gossipd.config.unix import UnixSocket
from gossipd.sideport import listening
from gossipd.sideport.limits import Limits
from gossipd.sideport.port import SidePort

from .conftest import Connect
from .fake import Client, FakeBackend, until
from .test_waits import ID, end


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "api.sock"


@pytest_asyncio.fixture
async def port(backend: FakeBackend, limits: Limits, path: Path) -> AsyncIterator[SidePort]:
    """One that listens by TCP, too."""
    port = SidePort(backend, limits)
    await port.listen(Endpoint("127.0.0.1", 0))
    await port.listen(UnixSocket(str(path)))
    yield port
    await port.stop(0.2)


@pytest_asyncio.fixture
async def client(port: SidePort, path: Path) -> AsyncIterator[Client]:
    client = Client(*await asyncio.open_unix_connection(path))
    yield client
    await client.close()


async def listen(path: Path, mode: int = 0o660) -> SidePort:
    port = SidePort(FakeBackend())
    await port.listen(UnixSocket(str(path), mode))
    return port


def is_there(path: Path) -> bool:
    return path.exists()


def remove(path: Path) -> None:
    path.unlink()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


async def test_it_answers_as_tcp_does(port: SidePort, client: Client, path: Path) -> None:
    assert (await client.request("POST", "/increment")).status == 200
    assert (await client.request("GET", "/health")).status == 200
    assert port.places[1:] == [UnixSocket(str(path))]
    assert len(port.addresses) == 1


async def test_its_file_has_its_mode_and_goes_at_the_end(path: Path) -> None:
    before = os.umask(0o077)
    try:
        port = await listen(path, 0o606)
        assert mode(path) == 0o606
    finally:
        os.umask(before)
    await port.stop(0.2)
    assert not is_there(path)
    port = await listen(path)
    assert mode(path) == 0o660
    remove(path)
    other = await listen(path)
    await port.stop(0.2)
    assert is_there(path)
    await other.stop(0.2)


async def test_a_file_that_was_left_behind_is_replaced(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
        left.listen()
    port = await listen(path)
    client = Client(*await asyncio.open_unix_connection(path))
    assert (await client.request("GET", "/health")).status == 200
    await client.close()
    await port.stop(0.2)


@pytest.mark.parametrize("backlog", [100, 0])
async def test_a_file_behind_which_somebody_listens_is_an_error(path: Path, backlog: int) -> None:
    """Also where he has no time at the moment."""
    with socket.socket(socket.AF_UNIX) as alive, socket.socket(socket.AF_UNIX) as waiting:
        alive.bind(str(path))
        alive.listen(backlog)
        waiting.connect(str(path))
        with pytest.raises(OSError, match="somebody listens there") as caught:
            await listen(path)
        assert caught.value.errno == errno.EADDRINUSE
        assert is_there(path)


async def test_a_file_of_another_kind_is_left_alone(tmp_path: Path) -> None:
    with tempfile.NamedTemporaryFile(dir=tmp_path) as file:
        with pytest.raises(OSError, match="there is a file that is no socket"):
            await listen(Path(file.name))
        assert is_there(Path(file.name))


async def test_a_directory_that_is_not_there_is_named(path: Path) -> None:
    with pytest.raises(OSError, match=f"there is no directory {path}"):
        await listen(path / "x")


async def test_of_many_that_start_at_once_one_listens(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    ports = [SidePort(FakeBackend()) for _ in range(8)]
    where = UnixSocket(str(path))
    outcomes = await asyncio.gather(
        *(port.listen(where) for port in ports), return_exceptions=True
    )
    assert outcomes.count(None) == 1
    assert {type(outcome) for outcome in outcomes} == {type(None), OSError}
    (_, writer) = await asyncio.open_unix_connection(path)
    await until(lambda: sum(port.connection_count for port in ports) == 1)
    writer.close()
    for port in ports:
        await port.stop(0.2)


async def test_who_locks_the_directory_for_ever_keeps_nobody_from_listening(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever can read it can do that."""
    monkeypatch.setattr(listening, "LOCK_PATIENCE", 0.1)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        async with asyncio.timeout(10):
            port = await listen(path)
    finally:
        os.close(descriptor)
    await port.stop(0.2)


@pytest.mark.parametrize("limits", [{"presence_interval": 0.01}], indirect=True)
async def test_who_has_only_said_his_last_word_gets_his_answers(
    client: Client, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.slow = True
    await client.send(f"count after={ID}\n".encode())
    client.half_close()
    await until(lambda: len(backend.waits) == 1)
    await asyncio.sleep(0.8)  # it is looked at meanwhile, which shows nothing to wait for
    end(backend, True)
    assert await client.rest() == b"0\n"


@pytest.mark.parametrize("limits", [{"presence_interval": 0.01}], indirect=True)
async def test_what_one_who_has_gone_waits_for_is_given_up(
    port: SidePort, client: Client, backend: FakeBackend
) -> None:
    backend.slow = True
    await client.send(f"count after={ID}\n".encode())
    await until(lambda: len(backend.waits) == 1)
    await client.close()
    await until(lambda: port.connection_count == 0)
    await until(lambda: all(wait.cancelled() for wait in backend.waits))


@pytest.mark.parametrize(
    "limits", [{"connections_max": 2, "address_share": 0.5, "reserve_max": 0}], indirect=True
)
async def test_a_user_is_counted_as_an_address_is(
    port: SidePort, client: Client, path: Path, connect: Connect
) -> None:
    await until(lambda: port.connection_count == 1)
    second = Client(*await asyncio.open_unix_connection(path))
    assert b"503" in await second.rest()
    await second.close()
    by_tcp = await connect()
    assert (await by_tcp.request("GET", "/health")).status == 200


async def test_by_a_unix_socket_no_token_is_asked_for(
    port: SidePort, client: Client, connect: Connect
) -> None:
    port.change_tokens(parse_tokens(f"admin {'a' * 32}"))
    by_tcp = await connect()
    assert (await by_tcp.request("GET", "/count")).status == 401
    assert (await client.request("GET", "/count")).status == 200
