"""Every HTTP call and every error that its arguments can bring."""

from __future__ import annotations

import json

import pytest

from gossipd.core import Refused, Why
from gossipd.sideport.limits import Limits

from .fake import Client, FakeBackend, increment_id


async def test_an_increment_without_a_body_adds_one_to_the_default_counter(client: Client) -> None:
    answer = await client.request("POST", "/increment")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json == {
        "id": str(increment_id(1)),
        "counter": "default",
        "by": 1,
        "count": 1,
        "duplicate": False,
    }


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/increment", b'{"counter": "h\xc3\xa9 \\"x\\"", "by": -3}'),
        ("/increment?counter=h%C3%A9+%22x%22&by=-3", None),
        ("/increment?by=-3", b'{"counter": "h\\u00e9 \\"x\\""}'),
        ("http://127.0.0.1/increment?by=-3&counter=h%c3%a9%20%22x%22", b"  "),
    ],
)
async def test_an_increment_takes_its_fields_from_body_and_query(
    client: Client, backend: FakeBackend, target: str, body: bytes | None
) -> None:
    form = "Content-Type: application/x-www-form-urlencoded"
    answer = await client.request("POST", target, body, form)
    assert backend.values == {'hé "x"': -3}
    assert answer.json == {
        "id": str(increment_id(-3)),
        "counter": 'hé "x"',
        "by": -3,
        "count": -3,
        "duplicate": False,
    }


BAD_INCREMENTS = [
    ("", b'{"by": 0}', "must not be 0"),
    ("", b'{"by": 1.5}', "must be an integer"),
    ("", b'{"by": 1.0}', "must be an integer"),
    ("", b'{"by": "x"}', "must be an integer"),
    ("", b'{"by": "1"}', "must be an integer"),
    ("", b'{"by": true}', "must be an integer"),
    ("", b'{"by": null}', "must be an integer"),
    ("", b'{"by": 1180591620717411303424}', "within -2^53 and 2^53"),
    ("", b'{"by": -9007199254740993}', "within -2^53 and 2^53"),
    ("", b'{"by": ' + b"9" * 5000 + b"}", "not JSON"),
    ("", b'{"by": NaN}', "not JSON"),
    ("?by=0", None, "must not be 0"),
    ("?by=1.5", None, "must be an integer"),
    ("?by=x", None, "must be an integer"),
    ("?by=", None, "must be an integer"),
    ("?by=1180591620717411303424", None, "within -2^53 and 2^53"),
    ("?by=%D9%A3", None, "must be an integer"),
    ("", b'{"counter": ""}', "1 to 128 bytes"),
    ("", json.dumps({"counter": "é" * 65}).encode(), "1 to 128 bytes"),
    ("", b'{"counter": "a\\nb"}', "control characters"),
    ("", b'{"counter": "a\\u0085b"}', "control characters"),
    ("", b'{"counter": "\\ud800"}', "valid Unicode"),
    ("", b'{"counter": 5}', "must be a string"),
    ("?counter=", None, "1 to 128 bytes"),
    ("?counter=%FF", None, "not UTF-8"),
    ("?counter=%zz", None, "two hexadecimal digits"),
    ("?counter=a&counter=b", None, "given twice"),
    ("?counter=a", b'{"counter": "a"}', "in the query and in the body"),
    ("", b'{"by": 1, "by": 2}', "twice"),
    ("", b'{"origin": "x"}', "known here: ack, ack_memory, by, counter, key, timeout"),
    ("?origin=x", None, "unknown field"),
    ("", b"counter=x", "not JSON"),
    ("", b'{"by": 1', "not JSON"),
    ("", b"\xff", "not JSON"),
    ("", b"[" * 60000, "not JSON"),
    ("", b"[1]", "must be a JSON object"),
    ("", b'"x"', "must be a JSON object"),
]


@pytest.mark.parametrize(("query", "body", "detail"), BAD_INCREMENTS)
async def test_a_bad_increment_is_refused_and_the_next_good_one_works(
    client: Client, backend: FakeBackend, query: str, body: bytes | None, detail: str
) -> None:
    answer = await client.request("POST", "/increment" + query, body)
    assert answer.status == 400
    assert detail in answer.detail
    assert (await client.request("POST", "/increment")).status == 200
    assert backend.started == [("default", 1)]


