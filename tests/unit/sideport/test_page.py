"""The page that `GET /` is for a browser: who gets it, and what it may do there."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pytest

import gossipd.sideport.page as room

from .fake import Client

ROOM = Path(room.__file__).parent
ROOT = Path(__file__).parents[3]

FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
CHROMIUM = f"{FIREFOX.partition('*')[0]}image/avif,image/webp,*/*;q=0.8"
W3M = "text/html, text/*;q=0.5, image/*, application/*"


@pytest.mark.parametrize(
    "accept",
    [FIREFOX, CHROMIUM, W3M, "text/html", "TEXT/HTML;charset=utf-8", "text/plain;q=.1, */*"],
)
async def test_who_would_rather_have_html_gets_the_page(client: Client, accept: str) -> None:
    answer = await client.request("GET", "/", None, f"Accept: {accept}")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.body.startswith(b"<!doctype html>")
    assert answer.headers["vary"] == "Accept"


@pytest.mark.parametrize(
    "accept",
    [
        *("*/*", "text/plain", "text/*", "application/json", "text/html;q=0.5, text/plain", ""),
        *(
            "text/html;q=0",
            "text/html;q=x",
            "text/html, text/plain",
            "q=1",
            ";",
            "text/html;q=nan",
        ),
    ],
)
async def test_all_others_get_the_list_of_calls(client: Client, accept: str) -> None:
    answer = await client.request("GET", "/", None, f"Accept: {accept}")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert b"POST  /increment " in answer.body
    assert answer.headers["vary"] == "Accept"


async def test_who_says_nothing_about_it_gets_the_list_of_calls(client: Client) -> None:
    answer = await client.request("GET", "/")
    assert answer.body.startswith(b"gossipd: ")


async def test_only_the_index_is_a_page(client: Client) -> None:
    answer = await client.request("GET", "/health", None, f"Accept: {FIREFOX}")
    assert answer.body == b"OK\n"


async def test_a_head_of_the_page_has_its_length(client: Client) -> None:
    whole = await client.request("GET", "/", None, f"Accept: {FIREFOX}")
    head = await client.request("HEAD", "/", None, f"Accept: {FIREFOX}")
    assert head.headers["content-length"] == str(len(whole.body))
    assert head.headers["content-type"] == whole.headers["content-type"]


async def test_a_browser_gets_it_by_no_name_of_somebody_else(client: Client) -> None:
    await client.send(f"GET / HTTP/1.1\r\nHost: evil.example\r\nAccept: {FIREFOX}\r\n".encode())
    await client.send(b"User-Agent: Mozilla/5.0\r\n\r\n")
    answer = await client.response()
    assert answer.status == 403
    assert b"<!doctype" not in answer.body


async def test_its_policy_allows_its_own_script_and_style_alone(client: Client) -> None:
    answer = await client.request("GET", "/", None, f"Accept: {FIREFOX}")
    policy = dict(
        rule.split(" ", 1) for rule in answer.headers["content-security-policy"].split("; ")
    )
    text = answer.body.decode()
    for rule, tag in ("script-src", "script"), ("style-src", "style"):
        found = re.findall(rf"<{tag}\b[^>]*>(.*?)</{tag}>", text, re.DOTALL)
        assert policy[rule] == " ".join(f"'sha256-{hash_of(inner)}'" for inner in found)
        assert len(found) == 1
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert "unsafe" not in str(policy)
    assert "{{" not in text
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"


def hash_of(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_its_scripts_never_make_elements_of_text() -> None:
    for script in ROOM.glob("*.js"):
        found = re.search(r"innerHTML|outerHTML|insertAdjacentHTML|\.write\(", script.read_text())
        assert found is None, f"{script.name} has {found}"


def test_nothing_on_it_moves_by_itself() -> None:
    """Some people get sick of that (prefers-reduced-motion)."""
    assert re.search("animation|transition|@keyframes", (ROOM / "page.css").read_text()) is None


def test_every_script_of_the_room_is_in_the_page() -> None:
    assert {path.name for path in ROOM.glob("*.js")} == set(room.SCRIPTS)
