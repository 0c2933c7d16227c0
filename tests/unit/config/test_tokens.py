"""The file of tokens: what is good, and that what is wrong shows no token."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from gossipd.config.config import Config
from gossipd.config.secrets import SECRET_FILE_SIZE_MAX, read_secret
from gossipd.config.tokens import (
    TOKEN_SIZE_MAX,
    TOKENS_MAX,
    Grant,
    Right,
    digest_of,
    parse_tokens,
    read_tokens,
)

ONE, TWO, THREE = "one-6f1d9c2b7a40", "two+6f1d9c2b7a40/w==", "three.6f1d9c2b7a40"
SECRET = "hunter2-hunter2-hunter2"


def test_lines_give_rights_and_prefixes() -> None:
    digest = hashlib.sha256(THREE.encode()).hexdigest()
    text = f"""
        # who may look
        read {ONE}
        write\t{TWO}   prefix=page views
        admin sha256:{digest.upper()}
        """
    assert parse_tokens(text) == {
        grant.digest: grant
        for grant in (
            Grant(Right.READ, "", digest_of(ONE.encode())),
            Grant(Right.WRITE, "page views", digest_of(TWO.encode())),
            Grant(Right.ADMIN, "", digest_of(THREE.encode())),
        )
    }


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (SECRET, "expected one of read TOKEN, write TOKEN, admin TOKEN"),
        (f"root {SECRET}", "expected one of"),
        ("write", "expected one of"),
        (f"Read {SECRET}", "expected one of"),
        (f"read {SECRET} jobs.", "behind a token stands nothing, or prefix=NAME"),
        (f"read {SECRET} prefix=", "behind a token stands nothing"),
        (f"read {SECRET} # mine", "behind a token stands nothing"),
        (f"read {SECRET} prefix={'x' * 129}", "a prefix has at most 128 bytes"),
        (f"admin {SECRET} prefix=a", "an admin token has no prefix"),
        ("read hunter2-hunter2", "a token has 16 to 1024 letters"),
        (f"read {SECRET * 50}", "a token has 16 to 1024 letters"),
        (f"read {SECRET}!", "a token has 16 to 1024 letters"),
        (f"read {SECRET}\N{LATIN SMALL LETTER E WITH ACUTE}", "a token has 16"),
        (f"read {SECRET}:{SECRET}", "a token has 16"),
        (f"read sha256:{SECRET}", "a token has 16"),
        (f"read sha256:{'a' * 63}", "a token has 16"),
        (f"write {ONE}", "the same token as in line 2"),
        (f"read sha256:{digest_of(ONE.encode()).hex()}", "the same token as in line 2"),
    ],
)
def test_what_is_wrong_is_told_by_line_and_shows_no_token(line: str, why: str) -> None:
    with pytest.raises(ValueError, match=r"^line 3: ") as raised:
        parse_tokens(f"# a\nread {ONE}\n{line}\nwrite {TWO}\n")
    assert why in str(raised.value)
    assert "hunter" not in str(raised.value)
    assert ONE not in str(raised.value)


def test_a_file_has_some_tokens_and_not_too_many() -> None:
    with pytest.raises(ValueError, match="has 0 tokens; expected 1 to 1024"):
        parse_tokens("# nobody\n\n")
    lines = [f"read {number:016d}" for number in range(TOKENS_MAX + 1)]
    assert len(parse_tokens("\n".join(lines[1:]))) == TOKENS_MAX
    with pytest.raises(ValueError, match="has 1025 tokens"):
        parse_tokens("\n".join(lines))
    assert len(parse_tokens(f"read {'x' * TOKEN_SIZE_MAX}")) == 1


def test_a_file_of_tokens_is_read_and_named_where_it_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.touch(0o600)
    path.write_text(f"read {ONE}\n")
    assert len(read_tokens(str(path))) == 1
    path.write_text(f"read {SECRET} x\n")
    with pytest.raises(ValueError, match=rf"^{path}: line 1: behind"):
        read_tokens(str(path))
    path.write_bytes(b"read \xff" + SECRET.encode())
    with pytest.raises(ValueError, match=rf"^{path}: is not UTF-8$"):
        read_tokens(str(path))


def test_everybody_may_read_a_file_of_digests_and_nobody_else_write_it(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    digest = digest_of(ONE.encode()).hex()
    path.write_text(f"# ours\n\nread sha256:{digest}\n")
    path.chmod(0o644)
    assert len(read_tokens(str(path))) == 1
    path.chmod(0o664)
    with pytest.raises(ValueError, match="others may use it"):
        read_tokens(str(path))
    path.chmod(0o644)
    path.write_text(f"read sha256:{digest}\nread {TWO}\n")
    with pytest.raises(ValueError, match="others may use it"):
        read_tokens(str(path))


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o601, 0o660, 0o610, 0o644, 0o666])
def test_what_others_may_read_or_write_is_no_secret(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "secret"
    path.write_text("x")
    path.chmod(mode)
    with pytest.raises(
        ValueError, match=rf"^{path}: others may use it \(mode {mode:04o}\); run: "
    ):
        read_secret(path)
    path.chmod(0o400)
    assert read_secret(path) == b"x"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_root_may_let_a_group_read(tmp_path: Path) -> None:
    """As service managers and Kubernetes hand over secrets."""
    path = tmp_path / "secret"
    path.write_text("x")
    path.chmod(0o440)
    assert read_secret(path) == b"x"
    os.chown(path, 1000, 0)
    with pytest.raises(ValueError, match="others may use it"):
        read_secret(path)


def test_a_secret_that_cannot_be_read_or_is_too_large_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="none: cannot be read: No such file or directory"):
        read_secret(tmp_path / "none")
    with pytest.raises(ValueError, match="cannot be read: Is a directory"):
        read_secret(tmp_path)
    path = tmp_path / "large"
    path.touch(0o600)
    path.write_bytes(b"x" * SECRET_FILE_SIZE_MAX)
    assert len(read_secret(path)) == SECRET_FILE_SIZE_MAX
    path.write_bytes(b"x" * (SECRET_FILE_SIZE_MAX + 1))
    with pytest.raises(ValueError, match="has more than 256 KiB"):
        read_secret(path)


def test_tokens_are_the_credential_of_systemd_unless_they_are_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Config().tokens is None
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert Config().tokens is None
    (tmp_path / "tokens").touch()
    assert Config().tokens == str(tmp_path / "tokens")
    assert Config(tokens="/else").tokens == "/else"
