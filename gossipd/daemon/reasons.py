"""Why a member is held as it is, in words that follow "because"."""

from __future__ import annotations

from collections.abc import Sequence

from gossipd.core import Cause, MemberView, Reason, Status


def reason_text(reason: Reason, view: MemberView) -> str:
    """What the state of `view` followed from."""
    match reason.cause:
        case Cause.SILENT:
            text = _unanswered(reason.pings)
            if reason.relays:
                text += f"; {_of_relays(reason)}"
            return text
        case Cause.CHECKED:
            return f"{_names(reason.by)} says so, and {_unanswered(reason.pings)}"
        case Cause.UNREFUTED:
            return f"accused by {_names(reason.by)}, and nothing has come that refutes it"
        case Cause.TOLD:
            accused = view.status is Status.SUSPECT and view.accusers
            text = f"{_names(reason.by)} says so"
            return f"{text}; accused by {_names(view.accusers)}" if accused else text
        case _:
            return str(reason.cause.value)


def why(view: MemberView, reason: Reason | None) -> str | None:
    """Why a member is suspected or has failed; None of others."""
    is_down = view.status in (Status.SUSPECT, Status.FAILED)
    return reason_text(reason, view) if is_down and reason is not None else None


def _unanswered(pings: int) -> str:
    return f"{pings} pings of this node were not answered"


def _of_relays(reason: Reason) -> str:
    asked = f"asked to ping it, too: {_names(reason.relays)}"
    if not reason.nacks:
        return f"{asked}, and nobody has answered"
    return f"{asked}; not reached by {_names(reason.nacks)}"


def _names(names: Sequence[str]) -> str:
    return ", ".join(names)