@pytest.mark.parametrize("by", [2**53, -(2**53)])
async def test_the_largest_amounts_are_accepted(client: Client, by: int) -> None:
    answer = await client.request("POST", f"/increment?by={by}")
    assert answer.status == 200


async def test_the_longest_name_is_accepted(client: Client) -> None:
    assert (await client.request("POST", "/increment?counter=" + "x" * 128)).status == 200


@pytest.mark.parametrize(
    ("why", "status", "retry_after"),
    [(Why.CONFLICT, 409, None), (Why.KEY, 422, None), (Why.UNAVAILABLE, 503, 5)],
)
async def test_a_refused_increment_tells_why(
    client: Client, backend: FakeBackend, why: Why, status: int, retry_after: int | None
) -> None:
    backend.refusal = Refused(why, "because", retry_after)
    answer = await client.request("POST", "/increment")
    assert (answer.status, answer.detail) == (status, "because")
    assert answer.headers.get("retry-after") == (None if retry_after is None else "5")


async def test_an_increment_that_fails_unexpectedly_is_a_500(
    client: Client, backend: FakeBackend
) -> None:
    backend.unstartable = ZeroDivisionError()
    assert (await client.request("POST", "/increment")).status == 500
    backend.unstartable = None
    assert (await client.request("POST", "/increment")).status == 200


async def test_a_command_that_fails_unexpectedly_is_a_500(
    client: Client, backend: FakeBackend
) -> None:
    backend.broken = True
    assert (await client.request("GET", "/count")).status == 500
    assert (await client.request("GET", "/health")).status == 200


async def test_counts_are_answered(client: Client, backend: FakeBackend) -> None:
    backend.values = {"default": 3, "a b": 2**61}
    assert (await client.request("GET", "/count")).json == {"counter": "default", "count": 3}
    assert (await client.request("GET", "/count?counter=a%20b")).json == {
        "counter": "a b",
        "count": 2**61,
    }
    assert (await client.request("GET", "/count?counter=unknown")).json == {
        "counter": "unknown",
        "count": 0,
    }
    assert (await client.request("GET", "/counters")).json == {"default": 3, "a b": 2**61}


@pytest.mark.parametrize("target", ["/count", "/counters", "/ready"])
async def test_counts_wait_for_a_node_that_catches_up(
    client: Client, backend: FakeBackend, target: str
) -> None:
    backend.reason = "2 of 5 pages are missing"
    answer = await client.request("GET", target)
    assert answer.status == 503
    assert "2 of 5 pages are missing" in answer.detail
    assert ("catching up" in answer.detail) is (target != "/ready")
    assert answer.headers["retry-after"] == "1"
    assert (await client.request("POST", "/increment")).status == 200
    backend.reason = None
    assert (await client.request("GET", target)).status == 200


async def test_a_trouble_sends_clients_elsewhere_and_leaves_counts_alone(
    client: Client, backend: FakeBackend
) -> None:
    backend.trouble = "the disk is full"
    answer = await client.request("GET", "/ready")
    assert (answer.status, answer.detail) == (503, "the disk is full")
    assert (await client.request("GET", "/count")).status == 200


async def test_an_increment_can_be_looked_up(client: Client) -> None:
    target = f"/increments/{increment_id(7)}"
    assert (await client.request("GET", target)).json == {
        "id": str(increment_id(7)),
        "counted": True,
    }
    assert (await client.request("GET", target.upper().replace("INCREMENTS", "increments"))).json
    answer = await client.request("GET", target + "?counter=b")
    assert answer.json == {"id": str(increment_id(7)), "counted": False}


@pytest.mark.parametrize(
    "uuid",
    [
        "",
        "x",
        "00000000000080008000000000000001",
        "{00000000-0000-8000-8000-000000000001}",
        "00000000-0000-4000-8000-000000000001",
    ],
)
async def test_a_bad_increment_id_is_refused(client: Client, uuid: str) -> None:
    assert (await client.request("GET", f"/increments/{uuid}")).status == 400


