"""What is wrong with this node at the moment, in words: told in the log when it begins and when it
ends, shown as `alarms` meanwhile, and by `/ready` where clients should ask another node.

Whoever notices a trouble begins and ends it; this module only keeps what they say.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

from gossipd.daemon.lines import fields

log = logging.getLogger(__name__)


class _Trouble(NamedTuple):
    text: str
    serves: bool


class Troubles:
    """The troubles of one node, each under a name of its own."""

    def __init__(self) -> None:
        self._present: dict[str, _Trouble] = {}

    def begin(self, name: str, text: str, *, serves: bool = True) -> None:
        """Something is wrong, or is told in other words; `serves`: clients need not go elsewhere.

        The log is told when it begins, not when the words change.
        """
        if name not in self._present:
            log.warning("%s", text, extra=fields(alarm=name))
        self._present[name] = _Trouble(text, serves)

    def end(self, name: str) -> None:
        """It is over; nothing happens where it had not begun."""
        trouble = self._present.pop(name, None)
        if trouble is not None:
            log.info("cleared: %s", trouble.text, extra=fields(alarm=name))

    @property
    def texts(self) -> list[str]:
        """All of them, the oldest first."""
        return [trouble.text for trouble in self._present.values()]

    @property
    def not_serving(self) -> str | None:
        """Why clients should ask another node; None where they need not."""
        return "; ".join(each.text for each in self._present.values() if not each.serves) or None
