"""What is told of a question that is not answered."""

from __future__ import annotations

import pytest

from gossipd.core import Refused, Why


def test_a_refusal_as_a_value_holds_nothing_that_it_came_through() -> None:
    with pytest.raises(Refused) as caught:
        try:
            raise KeyError
        except KeyError as error:
            raise Refused(Why.UNKNOWN, "nobody") from error
    refused = caught.value
    assert refused.__cause__ is not None
    assert refused.bare() is refused
    assert (refused.__traceback__, refused.__context__, refused.__cause__) == (None, None, None)


def test_a_refusal_tells_why_in_words_and_what_is_known() -> None:
    refused = Refused(Why.LATE, "not yet", 1, {"count": 5})
    assert str(refused) == refused.detail == "not yet"
    assert (refused.why, refused.retry_after, refused.facts) == (Why.LATE, 1, {"count": 5})
    assert Refused(Why.LATE, "not yet").facts == {}
