"""What this node seals with and what its members do, for people: in the log, as alarms, in what
the API shows; and a word to a node that has other secrets, or none.

Which secret a member seals with is what its last datagram showed, not what it says: so it is safe
to judge by it whether a secret can go. Where somebody cannot open what this node sends, or the
other way round, both have to hear of it: a datagram that does not fit is answered with an empty
one of this node's, which the other side drops for the reason that holds there, and logs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from gossipd.config.config import Config, Sealing
from gossipd.config.endpoint import is_loopback
from gossipd.core import Address, Drop
from gossipd.daemon.lines import fields
from gossipd.daemon.troubles import Trouble, Troubles
from gossipd.sealing.changing import OVERHEAD_MAX, PLAIN, ChangingFrame
from gossipd.sealing.keyring import Keyring

log = logging.getLogger("gossipd")

HEARD_MAX = 20_000
"""Addresses of members of which is kept what they seal with: as many as there are members."""

WORD_INTERVAL = 0.1
"""Seconds between two words to others that their datagrams do not fit, at least."""

_UNFIT = (Drop.SEALED, Drop.UNSEALED, Drop.UNKNOWN_SECRET)


class Seals:
    """Of one node."""

    def __init__(
        self,
        config: Config,
        keyring: Keyring | None,
        troubles: Troubles,
        send: Callable[[bytes, Address], None],
        is_its_own: Callable[[Address], bool],
    ) -> None:
        """`is_its_own`: whether the last datagram is one of the member that is at an address."""
        self.frame = ChangingFrame(config.cluster)
        self._troubles = troubles
        self._send = send
        self._is_its_own = is_its_own
        self._keyring: Keyring | None = None
        self._mode: Sealing = config.sealing or "require"
        self._heard: dict[Address, str] = {}
        self._word_at = float("-inf")
        if keyring is not None:
            self._take(keyring)

    def begin(self, bound: Address) -> None:
        """Say what holds, where the node is bound to `bound`."""
        if self._keyring is not None:
            self._tell()
        elif not is_loopback(bound[0]):
            self._troubles.begin(
                Trouble.NO_SECRET,
                "nothing is sealed: everybody who reaches the gossip port can join and count",
            )

    def change(self, keyring: Keyring | None, mode: Sealing | None) -> None:
        """Other secrets, or another mode, from now on."""
        mode = mode or "require"
        if keyring is None:
            if self._keyring is not None:
                log.warning("no keyring is given any more: the secrets stay until a new start")
            keyring = self._keyring
        if keyring is None or (keyring, mode) == (self._keyring, self._mode):
            return
        self._mode = mode
        self._take(keyring)
        self._troubles.end(Trouble.NO_SECRET)
        self._tell()

    def _take(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self.frame.change(
            keyring, sends_plain=self._mode == "accept", takes_plain=self._mode != "require"
        )

    def _tell(self) -> None:
        assert self._keyring is not None
        opens = self._keyring.fingerprints
        log.info(
            "datagrams are %s, and opened with %s, of %s (sealing: %s)",
            "sent plain" if self.own == PLAIN else f"sealed with {self.own}",
            ", ".join(opens),
            self._keyring.origin,
            self._mode,
            extra=fields(seals=self.own, opens=tuple(opens), sealing=self._mode),
        )
        if self._mode == "require":
            self._troubles.end(Trouble.TAKES_PLAIN)
        else:
            text = f"sealing is {self._mode}: what is not sealed is taken, too, from everybody"
            self._troubles.begin(Trouble.TAKES_PLAIN, text)

    @property
    def is_closed(self) -> bool:
        """Whether strangers are told nothing."""
        return self._keyring is not None and self._mode == "require"

    @property
    def own(self) -> str | None:
        """What this node seals with; None where it has no secret."""
        if self._keyring is None:
            return None
        return PLAIN if self._mode == "accept" else self._keyring.fingerprints[0]

    def of(self, address: Address) -> str | None:
        """What a member at an address last sealed with; None where that is not known."""
        return self._heard.get(address)

    def report(self) -> dict[str, object]:
        """For the state of the node."""
        if self._keyring is None:
            return {"mode": "off", "seals": None, "opens": [], "from": None}
        origin = self._keyring.origin
        return {
            "mode": self._mode,
            "seals": self.own,
            "opens": self._keyring.fingerprints,
            "from": origin if origin.startswith("$") else str(Path(origin).absolute()),
        }

    def opened(self, source: Address) -> None:
        """The frame has opened a datagram."""
        outcome = self.frame.outcome
        if (
            self._keyring is not None
            and self._heard.get(source) != outcome
            and self._is_its_own(source)
        ):
            self._heard[source] = outcome
            if len(self._heard) > HEARD_MAX:
                del self._heard[next(iter(self._heard))]

    def refused(self, reason: Drop, size: int, source: Address) -> None:
        """It has not opened one of `size` bytes: who may not know why is told, never with more
        than came, never in answer to such a word, and not often."""
        if size > OVERHEAD_MAX and reason in _UNFIT:
            now = time.monotonic()
            if now >= self._word_at:
                self._word_at = now + WORD_INTERVAL
                self._send(self.frame.close(b""), source)
