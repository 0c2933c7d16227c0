"""Tokens: what each right and each prefix allows, in all dialects."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_asyncio

from gossipd.config.tokens import Grant, Grants, Right, digest_of
from gossipd.sideport.access import GONE
from gossipd.sideport.calls import CALLS
from gossipd.sideport.connection import Connection
from gossipd.sideport.listening import UNIX
from gossipd.sideport.port import SidePort
from gossipd.sideport.resp.commands import COMMANDS as RESP
from gossipd.sideport.text import COMMANDS as TEXT
from tests.deadline import DEADLINE

from .conftest import Connect
from .fake import KEY, Client, FakeBackend, FakeTransport, Response, until
from .test_waits import ID, end

TOKENS = {
    "read": Grant(Right.READ),
    "write": Grant(Right.WRITE),
    "admin": Grant(Right.ADMIN),
    "jobs": Grant(Right.WRITE, "jobs."),
    "look": Grant(Right.READ, "jobs."),
}
"""By name; each is called `token-NAME`."""


def token(name: str) -> bytes:
    return f"token-{name}".encode()


def grants(*names: str) -> Grants:
    digests = {name: digest_of(token(name)) for name in names or TOKENS}
    return {digest: TOKENS[name]._replace(digest=digest) for name, digest in digests.items()}


def bearer(name: str) -> str:
    return f"Authorization: Bearer {token(name).decode()}"


def basic(user: str, name: str) -> str:
    return f"Authorization: basic {base64.b64encode(user.encode() + b':' + token(name)).decode()}"


def resp(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words)


@pytest_asyncio.fixture
async def port(port: SidePort) -> AsyncIterator[SidePort]:
    port.change_tokens(grants())
    yield port


@pytest.fixture
def backend(backend: FakeBackend) -> FakeBackend:
    for name in ("a", "jobs.a", "jobs.b", "z"):
        backend.add(name, 1)
    return backend


# --- rights ------------------------------------------------------------------------------------


EACH = pytest.mark.parametrize("right", Right, ids=lambda right: right.name)


@EACH
async def test_each_call_needs_its_right(connect: Connect, right: Right) -> None:
    headers = [bearer(right.name.lower())] if right else []
    for call in CALLS:
        client = await connect()
        target = call.path.replace("{", "").replace("}", "")
        method = "HEAD" if call.flows else call.method
        body = None if call.method == "GET" else b"{}"
        answer = await client.request(method, target, body, *headers)
        if right >= call.right:
            assert answer.status not in (401, 403), call
        else:
            assert answer.status == (403 if right else 401), call
            assert ("www-authenticate" in answer.headers) is not bool(right)


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        ((), True),
        (("Accept: application/json",), True),
        (("User-Agent: Mozilla/5.0", "Accept: text/html,*/*;q=0.8"), True),
        (("User-Agent: Mozilla/5.0",), True),
        (("User-Agent: Mozilla/5.0", "Accept: application/json"), False),
        (("User-Agent: Mozilla/5.0", "Accept: text/event-stream"), False),
    ],
)
async def test_a_visitor_is_asked_for_a_token_where_he_opens_an_address_himself(
    client: Client, fields: tuple[str, ...], asked: bool
) -> None:
    """A browser has him asked for each request of a script, too, if Basic is offered for it."""
    answer = await client.request("GET", "/status", None, *fields)
    assert answer.status == 401
    offered = answer.headers["www-authenticate"]
    assert ("Basic" in offered) is asked


@EACH
async def test_each_command_of_text_needs_its_right(connect: Connect, right: Right) -> None:
    mine = right.name.lower()
    for name, command in TEXT.items():
        client = await connect()
        if right:
            await client.send(b"auth " + token(mine) + b"\n")
            assert await client.line() == "ok"
        await client.send(name.encode() + b"\n")
        client.half_close()
        async with asyncio.timeout(DEADLINE):
            answer = (await client.reader.readline()).decode()
        needs = f"error: this needs a token for {command.right.name.lower()}, and yours is for"
        nobody = "error: a token is needed: auth TOKEN\n"
        if right >= command.right:
            assert not answer.startswith(("error: this", "error: a token")), name
        else:
            assert answer == (f"{needs} {mine}\n" if right else nobody), name


@EACH
async def test_each_command_of_resp_needs_its_right(connect: Connect, right: Right) -> None:
    for name, row in RESP.items():
        client = await connect()
        said = resp(name.encode(), *[b"1"] * (abs(row.arity) - 1))
        if right:
            said = resp(b"auth", token(right.name.lower())) + said
        await client.send(said)
        client.half_close()
        answer = (await client.rest()).removeprefix(b"+OK\r\n" if right else b"")
        if name == "AUTH":
            assert answer.startswith(b"-WRONGPASS ")
        elif right >= (Right.READ if name == "HELLO" else row.right):
            assert not answer.startswith((b"-NOAUTH", b"-NOPERM")), name
        else:
            assert answer.startswith(b"-NOPERM " if right else b"-NOAUTH "), name


async def test_what_is_asked_without_the_right_is_not_done(
    connect: Connect, backend: FakeBackend
) -> None:
    for headers in ((), (bearer("read"),), (bearer("none"),)):
        client = await connect()
        for target, body in (
            ("/increment", b"{}"),
            ("/increments", b'{"by": 1}'),
            ("/leave", b""),
        ):
            if (await client.request("POST", target, body, *headers)).headers.get("connection"):
                client = await connect()
    for said in (b"increment\n", b"auth token-read\nincrement\nincrement\n"):
        client = await connect()
        await client.send(said)
    client = await connect()
    await client.send(resp(b"INCR", b"a") * 3)
    await client.send(resp(b"AUTH", b"token-read") + resp(b"INCR", b"a") * 3)
    client.half_close()
    await client.rest()
    assert (backend.started, backend.items, backend.left) == ([], [], False)


# --- how a token is shown ----------------------------------------------------------------------


async def test_http_takes_bearer_and_basic(client: Client) -> None:
    for header in (bearer("read"), basic("", "read"), basic("me", "read"), basic("läß", "read")):
        assert (await client.request("GET", "/count", None, header)).status == 200


WRONG = (
    *("", "Bearer", "Bearer ", "Bearer token-rea", "Bearer token-read token-read", "token-read"),
    *("Digest token-read", "Basic token-read", "Basic \N{SNOWMAN}"),
    "Basic " + base64.b64encode(b"token-read").decode(),
    "Bearer token-read, Bearer token-read",
)


async def test_any_other_token_is_wrong_and_costs_the_connection(
    connect: Connect, port: SidePort
) -> None:
    for value in WRONG:
        client = await connect()
        answer = await client.request("GET", "/count", None, f"Authorization: {value}")
        assert answer.status == 401, value
        assert answer.headers["connection"] == "close"
        assert await client.rest() == b""
    assert dict(port.answered)["http", "count", "401"] == len(WRONG)


async def test_two_tokens_in_one_request_are_none(client: Client) -> None:
    headers = (bearer("read"), bearer("admin"))
    assert (await client.request("GET", "/count", None, *headers)).status == 401


async def test_who_shows_no_token_may_go_on_as_browsers_do(client: Client) -> None:
    assert (await client.request("GET", "/")).status == 401
    assert (await client.request("GET", "/nothing")).status == 401
    assert (await client.request("GET", "/", None, basic("", "read"))).status == 200
    assert (await client.request("GET", "/nothing", None, basic("", "read"))).status == 404


@pytest.mark.parametrize(("shown", "status"), [((), 401), ((bearer("read"),), 403)])
async def test_a_body_that_may_not_be_sent_costs_the_connection_and_nothing_else_does(
    client: Client, shown: tuple[str, ...], status: int
) -> None:
    answer = await client.request("POST", "/increment", None, *shown)
    assert (answer.status, answer.headers.get("connection")) == (status, None)
    answer = await client.request("POST", "/increment", b"{}", *shown)
    assert (answer.status, answer.headers["connection"]) == (status, "close")
    assert await client.rest() == b""


async def test_health_and_readiness_need_no_token_nor_a_good_one(client: Client) -> None:
    for headers in ((), (bearer("none"),)):
        assert (await client.request("GET", "/health", None, *headers)).status == 200
        assert (await client.request("GET", "/ready", None, *headers)).status == 200


async def test_the_body_of_a_stranger_is_not_waited_for(client: Client, port: SidePort) -> None:
    head = b"POST /increments HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n"
    await client.send(head + b"Expect: 100-continue\r\n\r\n")
    assert (await client.response()).status == 401
    assert port.held_size == 0
    assert await client.rest() == b""


async def test_text_is_told_of_a_wrong_token_and_has_to_connect_again(client: Client) -> None:
    await client.send(b"auth token-read\ncount\nauth token-rea\ncount\n")
    assert await client.rest() == b"ok\n0\nerror: no such token\n"


async def test_text_shows_no_token_that_was_mistyped(client: Client) -> None:
    await client.send(b'auth\nauth token-read x\nauth "token-read\ncount\nauth token=token-read\n')
    client.half_close()
    answer = (await client.rest()).decode()
    assert answer.count("error: ") == 5
    assert "token-read" not in answer


async def test_redis_clients_hear_the_words_they_know(connect: Connect) -> None:
    client = await connect()
    said = [
        (resp(b"PING"), b"+PONG\r\n"),
        (resp(b"GET", b"a"), b"-NOAUTH a token is needed: AUTH TOKEN\r\n"),
        (resp(b"HELLO", b"3"), b"-NOAUTH a token is needed: AUTH TOKEN, or HELLO 3 AUTH default "
         b"TOKEN\r\n"),
        (resp(b"CLIENT", b"SETINFO", b"lib-name", b"x"), b"-NOAUTH a token"),
        (resp(b"AUTH", b"default", b"token-read"), b"+OK\r\n"),
        (resp(b"GET", b"a"), b"$1\r\n1\r\n"),
        (resp(b"INCR", b"a"), b"-NOPERM this needs a token for write, and yours is for read\r\n"),
        (resp(b"AUTH", b"token-write"), b"+OK\r\n"),
        (resp(b"INCR", b"a"), b":2\r\n"),
        (resp(b"RESET"), b"+RESET\r\n"),
        (resp(b"GET", b"a"), b"-NOAUTH "),
        (resp(b"HELLO", b"3", b"AUTH", b"till", b"token-admin"), b"%7\r\n"),
    ]  # fmt: skip
    for request, answer in said:
        await client.send(request)
        async with asyncio.timeout(DEADLINE):
            assert (await client.reader.read(4096)).startswith(answer)
    await client.send(resp(b"AUTH", b"token-rea") + resp(b"INCR", b"a"))
    assert await client.rest() == b"-WRONGPASS no such token\r\n"
    client = await connect()
    await client.send(resp(b"HELLO", b"3", b"AUTH", b"default", b"x") + resp(b"PING"))
    assert await client.rest() == b"-WRONGPASS no such token\r\n"


# --- prefixes ----------------------------------------------------------------------------------


BOUNDED: tuple[tuple[str, str, bytes | None, object], ...] = (
    ("GET", "/count?counter=jobs.a", None, {"counter": "jobs.a", "count": 1}),
    ("GET", "/count?counter=a", None, 403),
    ("GET", "/count", None, 403),
    ("POST", "/increment", b'{"counter": "a"}', 403),
    ("GET", "/counters", None, {"jobs.a": 1, "jobs.b": 1}),
    ("GET", "/counters?prefix=jo", None, {"jobs.a": 1, "jobs.b": 1}),
    ("GET", "/counters?prefix=jobs.b", None, {"jobs.b": 1}),
    ("GET", "/counters?prefix=a", None, 403),
    ("GET", "/counters?prefix=jobsx", None, 403),
    ("PUT", "/sources/c/a", b'{"seq": 1, "total": 1}', 403),
    ("GET", "/increments/01890a5d-ac96-874b-bcce-b302099a8057", None, 403),
    ("GET", "/increments/01890a5d-ac96-874b-bcce-b302099a8057?counter=a", None, 403),
    ("GET", "/increments?key=01890a5d-ac96-774b-bcce-b302099a8057", None, 404),
    ("GET", "/log?prefix=a", None, 403),
    ("GET", "/metrics?counters=a", None, 403),
    ("GET", "/members?prefix=node", None, None),
    ("GET", "/status", None, None),
    ("GET", "/events?counter=jobs.a&counter=a", None, 403),
)


async def test_a_prefix_bounds_what_http_may_name(client: Client) -> None:
    for method, target, body, expected in BOUNDED:
        answer = await client.request(method, target, body, bearer("jobs"))
        if isinstance(expected, int):
            assert answer.status == expected, target
        else:
            assert answer.status == 200, target
            assert expected is None or answer.json == expected, target


async def test_a_prefix_bounds_each_line_of_a_batch(client: Client, backend: FakeBackend) -> None:
    body = b'{"counter": "jobs.a"}\n{"counter": "a"}\n{}\n{"counter": "jobs."}'
    asking = asyncio.create_task(client.request("POST", "/increments", body, bearer("jobs")))
    answers = (await asking).json
    assert isinstance(answers, list)
    assert [answer.get("status") for answer in answers] == [None, 403, 403, None]
    assert [item.counter for item in backend.items] == ["jobs.a", "jobs."]


async def test_a_prefix_bounds_text(client: Client, backend: FakeBackend) -> None:
    await client.send(b"auth token-jobs\ncount jobs.a\ncount a\nincrement\nincrement jobs.a\n")
    await client.send(b"increment jobs.a\ncount jobs.a\ncounters\ncounters prefix=a\n")
    client.half_close()
    refusal = "error: this token is for counters alone that begin with 'jobs.'"
    assert (await client.rest()).decode().splitlines() == [
        *("ok", "1", refusal, refusal, "2", "3", "3", "jobs.a\t3", "jobs.b\t1", "", refusal)
    ]
    assert {name for name, _ in backend.started} == {"jobs.a"}


@pytest.mark.usefixtures("unhurried")
async def test_a_prefix_bounds_resp(client: Client, backend: FakeBackend) -> None:
    refusal = b"-NOPERM this token is for counters alone that begin with 'jobs.'\r\n"
    said = [
        (resp(b"GET", b"a"), refusal),
        (resp(b"GET", b"jobs.a"), b"$1\r\n1\r\n"),
        (resp(b"INCR", b"a"), refusal),
        (resp(b"INCRBY", b"a", b"0"), refusal),
        (resp(b"GOSSIPD.INCRBY", b"a", b"1", b"k"), refusal),
        (resp(b"MGET", b"jobs.a", b"a"), refusal),
        (resp(b"EXISTS", b"a"), refusal),
        (resp(b"TYPE", b"a"), refusal),
        (resp(b"KEYS", b"*"), b"*2\r\n$6\r\njobs.a\r\n$6\r\njobs.b\r\n"),
        (resp(b"SCAN", b"0"), b"*2\r\n$1\r\n0\r\n*2\r\n$6\r\njobs.a\r\n$6\r\njobs.b\r\n"),
    ]
    await client.send(resp(b"AUTH", b"token-jobs") + b"".join(request for request, _ in said))
    await client.send(resp(b"MGET", b"a") + resp(b"RESET"))
    client.half_close()
    expected = b"".join(answer for _, answer in said)
    assert await client.rest() == b"+OK\r\n" + expected + refusal + b"+RESET\r\n"
    assert backend.started == []


async def test_what_others_may_ask_again_and_again_is_known_to_no_stranger(
    connect: Connect, backend: FakeBackend
) -> None:
    """What is remembered by its words or bytes is remembered of who might say it."""
    refused = 0
    keyed = resp(b"GOSSIPD.INCRBY", b"a", b"1", str(KEY).encode())
    for said in (b"increment a\n", resp(b"INCR", b"a"), keyed):
        by_text = said.startswith(b"i")
        for name, may in (("write", True), ("read", False), ("jobs", False), ("none", False)):
            client = await connect()
            if name != "none":
                shown = token(name)
                await client.send(b"auth %b\n" % shown if by_text else resp(b"AUTH", shown))
                async with asyncio.timeout(DEADLINE):
                    await client.reader.readline()
            before = len(backend.started)
            for _ in range(4):
                await client.send(said.replace(str(KEY).encode(), str(uuid4()).encode()))
                async with asyncio.timeout(DEADLINE):
                    answer = await client.reader.readline()
                assert answer.startswith((b"error", b"-NO")) is not may
                refused += not may
            assert len(backend.started) == before + 4 * may
    assert refused == 3 * 3 * 4


async def test_an_open_listener_asks_nobody_and_lends_its_memory_to_no_other(
    connect: Connect, port: SidePort
) -> None:
    connection, transport = Connection(port, UNIX), FakeTransport()
    connection.connection_made(transport)
    asked = b"GET /count HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    for _ in range(3):
        connection.data_received(asked)
    await until(lambda: transport.written.count(b"200 OK") == 3)
    connection.connection_lost(None)
    client = await connect()
    for _ in range(3):
        await client.send(asked)
        assert (await client.response()).status == 401


# --- when tokens change ------------------------------------------------------------------------


async def again(client: Client, name: str) -> Response:
    """Asked often enough to be remembered."""
    for _ in range(3):
        answer = await client.request("POST", "/increment", None, bearer(name))
    return answer


async def test_a_token_that_is_gone_does_nothing_more_over_http(
    client: Client, port: SidePort
) -> None:
    assert (await again(client, "write")).status == 200
    assert port.access.requests.find(b"") is None
    port.change_tokens(grants("read", "admin"))
    assert (await client.request("POST", "/increment", None, bearer("write"))).status == 401


async def test_a_token_with_less_rights_does_less_over_http(
    client: Client, port: SidePort
) -> None:
    assert (await again(client, "write")).status == 200
    digest = digest_of(token("write"))
    port.change_tokens({digest: Grant(Right.READ, "", digest)})
    assert (await client.request("POST", "/increment", None, bearer("write"))).status == 403


@pytest.mark.parametrize(
    ("show", "ask"),
    [
        (b"auth token-write\n", b"increment\n"),
        (resp(b"AUTH", b"token-write"), resp(b"INCR", b"a")),
    ],
    ids=["text", "RESP"],
)
async def test_the_session_of_a_token_that_is_gone_ends(
    connect: Connect, port: SidePort, show: bytes, ask: bytes
) -> None:
    gone, other = await connect(), await connect()
    await gone.send(show + ask * 3)
    await other.send(show.replace(b"$11", b"$10").replace(b"write", b"read"))
    async with asyncio.timeout(DEADLINE):
        for _ in range(4):
            await gone.reader.readline()
        await other.reader.readline()
    port.change_tokens(grants("read"))
    assert await gone.rest() == b""
    await other.send(ask)
    async with asyncio.timeout(DEADLINE):
        assert b"token for write" in await other.reader.readline()


@pytest.mark.parametrize("remaining", [("read", "admin"), ("jobs", "read")])
async def test_a_watcher_goes_with_its_token(
    connect: Connect, port: SidePort, backend: FakeBackend, remaining: tuple[str, ...]
) -> None:
    http, text = await connect(), await connect()
    await http.send(f"GET /events HTTP/1.1\r\nHost: a\r\n{bearer('jobs')}\r\n\r\n".encode())
    await text.send(b"auth token-jobs\nwatch\n")
    async with asyncio.timeout(DEADLINE):
        await http.reader.readuntil(b"event: counts\n")
        await text.reader.readuntil(b"count  jobs.b  1\n")
    backend.add("a")
    backend.add("jobs.a")
    port.watchers.look()
    async with asyncio.timeout(DEADLINE):
        told = await text.reader.readline()
        head = await http.reader.readuntil(b"event: increment\n")
    assert b"jobs.a" in told
    assert b'"a"' not in head
    port.change_tokens(grants(*remaining))
    if "jobs" in remaining:
        assert len(port.watchers) == 2
        return
    rest = await http.rest()
    assert rest.endswith(b"0\r\n\r\n")
    assert GONE.encode() in rest
    assert GONE.encode() in await text.rest()
    assert len(port.watchers) == 0


async def test_a_watcher_that_has_not_begun_goes_with_its_token_too(
    client: Client, port: SidePort, backend: FakeBackend
) -> None:
    backend.paused = True
    await client.send(b"auth token-write\nincrement\nwatch\n")
    async with asyncio.timeout(DEADLINE):
        await client.reader.readline()
    await until(lambda: bool(backend.waiting))
    port.change_tokens(grants("read"))
    await until(lambda: port.connection_count == 0)
    assert len(port.watchers) == 0


@pytest.mark.parametrize(
    ("first", "behind"),
    [
        (b"auth token-admin\n", b"count after=%b\n" % str(ID).encode() * 2),
        (resp(b"AUTH", b"token-admin"), resp(b"INCR", b"a") + resp(b"WAIT", b"1", b"0") * 2),
        (
            b"",
            b"GET /count?after=%b HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n"
            b"POST /leave HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n"
            % (str(ID).encode(), *[bearer("admin").encode()] * 2),
        ),
    ],
    ids=["text", "RESP", "HTTP"],
)
async def test_what_waits_behind_something_slow_goes_with_its_token(
    client: Client, port: SidePort, backend: FakeBackend, first: bytes, behind: bytes
) -> None:
    """Else a token that is gone could have a node leave an hour later."""
    backend.slow = True
    await client.send(first + behind)
    await until(lambda: len(backend.waits) == 1)
    port.change_tokens(grants())  # the same as before
    port.change_tokens(grants("read"))
    end(backend, True)
    async with asyncio.timeout(10):
        rest = await client.rest()
    assert (b"0\n" in rest) or (b":" in rest) or (b'"count": 0' in rest)
    assert not backend.waits
    assert not backend.left
    assert b"leaving" not in rest
    await until(lambda: port.connection_count == 0)


async def test_the_same_tokens_again_trouble_nobody(
    client: Client, port: SidePort, backend: FakeBackend
) -> None:
    backend.slow = True
    asked = b"GET /count%b HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n"
    shown = bearer("read").encode()
    await client.send(asked % (b"?after=%b" % str(ID).encode(), shown) + asked % (b"", shown))
    await until(lambda: len(backend.waits) == 1)
    port.change_tokens(grants())
    end(backend, True)
    for _ in range(2):
        assert (await client.response()).status == 200
