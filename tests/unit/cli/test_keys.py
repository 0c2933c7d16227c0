"""`gossipd keys` and `gossipd keygen`: what cannot be done is told; what can, in tests/e2e."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gossipd.cli import gossipd
from gossipd.sealing.keyring import Secret
from tests.unit.cli.fake_daemon import FakeDaemon, fake_daemon

A, B = (Secret(bytes(range(first, first + 32))) for first in (0, 100))


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    with fake_daemon() as fake:
        yield fake


def keys(daemon: FakeDaemon, *words: str, given: str = "") -> Result:
    variables = {"GOSSIPD_API": daemon.address}
    return CliRunner().invoke(gossipd, ["keys", *words], input=given, env=variables)


def sealed(daemon: FakeDaemon, origin: str | None) -> None:
    mode, opens = ("off", []) if origin is None else ("require", [A.fingerprint])
    seals = opens[0] if opens else None
    said = {"mode": mode, "seals": seals, "opens": opens, "from": origin}
    daemon.answers({"sealing": said})


def test_a_secret_is_a_line_of_its_own_each_time() -> None:
    one, other = (CliRunner().invoke(gossipd, ["keygen"]).stdout for _ in range(2))
    assert one != other
    assert Secret.parse(one.removesuffix("\n")).text == one.strip()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "the standard input: there is no secret in it"),
        ("hunter2\n", "the standard input:1: expected the base64 of 32 bytes"),
        (f"{A.text}\n{B.text}\n", "the standard input: more than one secret"),
    ],
)
def test_what_is_no_secret_is_not_installed_nor_shown(
    daemon: FakeDaemon, given: str, said: str
) -> None:
    done = keys(daemon, "install", given=given)
    assert (done.exit_code, done.stdout) == (1, "")
    assert said in done.stderr
    assert "hunter2" not in done.stderr
    assert daemon.requests == []


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        (None, "this node has no secret: start it with a keyring"),
        ("$GOSSIPD_SECRET", "its secrets are in $GOSSIPD_SECRET: change that"),
        ("/nowhere", "cannot change /nowhere: No such file"),
    ],
)
def test_a_keyring_that_cannot_be_changed_is_told(
    daemon: FakeDaemon, origin: str | None, said: str
) -> None:
    sealed(daemon, origin)
    done = keys(daemon, "use", A.fingerprint)
    assert (done.exit_code, done.stdout) == (1, "")
    assert said in done.stderr
    assert [method for method, _, _ in daemon.requests] == ["GET"]


def test_an_unknown_secret_is_told_with_those_that_are_there(
    daemon: FakeDaemon, tmp_path: Path
) -> None:
    path = tmp_path / "keyring"
    path.touch(0o600)
    path.write_text(A.text)
    sealed(daemon, str(path))
    done = keys(daemon, "use", B.fingerprint)
    assert f"there is no secret {B.fingerprint} in it, but {A.fingerprint}" in done.stderr
    assert path.read_text() == A.text


def test_an_answer_of_another_form_is_another_versions(daemon: FakeDaemon) -> None:
    spoiled: list[object] = [{}, {"sealing": {}}, {"sealing": {"mode": 1, "opens": []}}, []]
    for said in spoiled:
        daemon.answers(said)
        done = keys(daemon, "list")
        assert done.exit_code == 1
        assert "another version" in done.stderr
