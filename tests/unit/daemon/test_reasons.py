"""Why a member is held as it is, in words."""

from __future__ import annotations

import pytest

from gossipd.core import Cause, MemberView, Reason, Status
from gossipd.daemon.reasons import reason_text

VIEW = MemberView("b", ("10.0.0.2", 7946), 1, 0, Status.SUSPECT, (), 0, ("c", "d"))
RELAYS = ("c", "d", "e")


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (Reason(Cause.JOINED), "it has joined through this node"),
        (Reason(Cause.TOLD, by=("e",)), "e says so; accused by c, d"),
        (Reason(Cause.CHECKED, by=("e",), pings=2),
         "e says so, and 2 pings of this node were not answered"),
        (Reason(Cause.UNREFUTED, by=("c", "d")),
         "accused by c, d, and nothing has come that refutes it"),
        (Reason(Cause.SILENT, pings=3), "3 pings of this node were not answered"),
        (Reason(Cause.SILENT, pings=3, relays=RELAYS), "3 pings of this node were not answered; "
         "asked to ping it, too: c, d, e, and nobody has answered"),
        (Reason(Cause.SILENT, pings=3, relays=RELAYS, nacks=("d",)),
         "3 pings of this node were not answered; asked to ping it, too: c, d, e; "
         "not reached by d"),
    ],
)  # fmt: skip
def test_a_reason_in_words(reason: Reason, words: str) -> None:
    assert reason_text(reason, VIEW) == words


def test_who_lives_is_accused_by_nobody() -> None:
    view = VIEW._replace(status=Status.ALIVE)
    assert reason_text(Reason(Cause.TOLD, by=("e",)), view) == "e says so"
