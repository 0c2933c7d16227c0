"""A connection that speaks RESP: what is run, in which order, and what is not."""

from __future__ import annotations

import pytest

from gossipd.core import Refused, Why
from gossipd.sideport.limits import Limits
from gossipd.sideport.port import SidePort
from gossipd.sideport.resp import session

from ..conftest import Connect
from ..fake import Client, FakeBackend, until
from .talk import Failure, ask, heard, said


async def test_it_counts_and_tells(client: Client, backend: FakeBackend) -> None:
    assert await ask(client, "INCR", "a") == 1
    assert await ask(client, "incrby", "a", "5") == 6
    assert await ask(client, "DecrBy", "a", "2") == 4
    assert await ask(client, "DECR", "a") == 3
    assert await ask(client, "GET", "a") == "3"
    assert await ask(client, "GET", "b") is None
    assert backend.started == [("a", 1), ("a", 5), ("a", -2), ("a", -1)]


async def test_what_is_asked_again_is_done_again(connect: Connect, backend: FakeBackend) -> None:
    first, second = await connect(), await connect()
    for number in range(1, 4):
        assert await ask(first, "INCR", "a") == 2 * number - 1
        assert await ask(second, "INCR", "a") == 2 * number
        assert await ask(second, "GET", "a") == str(2 * number)
        await first.send(said("INCR", "b") * 3 + said("GET", "b"))
        assert [await heard(first) for _ in range(4)] == [
            *range(3 * number - 2, 3 * number + 1),
            str(3 * number),
        ]
    assert len(backend.started) == 15


async def test_what_is_remembered_is_limited(
    client: Client, backend: FakeBackend, port: SidePort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "CALLS_MAX", 10)
    for number in range(8):
        for _ in range(3):  # words are remembered, then bytes, then known
            names = [f"{number}.{name}" for name in "abcd"]
            await client.send(b"".join([said("INCR", name) for name in names]))
            for _ in names:
                assert isinstance(await heard(client), int)
            assert await ask(client, "GET", "x") is None
    remembered = port.resp.said
    assert 0 < sum(map(len, remembered.values())) <= 10
    assert 0 < len(port.resp.calls) <= 10
    assert set(backend.values.values()) == {3}


async def test_increments_that_follow_each_other_share_a_commit(
    client: Client, backend: FakeBackend
) -> None:
    backend.paused = True
    await client.send(said("INCR", "a") * 20 + said("GET", "a"))
    await until(lambda: len(backend.waiting) == 20)
    backend.commit()
    assert [await heard(client) for _ in range(21)] == [*range(1, 21), "20"]


async def test_a_mistake_costs_one_answer(client: Client) -> None:
    await client.send(said("INCR") + said("NOPE", "a") + said("INCR", "a"))
    assert await heard(client) == "ERR wrong number of arguments for 'incr' command"
    assert await heard(client) == "ERR unknown command 'NOPE', with args beginning with: 'a'"
    assert await heard(client) == 1


async def test_nothing_behind_what_breaks_the_protocol_is_run(
    client: Client, backend: FakeBackend
) -> None:
    await client.send(said("INCR", "a") + b"INCR b\r\n" + said("INCR", "c"))
    assert await client.rest() == b":1\r\n-ERR Protocol error: expected '*', got 'I'\r\n"
    assert backend.started == [("a", 1)]


async def test_a_transaction_is_refused_whole(client: Client, backend: FakeBackend) -> None:
    """Clients send it in one go, and again as a whole where they are told of an error."""
    await client.send(said("INCR", "a") * 2)
    assert [await heard(client) for _ in range(2)] == [1, 2]
    assert await ask(client, "INCR", "a") == 3
    await client.send(said("MULTI") + said("INCR", "a") * 2 + said("NOPE") + said("EXEC"))
    assert str(await heard(client)).startswith("ERR no 'multi' here: there are no transactions")
    for _ in range(3):
        assert str(await heard(client)).startswith("ERR not run: it follows a MULTI")
    assert str(await heard(client)).startswith("EXECABORT ")
    for word in "MULTI", "INCR", "EXEC":
        assert isinstance(await ask(client, word, *["a"] * (word == "INCR")), Failure)
    assert len(backend.started) == 3
    assert await ask(client, "INCR", "a") == 4


@pytest.mark.parametrize("end", ["DISCARD", "exec", "RESET"])
async def test_a_refused_transaction_ends(client: Client, end: str) -> None:
    await ask(client, "INCR", "a")
    await client.send(said("MULTI") + said("INCR", "a") + said(end) + said("INCR", "a"))
    answers = [await heard(client) for _ in range(4)]
    assert isinstance(answers[1], Failure)
    assert answers[3] == 2


