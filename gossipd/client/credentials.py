"""What a client shows of itself to the daemons that it asks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Credentials:
    token: str = field(default="", repr=False)
    """Empty: none is shown."""

    cacert: str = ""
    """File of the CAs that are trusted for https; empty: those of the system."""

    cert: str = ""
    """File of the certificate that is shown for https; empty: none is shown."""

    key: str = ""
    """File of its key; empty: it stands in the same file."""

    @property
    def of_tls(self) -> Credentials:
        """Without what others must not have: who is shown a certificate cannot show it."""
        return replace(self, token="")

    @property
    def fields(self) -> tuple[str, ...]:
        """The header fields that show it."""
        return (f"Authorization: Bearer {self.token}",) if self.token else ()


NONE = Credentials()