async def test_the_log_has_a_limit(client: Client, backend: FakeBackend) -> None:
    answer = await client.request("GET", "/log")
    assert isinstance(answer.json, list)
    assert answer.json[0]["counter"] == "two words"
    assert len(answer.json) == 100
    for good in (1, 1000):
        answer = await client.request("GET", f"/log?limit={good}")
        assert isinstance(answer.json, list)
        assert len(answer.json) == good
    listed = backend.listed
    for bad in ("0", "1001", "-1", "x", "1.5"):
        assert (await client.request("GET", f"/log?limit={bad}")).status == 400
    assert backend.listed == listed


async def test_health_readiness_peers_members_and_status_are_answered(
    client: Client, backend: FakeBackend
) -> None:
    health = await client.request("GET", "/health")
    assert (health.status, health.body) == (200, b"OK\n")
    assert health.headers["content-type"].startswith("text/plain")
    assert (await client.request("GET", "/ready")).json == {"ready": True}
    assert (await client.request("GET", "/peers")).json == list(backend.peers())
    assert (await client.request("GET", "/members")).json == list(backend.members("", ""))
    assert (await client.request("GET", "/status")).json == backend.status()
    assert (await client.request("GET", "/explain?name=a%20b")).json == backend.explain("a b")
    unknown = await client.request("GET", "/explain?name=nobody")
    assert (unknown.status, b"no member is called" in unknown.body) == (404, True)
    assert (await client.request("GET", "/explain")).status == 400


async def test_health_is_fine_while_the_node_catches_up(
    client: Client, backend: FakeBackend
) -> None:
    backend.reason = "not yet"
    assert (await client.request("GET", "/health")).status == 200


async def test_joining_leaving_and_forgetting_are_accepted(
    client: Client, backend: FakeBackend
) -> None:
    joined = await client.request("POST", "/join", b'{"peers": ["a:1", "b:2"]}')
    assert (joined.status, joined.json) == (202, {"joining": ["a:1", "b:2"]})
    assert (await client.request("GET", "/join")).json == backend.seeds()
    forgotten = await client.request("POST", "/forget", b'{"name": "gone"}')
    assert (forgotten.status, forgotten.json) == (202, {"forgotten": "gone"})
    left = await client.request("POST", "/leave", b"{}")
    assert (left.status, left.json) == (202, {"leaving": True})
    assert (backend.joined, backend.forgotten, backend.left) == (["a:1", "b:2"], ["gone"], True)


@pytest.mark.parametrize(
    ("target", "body", "status"),
    [
        ("/join", b"", 400),
        ("/join", b"{}", 400),
        ("/join", b'{"peers": "a:1"}', 400),
        ("/join", b'{"peers": []}', 400),
        ("/join", b'{"peers": [1]}', 400),
        ("/join", b'{"peers": [""]}', 400),
        ("/join", b'{"peers": ["nonsense"]}', 400),
        ("/join?peers=a:1", b"", 400),
        ("/leave", b'{"now": true}', 400),
        ("/leave?now=1", b"", 400),
        ("/forget", b"{}", 400),
        ("/forget", b'{"name": 1}', 400),
        ("/forget", b'{"name": "unknown"}', 404),
        ("/forget", b'{"name": "n1"}', 409),
    ],
)
async def test_what_cannot_be_joined_left_or_forgotten_is_refused(
    client: Client, backend: FakeBackend, target: str, body: bytes, status: int
) -> None:
    answer = await client.request("POST", target, body)
    assert answer.status == status
    assert answer.detail
    assert (backend.joined, backend.forgotten, backend.left) == ([], [], False)


async def test_the_front_page_lists_the_calls(client: Client) -> None:
    answer = await client.request("GET", "/")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert b"POST  /increment " in answer.body