@pytest.mark.parametrize("command", ["EXEC", "DISCARD", "WATCH", "UNWATCH"])
async def test_the_rest_of_transactions_is_refused_alone(client: Client, command: str) -> None:
    assert "there are no transactions" in str(await ask(client, command, "a"))
    assert await ask(client, "INCR", "a") == 1


async def test_quit_ends_the_connection(client: Client, backend: FakeBackend) -> None:
    await client.send(said("INCR", "a") + said("QUIT") + said("INCR", "b"))
    assert await client.rest() == b":1\r\n+OK\r\n"
    assert backend.started == [("a", 1)]


async def test_half_a_close_is_answered(client: Client) -> None:
    await client.send(said("INCR", "a") * 100 + said("INCR", "a")[:-1])
    client.half_close()
    assert await client.rest() == b"".join(b":%d\r\n" % number for number in range(1, 101))


@pytest.mark.parametrize(
    ("why", "code"),
    [
        (Why.UNAVAILABLE, "UNAVAILABLE"),
        (Why.DISK, "MISCONF"),
        (Why.UNCERTAIN, "UNCERTAIN"),
        (Why.CONFLICT, "ERR"),
        (Why.KEY, "ERR"),
    ],
)
async def test_why_it_did_not_count_is_the_first_word(
    client: Client, backend: FakeBackend, why: Why, code: str
) -> None:
    backend.refusal = Refused(why, "so\nit is", 1)
    assert await ask(client, "INCR", "a") == f"{code} so it is"


RETRIED = ("LOADING", "READONLY", "CLUSTERDOWN", "TRYAGAIN", "MASTERDOWN", "NOREPLICAS", "BUSY")


@pytest.mark.parametrize("why", Why)
async def test_no_answer_makes_clients_send_a_pipeline_again(
    client: Client, backend: FakeBackend, why: Why
) -> None:
    """What else was in it would count twice."""
    backend.refusal = Refused(why, "why", 1)
    answer = await ask(client, "INCR", "a")
    assert isinstance(answer, Failure)
    assert not answer.startswith(RETRIED)
    assert "max number of clients" not in answer


async def test_a_fault_of_the_daemon_costs_one_answer(
    client: Client, backend: FakeBackend
) -> None:
    backend.broken = True
    assert str(await ask(client, "GET", "a")).startswith("ERR internal error")
    assert await ask(client, "INCR", "a") == 1


@pytest.mark.parametrize("limits", [{"words_max": 50}], indirect=True)
async def test_too_many_words_end_it(client: Client, limits: Limits) -> None:
    assert await ask(client, "MGET", *["a"] * 49) == [None] * 49
    await client.send(said("MGET", *["a"] * 50))
    answer = await client.rest()
    assert answer.startswith(b"-ERR Protocol error: invalid multibulk length: ")


async def test_after_a_large_command_nothing_is_read_until_it_is_answered(
    client: Client, backend: FakeBackend
) -> None:
    backend.paused = True
    backend.values = {"a": 1}
    large = said("MGET", *["a" * 100] * 100)
    await client.send(said("INCR", "a") + large + said("INCR", "b") * 3000)
    await until(lambda: len(backend.waiting) == 1)
    backend.paused = False
    backend.commit()
    assert await heard(client) == 2
    assert await heard(client) == [None] * 100
    assert [await heard(client) for _ in range(3000)] == [*range(1, 3001)]


@pytest.mark.parametrize("limits", [{"text_idle_timeout": 0.2}], indirect=True)
@pytest.mark.parametrize("last", [b"", b"*2\r\n$4\r\n"])
async def test_who_says_nothing_more_is_closed(
    client: Client, limits: Limits, last: bytes
) -> None:
    await client.send(said("INCR", "a") + last)
    assert await client.rest() == b":1\r\n"


@pytest.mark.parametrize("limits", [{"connections_max": 1}], indirect=True)
@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("INCR", "b"), b":1\r\n"),
        (("GET", "a"), b"$1\r\n1\r\n"),
        (("PING",), b"+PONG\r\n"),
        (("NOPE",), b"-ERR unknown command 'NOPE', with args beginning with:\r\n"),
        (("HELLO", "3"), b"-ERR max number of clients reached\r\n"),
        (("KEYS", "*"), b"-ERR max number of clients reached\r\n"),
    ],
)
async def test_where_all_are_busy_one_short_question_is_answered(
    connect: Connect, port: SidePort, backend: FakeBackend, limits: Limits,
    words: tuple[str, ...], answer: bytes,
) -> None:  # fmt: skip
    busy = await connect()
    assert await ask(busy, "INCR", "a") == 1
    assert await ask(busy, "GET", "a") == "1"
    backend.paused = True
    await busy.send(said("INCR", "a"))
    await until(lambda: len(backend.waiting) == 1)
    backend.paused = False
    guest = await connect()
    await guest.send(said(*words) * 2)
    assert await guest.rest() == answer
