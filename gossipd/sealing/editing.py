"""A keyring file, changed in one step: who reads it meanwhile finds the old one or the new one.

Comments and what else stands in the file stay as they are, and so do its mode and owner. A file
that is no keyring is not touched, and none is made that is none. Of two who change it at a time
one waits for the other, and goes on from what that one has made of it.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .keyring import Keyring, KeyringError, Secret, lines_of, parse, secret_in

PATIENCE = 5.0
"""Seconds for which somebody else who changes the file is waited for."""

_LOCK_INTERVAL = 0.02

Lines = list[tuple[str, str | None]]
"""Each with the fingerprint of the secret in it."""


def install(path: str, secret: Secret) -> Keyring:
    """Add a secret behind all others. Raises `KeyringError`."""
    return _change(path, lambda lines: [*lines, (secret.text, None)])


def use(path: str, fingerprint: str) -> Keyring:
    """Seal with one of the secrets. Raises `KeyringError`."""

    def first(lines: Lines) -> Lines:
        chosen, others = _split(path, lines, fingerprint)
        place = next((n for n, (_, each) in enumerate(others) if each is not None), len(others))
        return [*others[:place], *chosen, *others[place:]]

    return _change(path, first)


def remove(path: str, fingerprint: str) -> Keyring:
    """Open no more with one of the secrets, but the first one. Raises `KeyringError`."""

    def without(lines: Lines) -> Lines:
        _, others = _split(path, lines, fingerprint)
        if next(each for _, each in lines if each is not None) == fingerprint:
            raise KeyringError(f"{fingerprint} seals: have another one used before")
        return others

    return _change(path, without)


def _split(path: str, lines: Lines, fingerprint: str) -> tuple[Lines, Lines]:
    chosen = [line for line in lines if line[1] == fingerprint]
    if not chosen:
        known = ", ".join(each for _, each in lines if each is not None)
        raise KeyringError(f"{path}: there is no secret {fingerprint} in it, but {known}")
    return chosen, [line for line in lines if line[1] != fingerprint]


def _change(path: str, change: Callable[[Lines], Lines]) -> Keyring:
    real = Path(path).resolve()  # a link stays one
    try:
        with _alone(real):
            before = lines_of(str(real))
            while before and not before[-1]:
                before.pop()
            parse(before, path)
            after = [line for line, _ in change(list(_named(before)))]
            keyring = parse(after, path)
            _replace(real, "".join(f"{line}\n" for line in after), real.stat())
            return keyring
    except OSError as error:
        raise KeyringError(f"cannot change {path}: {error.strerror or error}") from None


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """While nobody else changes the file. Raises `OSError`, and `KeyringError` where somebody does
    for too long."""
    until = time.monotonic() + PATIENCE
    while True:
        access = os.O_RDWR if os.access(path, os.W_OK) else os.O_RDONLY  # NFS wants the former
        descriptor = os.open(path, access | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if _locked(descriptor) and os.path.samestat(os.fstat(descriptor), path.stat()):
                yield
                return
        finally:
            os.close(descriptor)
        if time.monotonic() > until:
            raise KeyringError(f"{path}: somebody else is changing it")
        time.sleep(_LOCK_INTERVAL)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _named(lines: list[str]) -> Iterator[tuple[str, str | None]]:
    for line in lines:
        secret = secret_in(line)
        yield line, None if secret is None else secret.fingerprint


def _replace(path: Path, text: str, status: os.stat_result) -> None:
    new = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            if os.geteuid() == 0:
                os.fchown(descriptor, status.st_uid, status.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
            os.fsync(descriptor)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