@pytest.mark.parametrize("target", ["/", "/count", "/health", "/nowhere", "/increment"])
async def test_head_answers_the_head_that_get_would(client: Client, target: str) -> None:
    with_body = await client.request("GET", target)
    without = await client.request("HEAD", target)
    assert without.status == with_body.status
    if with_body.status != 405:
        for answer in (with_body, without):
            assert answer.headers.pop("date"), "a second may have passed between them"
        assert without.headers == with_body.headers
    assert (await client.request("GET", "/health")).status == 200


@pytest.mark.parametrize(
    "target", ["/nowhere", "/Count", "/count/", "/increments/a/b", "/sources/a", "//count"]
)
async def test_an_unknown_path_is_a_404(client: Client, target: str) -> None:
    assert "GET / lists the calls" in (await client.request("GET", target)).detail


@pytest.mark.parametrize(
    ("method", "target", "allow"),
    [
        ("GET", "/increment", "POST, OPTIONS"),
        ("POST", "/count", "GET, HEAD, OPTIONS"),
        ("DELETE", "/counters", "GET, HEAD, OPTIONS"),
        ("PATCH", "/leave", "POST, OPTIONS"),
        ("PUT", f"/increments/{increment_id(1)}", "GET, HEAD, OPTIONS"),
    ],
)
async def test_a_wrong_method_is_a_405_that_names_the_right_ones(
    client: Client, method: str, target: str, allow: str
) -> None:
    answer = await client.request(method, target)
    assert (answer.status, answer.headers["allow"]) == (405, allow)
    assert allow in answer.detail


@pytest.mark.parametrize("target", ["/count?x=1", "/health?counter=a", "/members?most=1"])
async def test_an_unknown_field_is_a_400(client: Client, target: str) -> None:
    assert "unknown field" in (await client.request("GET", target)).detail


@pytest.mark.parametrize(
    ("origin", "host", "status"),
    [
        ("http://127.0.0.1:7947", "127.0.0.1:7947", 200),
        ("http://localhost:7947", "LocalHost:7947", 200),
        ("http://[::1]:7947", "[::1]:7947", 200),
        ("http://evil.example", "127.0.0.1:7947", 403),
        ("http://127.0.0.1:8000", "127.0.0.1:7947", 403),
        ("http://rebound.example:7947", "rebound.example:7947", 403),
        ("null", "127.0.0.1:7947", 403),
        ("file://", "", 403),
        ("", "127.0.0.1:7947", 403),
    ],
)
async def test_pages_of_other_sites_may_not_count(
    client: Client, backend: FakeBackend, origin: str, host: str, status: int
) -> None:
    head = f"POST /increment HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\n\r\n"
    await client.send(head.encode())
    assert (await client.response()).status == status
    assert len(backend.started) == (status == 200)


BROWSERS = {
    "Origin": "Origin: http://{host}",
    "Sec-Fetch": "Sec-Fetch-Site: same-origin",
    "User-Agent": "User-Agent: Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0",
}


@pytest.mark.parametrize("limits", [{"names": frozenset({"node-7.lan"})}], indirect=True)
@pytest.mark.parametrize("path", ["/counters", "/members", "/health"])
@pytest.mark.parametrize("field", BROWSERS.values(), ids=BROWSERS)
async def test_a_browser_may_ask_only_by_a_name_that_nobody_can_rebind(
    client: Client, limits: Limits, field: str, path: str
) -> None:
    for host, status in (
        ("rebound.example:7947", 403),
        ("node-7.lan.evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost.evil.example:7947", 403),
        ("node-7.lan:7947", 200),
        ("Node-7.LAN.:7947", 200),
        ("localhost:7947", 200),
        ("192.0.2.7", 200),
        ("[2001:db8::7]:7947", 200),
    ):
        head = f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{field.format(host=host)}\r\n\r\n"
        await client.send(head.encode())
        assert (await client.response()).status == status, host


@pytest.mark.parametrize("agent", ["curl/8.5.0", "Java-http-client/17", "kube-probe/1.30", ""])
async def test_a_program_may_ask_by_any_name(client: Client, agent: str) -> None:
    head = f"GET /count HTTP/1.1\r\nHost: gossipd.default.svc\r\nUser-Agent: {agent}\r\n\r\n"
    await client.send(head.encode())
    assert (await client.response()).status == 200
