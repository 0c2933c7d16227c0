"""The 3x rule: an address that has proven nothing is never sent more than three times what came.

So nobody can use a node to amplify traffic towards somebody else. Members have proven their
addresses: they have echoed a nonce of this very node, be it a cookie. Whatever others say proves
nothing. Addresses that the operator gave as seeds, or that an earlier life knew, are trusted, and
so are newcomers that are refused with a good cookie.
"""

from __future__ import annotations

from gossipd.core.identity import Address

AMPLIFICATION_MAX = 3
STRANGERS_MAX = 1024
TRUSTED_MAX = 1024


class AmplificationLimit:
    """Allowances of addresses that have proven nothing, the most recent ones."""

    def __init__(self) -> None:
        self._allowances: dict[Address, int] = {}
        self._trusted: dict[Address, None] = {}

    def received(self, source: Address, size: int) -> None:
        """`size` bytes came from `source`, or were sent in its name."""
        allowance = self._allowances.pop(source, 0) + AMPLIFICATION_MAX * size
        self._allowances[source] = allowance
        if len(self._allowances) > STRANGERS_MAX:
            del self._allowances[next(iter(self._allowances))]

    def trust(self, address: Address) -> None:
        """The operator named `address`, an earlier life knew it, or a cookie has proven it."""
        self._trusted.pop(address, None)
        self._trusted[address] = None
        if len(self._trusted) > TRUSTED_MAX:
            del self._trusted[next(iter(self._trusted))]

    def allow(self, to: Address, size: int) -> bool:
        """Whether `size` bytes may be sent to `to`; if so they are taken from its allowance."""
        if to in self._trusted:
            return True
        allowance = self._allowances.get(to, 0)
        if size > allowance:
            return False
        self._allowances[to] = allowance - size
        return True
