"""Why a member is held as it is: what the last change of its state followed from, and whom.

It is told beside a change and decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Cause(Enum):
    """What a change followed from, in words that follow "because"."""

    LOADED = "an earlier life of this node held it so"
    ABSENT = "an earlier life of this node knew it, and it has not answered this one"
    JOINED = "it has joined through this node"
    TOOK_IN = "it has taken this node in"
    INTRODUCED = "it has answered this node, which was told of it"
    SPOKEN = "it has spoken since"
    SAID = "it says so itself"
    TOLD = "a member says so"
    CHECKED = "a member says so, and it has not answered this node since"
    SILENT = "it has not answered this node"
    UNREFUTED = "it was suspected, and nothing came that refutes it"
    TAGGED = "its tags have changed, and its state has not"
    FORGOTTEN = "this node was asked to forget it"


@dataclass(frozen=True, slots=True)
class Reason:
    """The cause of one change."""

    cause: Cause

    by: tuple[str, ...] = ()
    """Who said so (`TOLD`, `CHECKED`), or who had accused it (`UNREFUTED`)."""

    pings: int = 0
    """This node's own pings that stayed unanswered (`SILENT`, `CHECKED`)."""

    relays: tuple[str, ...] = ()
    """Members that this node asked to ping it, too (`SILENT`)."""

    nacks: tuple[str, ...] = ()
    """Those of them that live, as they have answered, but could not reach it."""
