"""Keys: where they may stand, what they may be, and what they stand for."""

from __future__ import annotations

import hashlib
import json
from uuid import RFC_4122, UUID

import pytest

from gossipd.core import Refused, Why
from gossipd.sideport import validation as values

from .fake import (
    KEY,
    Client,
    FakeBackend,
    increment_id,
)

OTHER = "01890a5d-ac96-774b-bcce-b302099a8058"


@pytest.mark.parametrize(
    ("target", "body", "header"),
    [
        (f"/increment?key={KEY}", None, None),
        ("/increment", json.dumps({"key": str(KEY)}), None),
        ("/increment", json.dumps({"key": str(KEY).upper()}), None),
        ("/increment", None, f"{KEY}"),
        ("/increment", None, f'"{KEY}"'),
        ("/increment", None, f"  {str(KEY).upper()} "),
        (f"/increment?key={KEY}", None, f'"{str(KEY).upper()}"'),
        ("/increment", json.dumps({"key": str(KEY)}), f"{KEY}"),
    ],
)
async def test_a_key_is_taken_from_query_body_or_header(
    client: Client, backend: FakeBackend, target: str, body: str | None, header: str | None
) -> None:
    headers = [] if header is None else [f"Idempotency-Key: {header}"]
    raw = None if body is None else body.encode()
    answer = await client.request("POST", target, raw, *headers)
    assert answer.status == 200
    assert backend.keys == [KEY]


@pytest.mark.parametrize(
    "bad",
    ["", "x" * 256, "\ud800", str(increment_id(1)), f"{{{increment_id(1)}}}"],
)
async def test_what_is_no_key_or_the_id_of_an_increment_is_refused(
    client: Client, backend: FakeBackend, bad: str
) -> None:
    answer = await client.request("POST", "/increment", json.dumps({"key": bad}).encode())
    assert answer.status == 400
    assert "key" in answer.detail
    assert backend.started == []


@pytest.mark.parametrize("form", ["{}", "{{{}}}", "urn:uuid:{}"])
@pytest.mark.parametrize("unset", [UUID(int=0), UUID(int=2**128 - 1)])
async def test_a_key_that_was_never_set_is_refused(
    client: Client, backend: FakeBackend, unset: UUID, form: str
) -> None:
    for key in (form.format(unset), unset.hex):
        answer = await client.request("POST", "/increment", json.dumps({"key": key}).encode())
        assert answer.status == 400
        assert "never set" in answer.detail
    assert backend.started == []


@pytest.mark.parametrize("unset", ["undefined", "null", "None", "nil", "NaN", " ", "\t "])
async def test_a_key_of_a_field_that_languages_never_set_is_refused(
    client: Client, backend: FakeBackend, unset: str
) -> None:
    answer = await client.request("POST", "/increment", json.dumps({"key": unset}).encode())
    assert (answer.status, "never set" in answer.detail) == (400, True)
    assert backend.started == []


@pytest.mark.parametrize("written", ["{}", "{{{}}}", "urn:uuid:{}", "URN:UUID:{}"])
async def test_a_uuid_is_one_key_however_it_is_written(
    client: Client, backend: FakeBackend, written: str
) -> None:
    text = written.format(KEY)
    for key in (text, text.upper(), KEY.hex, f"{{{KEY.hex}}}"):
        answer = await client.request("POST", "/increment", json.dumps({"key": key}).encode())
        assert answer.status == 200
    assert backend.keys == [KEY] * 4


@pytest.mark.parametrize(
    "key",
    ["x", "order 17", "x" * 255, "é" * 255, f" {KEY}", f"{{{KEY}", f"{KEY}}}", "{}", "0"],
)
async def test_any_other_string_is_a_key_that_tells_no_time(
    client: Client, backend: FakeBackend, key: str
) -> None:
    for given in (key, key, f"{key[1:]}-"):
        answer = await client.request("POST", "/increment", json.dumps({"key": given}).encode())
        assert answer.status == 200
    first, again, other = backend.keys
    assert first is not None
    assert first == again != other
    assert (first.version, first.variant) == (5, RFC_4122)


