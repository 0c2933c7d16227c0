"""Secrets and keyrings."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

from gossipd.config.secrets import SECRET_FILE_SIZE_MAX
from gossipd.sealing.keyring import (
    SECRETS_MAX,
    Keyring,
    KeyringError,
    Secret,
    find,
    parse,
    read,
)

A, B = (Secret(bytes(range(first, first + 32))) for first in (0, 100))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "keyring"
    path.touch(0o600)
    return path


def test_a_fresh_secret_is_another_one_each_time_and_is_read_as_it_is_written() -> None:
    one, other = Secret.fresh(), Secret.fresh()
    assert one != other
    assert Secret.parse(one.text) == one


def test_a_fingerprint_is_that_of_its_secret_for_ever() -> None:
    assert (A.fingerprint, B.fingerprint) == ("6eac5591", "c3f465bc")


def test_a_file_has_a_secret_a_line_comments_and_blank_lines(path: Path) -> None:
    path.write_text(f"# of 2026\n\n{B.text}\n  {A.text} # old\r\n")
    keyring = read(str(path))
    assert keyring.secrets == (B, A)
    assert keyring.origin == str(path)
    assert keyring.fingerprints == [B.fingerprint, A.fingerprint]


def test_no_secret_is_shown() -> None:
    keyring = parse([A.text], "here")
    for said in (repr(A), repr(keyring), str(keyring)):
        assert A.text not in said
        assert repr(A.value) not in said


@pytest.mark.parametrize(
    "wrong",
    [
        "x",
        "hunter2",
        A.text[:-1],
        A.text + "=",
        A.text + A.text,
        base64.b64encode(A.value[:31]).decode(),
        A.text.replace("=", "é"),
        A.text[:-2] + "9=",  # the same bytes, written otherwise
        f"{A.text} {B.text}",
        "A" * 43 + "=",
        "\ufffd",
    ],
)
def test_a_line_that_is_no_secret_is_named_and_not_shown(wrong: str) -> None:
    with pytest.raises(KeyringError, match=r"^file:3: (expected|a secret has)") as error:
        parse(["# a comment", B.text, wrong], "file")
    assert wrong not in str(error.value) or len(wrong) == 1
    assert error.value.__cause__ is None


def test_a_secret_that_stands_there_twice_is_refused_and_so_are_too_many() -> None:
    with pytest.raises(KeyringError, match="file:3: the same secret as in line 1"):
        parse([A.text, B.text, A.text], "file")
    parse([Secret.fresh().text for _ in range(SECRETS_MAX)], "file")
    with pytest.raises(KeyringError, match=f"file:{SECRETS_MAX + 1}: more than"):
        parse([Secret.fresh().text for _ in range(SECRETS_MAX + 1)], "file")
    with pytest.raises(KeyringError, match="file: there is no secret in it"):
        parse(["", "# nothing"], "file")


def test_a_file_that_others_may_use_cannot_be_read_is_huge_or_no_text_is_told(
    path: Path,
) -> None:
    path.chmod(0o640 if os.geteuid() else 0o604)
    with pytest.raises(KeyringError, match=f"^{path}: others may use it"):
        read(str(path))
    path.chmod(0o600)
    with pytest.raises(KeyringError, match=r"^/nowhere: cannot be read: No such"):
        read("/nowhere")
    path.write_bytes(b"#" * (SECRET_FILE_SIZE_MAX + 1))
    with pytest.raises(KeyringError, match="has more than"):
        read(str(path))
    path.write_bytes(A.text.encode() + b"\n\xff\xfe\x00")
    with pytest.raises(KeyringError, match=f"^{path}:2: expected"):
        read(str(path))


def test_a_file_comes_before_the_variable_and_that_before_the_credential(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    c, d = Secret.fresh(), Secret.fresh()
    path.write_text(A.text)
    monkeypatch.delenv("GOSSIPD_SECRET", raising=False)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert find(None) is None
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/nowhere")
    assert find(None) is None
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(path.parent))
    assert find(None) == Keyring((A,), str(path))
    for text in (f"{B.text} {c.text}", f"{B.text},{c.text}", f"{B.text} # new\n{c.text}\n"):
        monkeypatch.setenv("GOSSIPD_SECRET", text)
        assert find(None) == Keyring((B, c), "$GOSSIPD_SECRET")
    other = path.with_name("other")
    other.touch(0o600)
    other.write_text(d.text)
    assert find(str(other)) == Keyring((d,), str(other))
    monkeypatch.setenv("GOSSIPD_SECRET", "secret")
    with pytest.raises(KeyringError, match=r"^\$GOSSIPD_SECRET:1: expected"):
        find(None)
    for lost in ("", " "):
        monkeypatch.setenv("GOSSIPD_SECRET", lost)
        with pytest.raises(KeyringError, match=r"^\$GOSSIPD_SECRET: there is no secret in it"):
            find(None)
