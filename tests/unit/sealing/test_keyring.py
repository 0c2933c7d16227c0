"""Secrets and keyrings."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

from gossipd.sealing.keyring import (
    FILE_SIZE_MAX,
    SECRETS_MAX,
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


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_file_of_its_owner_alone_is_read(path: Path, mode: int) -> None:
    path.write_text(A.text)
    path.chmod(mode)
    assert read(str(path)).secrets == (A,)


@pytest.mark.parametrize(("mode", "wanted"), [(0o640, "0600"), (0o604, "0600"), (0o420, "0400")])
def test_a_file_that_others_may_use_is_refused_and_its_mode_named(
    path: Path, mode: int, wanted: str
) -> None:
    path.write_text(A.text)
    path.chmod(mode)
    with pytest.raises(KeyringError, match=rf"mode {mode:04o}: chmod {wanted}$"):
        read(str(path))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_the_group_may_read_what_root_hands_to_a_service(path: Path) -> None:
    path.write_text(A.text)
    for mode, owner, good in ((0o440, 0, True), (0o640, 0, True), (0o440, 1234, False),
                              (0o460, 0, False), (0o444, 0, False)):  # fmt: skip
        os.chown(path, owner, 1234)
        path.chmod(mode)
        for parent in path.parents[:4]:
            parent.chmod(parent.stat().st_mode | 0o011)
        os.setegid(1234)
        os.seteuid(1234)
        try:
            if good:
                assert read(str(path)).secrets == (A,)
            else:
                with pytest.raises(KeyringError, match=f"mode {mode:04o}"):
                    read(str(path))
        finally:
            os.seteuid(0)
            os.setegid(0)


def test_a_file_that_cannot_be_read_or_is_huge_or_no_text_is_told(path: Path) -> None:
    with pytest.raises(KeyringError, match="cannot read the keyring /nowhere: No such file"):
        read("/nowhere")
    path.write_bytes(b"#" * (FILE_SIZE_MAX + 1))
    with pytest.raises(KeyringError, match="larger than"):
        read(str(path))
    path.write_bytes(A.text.encode() + b"\n\xff\xfe\x00")
    with pytest.raises(KeyringError, match=f"^{path}:2: expected"):
        read(str(path))


def test_a_file_comes_before_the_variable_and_that_before_the_credential(path: Path) -> None:
    c, d = Secret.fresh(), Secret.fresh()
    path.write_text(A.text)
    environ = {"CREDENTIALS_DIRECTORY": str(path.parent)}
    assert find(None, {}) is None
    assert find(None, {"GOSSIPD_SECRET": "", "CREDENTIALS_DIRECTORY": "/nowhere"}) is None
    found = find(None, environ)
    assert found is not None
    assert (found.secrets, found.origin) == ((A,), str(path))
    for text in (f"{B.text} {c.text}", f"{B.text},{c.text}", f"{B.text} # new\n{c.text}\n"):
        found = find(None, {**environ, "GOSSIPD_SECRET": text})
        assert found is not None
        assert (found.secrets, found.origin) == ((B, c), "$GOSSIPD_SECRET")
    other = path.with_name("other")
    other.touch(0o600)
    other.write_text(d.text)
    found = find(str(other), {**environ, "GOSSIPD_SECRET": B.text})
    assert found is not None
    assert found.secrets == (d,)
    with pytest.raises(KeyringError, match=r"^\$GOSSIPD_SECRET:1: expected"):
        find(None, {"GOSSIPD_SECRET": "secret"})