def test_the_hash_of_a_key_is_the_same_on_all_nodes() -> None:
    """Nodes of different versions must agree."""
    assert values.key("order-17").hex() == "b46ed63acac05cfeba3004deeb9f8d8f"


def test_digests_are_strings_though_some_look_like_uuids() -> None:
    digests = [hashlib.md5(b"%d" % number).hexdigest() for number in range(4096)]
    keys = [values.key(digest) for digest in digests]
    assert len(set(keys)) == len(digests)
    versions = [UUID(bytes=key).version for key in keys]
    assert versions.count(8) == 0
    assert versions.count(7) <= 1  # 64 would be ones by chance; one in 10,000 still is
    assert values.key(KEY.hex) == KEY.bytes


@pytest.mark.parametrize("bad", ["null", "7", "true", "[]"])
async def test_a_key_that_is_no_string_is_refused(
    client: Client, backend: FakeBackend, bad: str
) -> None:
    answer = await client.request("POST", "/increment", f'{{"key": {bad}}}'.encode())
    assert (answer.status, backend.started) == (400, [])


@pytest.mark.parametrize(
    "header", ["", '"', '""', f'"{KEY}', f'"{KEY}";a=b', f'"{KEY}", "{KEY}"', "x" * 256]
)
async def test_a_malformed_key_in_the_header_is_refused(
    client: Client, backend: FakeBackend, header: str
) -> None:
    answer = await client.request("POST", "/increment", None, f"Idempotency-Key: {header}")
    assert (answer.status, backend.started) == (400, [])
    assert (await client.request("POST", "/increment")).status == 200


async def test_different_keys_in_header_and_field_are_refused(
    client: Client, backend: FakeBackend
) -> None:
    for body in (f'{{"key": "{OTHER}"}}', '{"key": "x"}'):
        answer = await client.request(
            "POST", "/increment", body.encode(), f"Idempotency-Key: {KEY}"
        )
        assert answer.status == 400
        assert "Idempotency-Key and key differ" in answer.detail
    assert backend.started == []


async def test_two_headers_with_keys_are_refused(client: Client, backend: FakeBackend) -> None:
    headers = (f"Idempotency-Key: {KEY}", f"Idempotency-Key: {KEY}")
    answer = await client.request("POST", "/increment", None, *headers)
    assert (answer.status, answer.detail) == (400, "Idempotency-Key is given twice")
    assert backend.started == []


async def test_calls_that_take_no_key_do_not_mind_the_header(client: Client) -> None:
    answer = await client.request("GET", "/count", None, f"Idempotency-Key: {KEY}")
    assert answer.status == 200


async def test_a_key_that_cannot_be_used_is_told_in_the_daemons_words(
    client: Client, backend: FakeBackend
) -> None:
    backend.refusal = Refused(Why.KEY, "the key is expired")
    answer = await client.request("POST", f"/increment?key={KEY}")
    assert (answer.status, answer.detail) == (422, "the key is expired")


async def test_what_a_key_stands_for_can_be_looked_up(client: Client) -> None:
    answer = await client.request("GET", f"/increments?key={KEY}")
    assert answer.json == {
        "key": str(KEY),
        "id": str(increment_id(7)),
        "counter": "hits",
        "by": 3,
        "counted": True,
    }


@pytest.mark.parametrize(
    ("query", "status"),
    [
        (f"?key={OTHER}", 404),
        ("", 400),
        ("?key=x", 404),
        ("?key=", 400),
        (f"?key={increment_id(1)}", 400),
        (f"?key={KEY}&counter=a", 400),
    ],
)
async def test_a_key_that_cannot_be_looked_up_is_refused(
    client: Client, query: str, status: int
) -> None:
    answer = await client.request("GET", f"/increments{query}")
    assert answer.status == status
    assert answer.detail


async def test_the_pattern_of_a_path_is_no_path(client: Client) -> None:
    assert (await client.request("GET", "/increments/{id}")).status == 400
