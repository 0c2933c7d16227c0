"""What is wrong with this node at the moment, in words: told in the log when it begins and when it
ends, shown as `alarms` meanwhile, and by `/ready` where clients should ask another node.

Whoever notices a trouble begins and ends it; this module only keeps what they say, and knows what
to do about each.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from gossipd.daemon.lines import fields

log = logging.getLogger(__name__)

_DNS = "or the DNS that this host asks (/etc/resolv.conf)"
_GROWS = "and reload them (SIGHUP), as it grows while they run"


class Trouble(Enum):
    """All that can be wrong: `alarm=` of the log, and what to do about it."""

    ADVERTISE = "advertise", f"mend the name in --advertise, {_DNS}"
    SEED = "seed", f"mend the name in --join, {_DNS}"
    MERGE = (
        "clusters met",
        "if it was not meant: stop the nodes soon, restore backups, and give each cluster its own "
        "--cluster; if it was, nothing: it is told for an hour",
    )
    REFUSES = (
        "disk not writable",
        "make room on the disk of data_dir, or have it writable for the user of the node, which "
        "goes on by itself",
    )
    HANGS = (
        "disk hangs",
        "look at the kernel's log (dmesg), and at the device of data_dir or the server that has "
        "it; the node goes on once it answers",
    )
    UNHEARD = (
        "unheard",
        "let UDP through both ways, and look whether the others run: gossipd doctor tells which "
        "way is closed; gossipd forget NAME where one is gone for good",
    )
    UNREACHED = (
        "unreached",
        "set --advertise to an address that the others can reach; behind a NAT have its router "
        "forward that UDP port to this host",
    )
    LEFT_BEHIND = (
        "left behind",
        "if this host was renamed, start the node with the --name that it had; else remove the "
        "directory of the old name",
    )
    NO_SECRET = (
        "no secret",
        "give all nodes a secret, without a pause: gossipd keygen, --keyring and, until all have "
        "it, --sealing; or let nobody but the nodes reach the gossip port (--allow, a firewall)",
    )
    TAKES_PLAIN = "takes plain", "once all members seal (gossipd members), set sealing to require"
    RELOAD = "reload", "gossipd config check FILE tells all that is wrong; mend it, then reload"
    RELOAD_FILE = "reload file", "mend the file, then reload"
    RELOAD_HANGS = "reload hangs", "look at the disk that has the file, and at dmesg"
    CERTIFICATE = (
        "api certificate",
        "renew it (api_cert), then reload the node (SIGHUP): it is for connections that begin",
    )
    LOG = (
        "log",
        "see to who reads the node's stderr, or make room where that is a file; lines that were "
        "lost stay lost",
    )
    STREAMS = "streams", f"raise streams_max on all nodes {_GROWS}"
    REGISTERS = "registers", f"raise registers_max on all nodes, if they have the memory, {_GROWS}"
    KEYS = (
        "keys",
        f"use fewer keys a second, or raise key_limit on all nodes {_GROWS}",
    )
    DOUBLES = (
        "doubles",
        "have clients wait longer before they try another node, or raise doubles_max on all nodes "
        f"{_GROWS}",
    )
    NOT_OURS = (
        "not ours",
        "find the node that is wrong: one with broken memory, a live copy of this one, or an "
        "attacker's; stop it, and give the others another secret. What was counted here counts",
    )

    def __init__(self, alarm: str, advice: str) -> None:
        self.alarm = alarm
        self.advice = advice


class Alarm(NamedTuple):
    """What is shown of a trouble."""

    text: str
    advice: str


class _Present(NamedTuple):
    text: str
    serves: bool


class Troubles:
    """The troubles of one node, each at most once, or once about each of several things."""

    def __init__(self) -> None:
        self._present: dict[tuple[Trouble, str], _Present] = {}

    def begin(self, trouble: Trouble, text: str, about: str = "", *, serves: bool = True) -> None:
        """Something is wrong, or is told in other words; `serves`: clients need not go elsewhere.

        The log is told when it begins, not when the words change.
        """
        if (trouble, about) not in self._present:
            log.warning("%s", text, extra=_named(trouble, about))
        self._present[trouble, about] = _Present(text, serves)

    def end(self, trouble: Trouble, about: str = "") -> None:
        """It is over; nothing happens where it had not begun."""
        present = self._present.pop((trouble, about), None)
        if present is not None:
            log.info("cleared: %s", present.text, extra=_named(trouble, about))

    @property
    def alarms(self) -> list[Alarm]:
        """All of them, the oldest first."""
        return [
            Alarm(present.text, trouble.advice) for (trouble, _), present in self._present.items()
        ]

    @property
    def texts(self) -> list[str]:
        """The same in words alone."""
        return [alarm.text for alarm in self.alarms]

    @property
    def not_serving(self) -> str | None:
        """Why clients should ask another node; None where they need not."""
        return "; ".join(each.text for each in self._present.values() if not each.serves) or None


def _named(trouble: Trouble, about: str) -> Mapping[str, object]:
    return fields(alarm=f"{trouble.alarm} {about}" if about else trouble.alarm)
