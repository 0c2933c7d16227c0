"""What was found out: one line for each check, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Result(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """A check and its result."""

    result: Result
    check: str
    """What was looked at, in a word: `udp`, `clock`."""

    about: str
    """Of whom: a member, an address, a directory; empty: this host."""

    text: str
    """What was found, with its cause as far as it can be told from here."""

    advice: str = ""
    """What to do; empty where nothing is wrong."""


def ok(check: str, about: str, text: str) -> Finding:
    return Finding(Result.OK, check, about, text)


def warning(check: str, about: str, text: str, advice: str) -> Finding:
    return Finding(Result.WARNING, check, about, text, advice)


def failed(check: str, about: str, text: str, advice: str) -> Finding:
    return Finding(Result.FAILED, check, about, text, advice)
