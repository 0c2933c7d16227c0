"""Whether a node may call itself ready only because no ready peer showed itself in time.

Time proves nothing where no peer could be asked at all. Whoever notices such a reason forbids it
here, under a name, and permits it again once the reason is gone: this is the one place that
combines them, for the core and for the words in which `/ready` refuses.

Also whether a node that has nobody to join is alone: others may hold it as a member still.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from gossipd.core import Effect, Node
from gossipd.daemon.lines import fields

log = logging.getLogger(__name__)


class Alone:
    """The reasons of one node."""

    def __init__(self, node: Node, perform: Callable[[Sequence[Effect]], None]) -> None:
        self._node = node
        self._perform = perform
        self._reasons: dict[str, str] = {}
        self._found: str | None = None
        """What has shown that this node is not alone."""

    def forbid(self, name: str, text: str) -> None:
        """There is a reason against it, or it is told in other words."""
        self._reasons[name] = text
        self._tell()

    def permit(self, name: str) -> None:
        """A reason is gone; nothing happens where there was none."""
        if self._reasons.pop(name, None) is not None:
            self._tell()

    def found(self, name: str) -> None:
        """A member has counts that this node lacks, though it has nobody to join."""
        self._found = f"this node is not alone: {name} holds it as a member, and counts it lacks"
        log.warning("%s; it is ready once it has them", self._found, extra=fields(member=name))

    @property
    def why_not_ready(self) -> str:
        """Why a node whose counts are not known to be complete is not ready."""
        if self._node.listens:
            return "nothing is held here: listening whether others hold this node as a member"
        reasons = self._found, *self._reasons.values()
        return "; ".join(["still waiting for all counts of a ready peer", *filter(None, reasons)])

    def _tell(self) -> None:
        allowed = not self._reasons
        self._perform(self._node.may_be_ready_alone(allowed, time.monotonic()))
