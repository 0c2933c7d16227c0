"""Totals that clients keep by themselves."""

from __future__ import annotations

import pytest

from .fake import Client, FakeBackend


async def test_a_client_sets_its_own_total(client: Client, backend: FakeBackend) -> None:
    for _ in range(2):
        answer = await client.request("PUT", "/sources/app/hits", b'{"seq": 3, "total": 40}')
        assert answer.status == 200
        assert answer.json == {
            "client": "app",
            "counter": "hits",
            "seq": 3,
            "total": 40,
            "count": 140,
        }
    conflict = await client.request("PUT", "/sources/app/hits", b'{"seq": 3, "total": 41}')
    assert (conflict.status, conflict.detail) == (409, "another total is known at that seq")
    assert backend.sources == {("app", "hits"): (3, 40)}


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/sources/a%2Fb/c%20d", ("a/b", "c d")),
        ("/sources/a%25/h%C3%A9", ("a%", "hé")),
        ("/sources/a+b/%7Bcounter%7D", ("a+b", "{counter}")),
        ("http://127.0.0.1/sources/a/b", ("a", "b")),
        ("/sources/" + "x" * 128 + "/" + "y" * 128, ("x" * 128, "y" * 128)),
    ],
)
async def test_names_in_a_path_are_unescaped(
    client: Client, backend: FakeBackend, path: str, names: tuple[str, str]
) -> None:
    assert (await client.request("PUT", path, b'{"seq": 1, "total": -1}')).status == 200
    assert list(backend.sources) == [names]


@pytest.mark.parametrize(
    ("seq", "total"),
    [(1, 0), (2**48 - 1, 2**62), (1, -(2**62))],
)
async def test_the_ends_of_the_ranges_are_accepted(client: Client, seq: int, total: int) -> None:
    body = f'{{"seq": {seq}, "total": {total}}}'.encode()
    assert (await client.request("PUT", "/sources/a/b", body)).status == 200


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/sources/a/b", '{"seq": 0, "total": 1}', 400),
        ("/sources/a/b", '{"seq": 281474976710656, "total": 1}', 400),
        ("/sources/a/b", '{"seq": 1.0, "total": 1}', 400),
        ("/sources/a/b", '{"seq": true, "total": 1}', 400),
        ("/sources/a/b", '{"seq": "1", "total": 1}', 400),
        ("/sources/a/b", '{"seq": 1, "total": 4611686018427387905}', 400),
        ("/sources/a/b", '{"seq": 1, "total": -4611686018427387905}', 400),
        ("/sources/a/b", '{"seq": 1, "total": 1.5}', 400),
        ("/sources/a/b", '{"seq": 1, "total": false}', 400),
        ("/sources/a/b", '{"seq": 1, "total": null}', 400),
        ("/sources/a/b", '{"seq": 1}', 400),
        ("/sources/a/b", '{"total": 1}', 400),
        ("/sources/a/b", "", 400),
        ("/sources/a/b", '{"seq": 1, "total": 1, "by": 1}', 400),
        ("/sources/a/b?seq=1&total=1", "", 400),
        ("/sources//b", '{"seq": 1, "total": 1}', 400),
        ("/sources/a/", '{"seq": 1, "total": 1}', 400),
        ("/sources/a/%FF", '{"seq": 1, "total": 1}', 400),
        ("/sources/a/%2", '{"seq": 1, "total": 1}', 400),
        ("/sources/a/%0A", '{"seq": 1, "total": 1}', 400),
        ("/sources/a/" + "x" * 129, '{"seq": 1, "total": 1}', 400),
        ("/sources/a", '{"seq": 1, "total": 1}', 404),
        ("/sources/a/b/c", '{"seq": 1, "total": 1}', 404),
    ],
)
async def test_a_bad_source_is_refused(
    client: Client, backend: FakeBackend, path: str, body: str, status: int
) -> None:
    answer = await client.request("PUT", path, body.encode())
    assert answer.status == status
    assert answer.detail
    assert backend.sources == {}


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_sources_can_only_be_put(client: Client, method: str) -> None:
    answer = await client.request(method, "/sources/a/b")
    assert (answer.status, answer.headers["allow"]) == (405, "PUT, OPTIONS")


async def test_pages_of_other_sites_may_not_set_totals(
    client: Client, backend: FakeBackend
) -> None:
    body = b'{"seq": 1, "total": 1}'
    answer = await client.request("PUT", "/sources/a/b", body, "Origin: http://evil.example")
    assert (answer.status, backend.sources) == (403, {})
