"""The frame of a node, whose secrets may change while it runs.

A cluster moves from none to secrets without a pause in three steps: first all nodes open what is
sealed and send plain, then they seal and still take plain, then they take plain no more. So what a
node sends and what it takes are chosen apart. What seals is loaded with the first secret.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossipd.core import Drop, TagFrame
from gossipd.core.settings import DATAGRAM_SIZE_MAX
from gossipd.core.wire.frame import PLAIN as NOT_SEALED
from gossipd.core.wire.frame import SEALED, head_of, why_not

from .keyring import Keyring, fingerprint_of

if TYPE_CHECKING:
    from .frame import SealedFrame

PLAIN = "plain"
"""Stands for the fingerprint of what is not sealed."""

OVERHEAD_MAX = 56
"""Bytes that either frame adds to a body at most."""

_FLAGS = 3
_IS_SEALED = bytes((SEALED,))


class ChangingFrame:
    """Tags datagrams as long as there is no keyring, and as far as it is told to with one."""

    def __init__(self, cluster: str) -> None:
        self._cluster = cluster
        self._plain = TagFrame(cluster)
        self._head = head_of(cluster, NOT_SEALED)
        self._sealed: SealedFrame | None = None
        self._sends_plain = self._takes_plain = True
        self._judged: tuple[bytes, bytes | Drop] | None = None
        """A datagram that was opened, and who is to have what it holds has not asked yet."""
        self.outcome = PLAIN
        """The fingerprint of the secret of what was opened last."""

    def change(self, keyring: Keyring, *, sends_plain: bool, takes_plain: bool) -> None:
        """From now on there are these secrets."""
        if self._sealed is None:
            from .frame import SealedFrame

            self._sealed = SealedFrame(self._cluster, keyring)
        else:
            self._sealed.change(keyring)
        self._sends_plain, self._takes_plain = sends_plain, takes_plain

    def renew(self) -> None:
        """Others may take what this node sends for what has come before: seal anew."""
        if self._sealed is not None:
            self._sealed.renew()

    @property
    def overhead(self) -> int:
        return self._plain.overhead if self._sealed is None else self._sealed.overhead

    @property
    def padding(self) -> int:
        return 1 if self._sealed is None or self._sends_plain else self._sealed.padding

    def close(self, body: bytes) -> bytes:
        if self._sealed is None or self._sends_plain:
            return self._plain.close(body)
        return self._sealed.close(body)

    def judge(self, data: bytes) -> Drop | None:
        """Open a datagram; why that cannot be. Who opens it next gets what it holds."""
        body = self._open(data)
        self._judged = data, body
        return body if isinstance(body, Drop) else None

    def open(self, data: bytes) -> bytes | Drop:
        judged, self._judged = self._judged, None
        return judged[1] if judged is not None and judged[0] is data else self._open(data)

    def _open(self, data: bytes) -> bytes | Drop:
        frame = self._frame_of(data)
        body = frame.open(data)
        if not isinstance(body, Drop):
            self.outcome = PLAIN if frame is self._plain else fingerprint_of(data)
        return body

    def peek(self, data: bytes) -> bytes | Drop:
        return self._frame_of(data).peek(data)

    def refusal(self, data: bytes) -> Drop | None:
        """Why a datagram will not be opened, as far as it costs next to nothing to find out."""
        frame = self._frame_of(data)
        if not isinstance(frame, TagFrame):
            return frame.refusal(data)
        if len(data) > DATAGRAM_SIZE_MAX:
            return Drop.TOO_LARGE
        return None if data.startswith(self._head) else why_not(data, self._head)

    def _frame_of(self, data: bytes) -> TagFrame | SealedFrame:
        """What is to open a datagram; the other one would only say that it cannot."""
        if self._sealed is None:
            return self._plain
        if self._takes_plain and data[_FLAGS : _FLAGS + 1] != _IS_SEALED:
            return self._plain
        return self._sealed
