"""Secrets, and the file that holds them: one a line, the first one seals, all open.

What is wrong with a keyring is told by file and line, never with what stands there. A file that
others can read is refused, for who reads it is in the cluster.
"""

from __future__ import annotations

import base64
import os
from binascii import Error
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from gossipd.config.secrets import KEYRING, SECRET, credential, read_secret

SECRET_SIZE = 32
"""Bytes."""

FINGERPRINT_SIZE = 4
"""Bytes: enough to tell a few secrets apart, and it stands in each datagram."""

FINGERPRINT_AT = 8
"""Where it stands in a datagram."""

SECRETS_MAX = 16
"""Of a keyring: a rotation needs two."""


class KeyringError(ValueError):
    """It is no keyring; the text says where and why, and shows no secret."""


@dataclass(frozen=True, slots=True)
class Secret:
    """What nodes of one cluster share."""

    value: bytes = field(repr=False)

    @classmethod
    def fresh(cls) -> Secret:
        return cls(os.urandom(SECRET_SIZE))

    @classmethod
    def parse(cls, text: str) -> Secret:
        """From its base64. Raises `ValueError`, which does not show it."""
        try:
            value = base64.b64decode(text, validate=True)
        except (Error, ValueError):
            value = b""
        if len(value) != SECRET_SIZE or base64.b64encode(value).decode() != text:
            raise ValueError(
                f"expected the base64 of {SECRET_SIZE} bytes, as gossipd keygen gives"
            )
        if len(set(value)) == 1:
            raise ValueError("a secret has to be random")
        return cls(value)

    @property
    def text(self) -> str:
        """The secret itself, as a line of a keyring."""
        return base64.b64encode(self.value).decode()

    @property
    def fingerprint(self) -> str:
        """Its short name, which everybody may know."""
        return self.id.hex()

    @property
    def id(self) -> bytes:
        """The fingerprint as datagrams carry it."""
        named = blake2b(self.value, digest_size=FINGERPRINT_SIZE, person=b"gossipd key id")
        return named.digest()


@dataclass(frozen=True, slots=True)
class Keyring:
    """At least one secret: the first one seals, all open."""

    secrets: tuple[Secret, ...]

    origin: str = "given"
    """Where they came from, for people."""

    @property
    def fingerprints(self) -> list[str]:
        return [secret.fingerprint for secret in self.secrets]


def fingerprint_of(sealed: bytes) -> str:
    """That of the secret with which a datagram is sealed."""
    return sealed[FINGERPRINT_AT : FINGERPRINT_AT + FINGERPRINT_SIZE].hex()


def find(path: str | None, environ: Mapping[str, str] = os.environ) -> Keyring | None:
    """The keyring of a node: the file that it was given, else the variable, else the credential;
    None where there is none. A variable that is empty is one whose secret got lost: a node that
    went on without would be open to everybody. Raises `KeyringError`."""
    if path is not None:
        return read(path)
    if (given := environ.get(SECRET)) is not None:
        lines = given.splitlines() if "#" in given else given.replace(",", " ").split()
        return parse(lines, f"${SECRET}")
    handed = credential(KEYRING)
    return None if handed is None else read(handed)


def read(path: str) -> Keyring:
    """The keyring in a file that nobody else can read. Raises `KeyringError`."""
    return parse(lines_of(path), path)


def lines_of(path: str) -> list[str]:
    """What is in a file that nobody else can read. Raises `KeyringError`."""
    try:
        # What is no text is no secret either, and is told by its line.
        return read_secret(path).decode(errors="replace").split("\n")
    except ValueError as error:
        raise KeyringError(str(error)) from None


def secret_in(line: str) -> Secret | None:
    """The secret that a line holds, if any. Raises `ValueError`."""
    text = line.partition("#")[0].strip()
    return Secret.parse(text) if text else None


def parse(lines: Iterable[str], origin: str) -> Keyring:
    """The keyring that lines are. Raises `KeyringError`."""
    found: dict[bytes, tuple[int, Secret]] = {}
    for number, line in enumerate(lines, 1):
        try:
            secret = secret_in(line)
            if secret is None:
                continue
            if secret.id in found:
                raise ValueError(f"the same secret as in line {found[secret.id][0]}")
            if len(found) >= SECRETS_MAX:
                raise ValueError(f"more than {SECRETS_MAX} secrets")
        except ValueError as error:
            raise KeyringError(f"{origin}:{number}: {error}") from None
        found[secret.id] = number, secret
    if not found:
        raise KeyringError(f"{origin}: there is no secret in it")
    return Keyring(tuple(secret for _, secret in found.values()), origin)
