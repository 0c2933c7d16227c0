"""What web pages may ask, of the port's own origin, of others, and of those that are let in."""

from __future__ import annotations

import base64

import pytest

from gossipd.config.tokens import Grant, Right, digest_of
from gossipd.sideport.port import SidePort

from .conftest import Connect
from .fake import Client, FakeBackend, Response

APP, OTHER = "https://app.example.org", "https://evil.example.org"
TOKEN = "token-of-a-page-1"
CORS = pytest.mark.parametrize("limits", [{"origins": frozenset({APP})}], indirect=True)


async def asked(
    client: Client, *fields: str, method: str = "GET", host: str = "127.0.0.1:7947"
) -> Response:
    target = "/count" if method == "GET" else "/increment"
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *fields, "Content-Length: 0"]
    await client.send("\r\n".join([*lines, "", ""]).encode())
    return await client.response()


@pytest.mark.parametrize(
    "fields",
    [
        # A page may call its browser something else (fetch in Firefox), and tell no referrer.
        ("User-Agent: curl/8", "Accept-Language: en"),
        ("User-Agent: curl/8", "Accept-Language: "),
        ("User-Agent: curl/8", "Referer: http://evil.example.org:7947/"),
        ("User-Agent: Mozilla/5.0",),
        ("Sec-Fetch-Mode: cors",),
        ("Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors"),
    ],
)
async def test_a_name_that_was_rebound_reads_nothing(
    client: Client, fields: tuple[str, ...]
) -> None:
    assert (await asked(client, *fields, host="evil.example.org:7947")).status == 403
    assert (await asked(client, *fields, host="127.0.0.1:7947")).status == 200


@pytest.mark.parametrize(
    ("site", "mode", "status"),
    [
        ("cross-site", "no-cors", 403),
        ("same-site", "no-cors", 403),
        ("cross-site", "cors", 403),
        ("cross-site", "navigate", 200),
        ("same-origin", "no-cors", 200),
        ("same-origin", "cors", 200),
        ("none", "navigate", 200),
    ],
)
async def test_pages_of_other_sites_link_here_and_embed_nothing(
    client: Client, site: str, mode: str, status: int
) -> None:
    answer = await asked(client, f"Sec-Fetch-Site: {site}", f"Sec-Fetch-Mode: {mode}")
    assert answer.status == status


@pytest.mark.parametrize("origin", [OTHER, "null", "http://127.0.0.1", "https://127.0.0.1:7948"])
async def test_pages_of_other_sites_count_nothing(
    client: Client, backend: FakeBackend, origin: str
) -> None:
    answer = await asked(client, f"Origin: {origin}", method="POST")
    assert (answer.status, backend.started) == (403, [])
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["vary"] == "Origin"


# --- pages that are let in ---------------------------------------------------------------------


@CORS
async def test_a_page_that_is_let_in_reads_all_answers(client: Client) -> None:
    for method, fields, status in (
        ("GET", (), 200), ("POST", (), 200), ("POST", ("Idempotency-Key: null",), 400),
    ):  # fmt: skip
        for host in ("127.0.0.1:7947", "counts.example.org"):
            answer = await asked(client, f"Origin: {APP}", *fields, method=method, host=host)
            assert answer.status == status
            assert answer.headers["access-control-allow-origin"] == APP
            assert answer.headers["vary"] == "Origin"
            assert "access-control-allow-credentials" not in answer.headers
    assert (await asked(client, f"Origin: {OTHER}", method="POST")).status == 403
    assert "vary" not in (await asked(client)).headers


@CORS
async def test_it_is_told_before_what_it_may_do(client: Client) -> None:
    wants = (
        "Access-Control-Request-Method: POST",
        "Access-Control-Request-Headers: authorization",
    )
    answer = await client.request("OPTIONS", "/increment", None, f"Origin: {APP}", *wants)
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == APP
    assert answer.headers["access-control-allow-methods"] == "POST, OPTIONS"
    assert "authorization" in answer.headers["access-control-allow-headers"]
    refused = await client.request("OPTIONS", "/increment", None, f"Origin: {OTHER}", *wants)
    assert refused.status == 403
    plain = await client.request("OPTIONS", "/increment")
    assert not [name for name in plain.headers if name.startswith("access-control")]


@CORS
async def test_it_follows_what_changes(client: Client, backend: FakeBackend) -> None:
    await client.send(f"GET /events HTTP/1.1\r\nHost: a\r\nOrigin: {APP}\r\n\r\n".encode())
    head = (await client.reader.readuntil(b"\r\n\r\n")).decode()
    assert f"Access-Control-Allow-Origin: {APP}\r\n" in head
    assert "200 OK" in head


@pytest.mark.parametrize("origins", [{APP}, {"*"}])
async def test_it_shows_a_token_of_its_own_and_not_its_visitors(
    port: SidePort, connect: Connect, backend: FakeBackend, origins: set[str]
) -> None:
    object.__setattr__(port.limits, "origins", frozenset(origins))
    digest = digest_of(TOKEN.encode())
    port.change_tokens({digest: Grant(Right.WRITE, "", digest)})
    basic = f"Authorization: Basic {base64.b64encode(f':{TOKEN}'.encode()).decode()}"
    for fields, status in (
        ((basic,), 401), ((), 401), ((f"Authorization: Bearer {TOKEN}",), 200),
        (("Authorization: Bearer token-of-nobody-1",), 401),
    ):  # fmt: skip
        answer = await asked(await connect(), f"Origin: {APP}", *fields, method="POST")
        assert answer.status == status
        assert answer.headers["access-control-allow-origin"] == APP
    assert len(backend.started) == 1
    assert (await asked(await connect(), basic, method="POST")).status == 200


async def test_where_a_token_is_shown_any_name_will_do(
    port: SidePort, connect: Connect, backend: FakeBackend
) -> None:
    """As for the `fetch` of Node.js, which says what browsers say."""
    fields = ("Sec-Fetch-Mode: cors", "Accept-Language: *", f"Authorization: Bearer {TOKEN}")
    assert (await asked(await connect(), *fields, host="gossipd:7947")).status == 403
    digest = digest_of(TOKEN.encode())
    port.change_tokens({digest: Grant(Right.READ, "", digest)})
    assert (await asked(await connect(), *fields, host="gossipd:7947")).status == 200
    assert (await asked(await connect(), *fields[:2], host="gossipd:7947")).status == 403
