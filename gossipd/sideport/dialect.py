"""What a connection asks of a dialect: to turn bytes into commands for the pipeline."""

from __future__ import annotations

from typing import Protocol


class Dialect(Protocol):
    """A dialect never writes and never closes: it adds answers, and the end, to the pipeline."""

    @property
    def size(self) -> int:
        """Bytes of a large body that it holds or is about to receive; 0 for what is small."""
        ...

    def feed(self, data: bytes, now: float) -> None:
        """Take input; it is not called again once the pipeline is closed."""
        ...

    def finish(self) -> None:
        """The client will send nothing more."""
        ...

    def expires_at(self, active_at: float) -> float:
        """Until when the client may stay silent, given when it was last heard or answered."""
        ...

    def expire(self) -> None:
        """It stayed silent for too long."""
        ...

    def resume(self, now: float) -> None:
        """Input is taken again after a pause that was not the client's fault."""
        ...

    def stays(self) -> bool:
        """Tokens have changed: whether its client is still welcome. Else it is not fed again."""
        ...

    def end(self) -> None:
        """The connection is gone: hold nothing that refers back to this. Nothing else is called
        any more, except for `size`."""
        ...
