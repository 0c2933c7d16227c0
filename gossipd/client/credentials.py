"""What a client shows of itself to the daemons that it asks."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Credentials:
    token: str = field(default="", repr=False)
    """Empty: none is shown."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The header fields that show it."""
        return (f"Authorization: Bearer {self.token}",) if self.token else ()


NONE = Credentials()
