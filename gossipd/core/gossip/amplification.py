"""The 3x rule: an address that has proven nothing is never sent more than three times what came.

So nobody can use a node to amplify traffic towards somebody else. Members have proven their
addresses: they have echoed a nonce of this very node, be it a cookie. Whatever others say proves
nothing, and a proof is good for as long as its member lives: whoever has the address afterwards is
to get nothing for what was captured before. Where this node asks by itself to be taken in, as by
seeds, there is room for the questions, and for no more.
"""

from __future__ import annotations

from gossipd.core.identity import Address
from gossipd.core.settings import DATAGRAM_SIZE_MAX

AMPLIFICATION_MAX = 3
STRANGERS_MAX = 1024
ASKED_MAX = 1024
ASKED_ROOM = DATAGRAM_SIZE_MAX
"""Bytes for one question and the echo of a cookie: two Joins with all their tags."""


class AmplificationLimit:
    """Allowances of addresses that have proven nothing, the most recent ones."""

    def __init__(self) -> None:
        self._earned: dict[Address, int] = {}
        self._asked: dict[Address, int] = {}

    def received(self, source: Address, size: int) -> None:
        """`size` bytes came from `source`, or were sent in its name."""
        allowance = self._earned.pop(source, 0) + AMPLIFICATION_MAX * size
        self._earned[source] = allowance
        if len(self._earned) > STRANGERS_MAX:
            del self._earned[next(iter(self._earned))]

    def turn_to(self, address: Address) -> None:
        """This node turns to `address` by itself, or a cookie has just proven it."""
        self._asked.pop(address, None)
        self._asked[address] = ASKED_ROOM
        if len(self._asked) > ASKED_MAX:
            del self._asked[next(iter(self._asked))]

    def room(self, to: Address) -> int:
        """How large a datagram to `to` may be."""
        return max(self._earned.get(to, 0), self._asked.get(to, 0))

    def allow(self, to: Address, size: int) -> bool:
        """Whether `size` bytes may be sent to `to`; if so they are taken from what it has earned,
        or else from the room for questions."""
        for allowances in (self._earned, self._asked):
            if size <= allowances.get(to, 0):
                allowances[to] -= size
                return True
        return False
