"""What a client would rather have: the field Accept of HTTP (RFC 9110 12.5.1)."""

from __future__ import annotations


def weights(accept: str) -> dict[str, float]:
    """How much it wants each type that it names, from 0 to 1. Whatever stands there, it is no
    mistake: what cannot be read is not wanted."""
    return dict(map(_weight, accept.lower().split(",")))


def _weight(part: str) -> tuple[str, float]:
    kind, *parameters = (piece.strip() for piece in part.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return kind, float(value)
            except ValueError:
                return kind, 0.0
    return kind, 1.0
