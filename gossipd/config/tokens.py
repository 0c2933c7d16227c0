"""Tokens of the API: what each gives, read from a file of lines.

    read TOKEN
    write TOKEN prefix=jobs.
    admin sha256:HEX

A right includes those before it. With a prefix a token is for counters alone whose names begin so.
Empty lines, and those that begin with #, say nothing. A token that is given by its digest is
known to whoever uses it and to nobody who reads the file; where all are, everybody may read it.

No token is kept: only digests are (see `sideport.access`). What is wrong is told by the number of
its line, and nothing of the line is shown: where its first word is missing, the token is it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from enum import IntEnum
from typing import NamedTuple, TypeAlias

from gossipd.config.secrets import read_secret

TOKEN_SIZE_MIN, TOKEN_SIZE_MAX = 16, 1024
"""Signs of a token: nobody guesses sixteen that are drawn by lot, whoever holds their digest."""

TOKENS_MAX = 1024
"""Tokens of one file."""

PREFIX_SIZE_MAX = 128
"""Bytes: no counter's name has more."""

TOKEN = re.compile(rf"[A-Za-z0-9._~+/-]{{{TOKEN_SIZE_MIN},{TOKEN_SIZE_MAX}}}={{0,2}}")
"""What HTTP allows (RFC 6750 2.1), long enough."""

_DIGEST = re.compile("sha256:([0-9a-fA-F]{64})")
_HASHED = re.compile(rb"[a-z]+\s+sha256:[0-9a-fA-F]{64}(\s.*)?")
_BOUND = "prefix="


class Right(IntEnum):
    """What may be asked."""

    NONE = 0
    """Whether the node lives and is ready."""

    READ = 1
    """Counts, members, the state of the node."""

    WRITE = 2
    """To count, too."""

    ADMIN = 3
    """To change the node or the cluster, too."""


class Grant(NamedTuple):
    """What one client may do."""

    right: Right
    prefix: str = ""
    """Only with counters whose names begin so."""

    digest: bytes = b""
    """Of the token that gives it; empty where none does."""

    @property
    def is_bounded(self) -> bool:
        """Whether it may not even count and read all counters."""
        return self.right < Right.WRITE or self.prefix != ""


Grants: TypeAlias = Mapping[bytes, Grant]
"""By the digest of the token."""

_RIGHTS = {right.name.lower(): right for right in Right if right}


def digest_of(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


def read_tokens(path: str) -> Grants:
    """The tokens of a file. Raises `ValueError`, whose text begins with the path."""
    try:
        text = read_secret(path, _is_secret).decode()
    except UnicodeDecodeError:
        raise ValueError(f"{path}: is not UTF-8") from None
    try:
        return parse_tokens(text)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _is_secret(lines: bytes) -> bool:
    """Whether there is a line that may hold a token itself, and not its digest alone."""
    said = filter(None, map(bytes.strip, lines.splitlines()))
    return not all(line.startswith(b"#") or _HASHED.fullmatch(line) for line in said)


def parse_tokens(text: str) -> Grants:
    """Raises `ValueError`, whose text names the line."""
    grants: dict[bytes, Grant] = {}
    lines: dict[bytes, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        grant = _grant(line, f"line {number}")
        if grant.digest in grants:
            where = lines[grant.digest]
            raise ValueError(f"line {number}: the same token as in line {where}")
        grants[grant.digest], lines[grant.digest] = grant, number
    if not 1 <= len(grants) <= TOKENS_MAX:
        raise ValueError(f"has {len(grants)} tokens; expected 1 to {TOKENS_MAX}")
    return grants


def _grant(line: str, where: str) -> Grant:
    words = line.split(maxsplit=2)
    right = _RIGHTS.get(words[0])
    if right is None or len(words) < 2:
        expected = ", ".join(f"{name} TOKEN" for name in _RIGHTS)
        raise ValueError(f"{where}: expected one of {expected}, perhaps with {_BOUND}NAME behind")
    prefix = words[2] if len(words) > 2 else _BOUND
    if not prefix.startswith(_BOUND) or prefix == _BOUND * (len(words) > 2):
        raise ValueError(f"{where}: behind a token stands nothing, or {_BOUND}NAME")
    prefix = prefix.removeprefix(_BOUND)
    if len(prefix.encode()) > PREFIX_SIZE_MAX:
        raise ValueError(f"{where}: a prefix has at most {PREFIX_SIZE_MAX} bytes")
    if prefix and right is Right.ADMIN:
        raise ValueError(f"{where}: an admin token has no prefix: it may do all")
    return Grant(right, prefix, _digest(words[1], where))


def _digest(token: str, where: str) -> bytes:
    if found := _DIGEST.fullmatch(token):
        return bytes.fromhex(found[1])
    if not TOKEN.fullmatch(token):
        raise ValueError(
            f"{where}: a token has {TOKEN_SIZE_MIN} to {TOKEN_SIZE_MAX} letters, digits and signs "
            "of -._~+/, with at most two = at its end; or it is sha256: and 64 hexadecimal digits"
        )
    return digest_of(token.encode())
