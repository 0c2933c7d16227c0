"""What is told of a question that is not answered."""

from __future__ import annotations

import pytest

from gossipd.core import Refused, Why


def refuse() -> None:
    try:
        raise KeyError
    except KeyError as error:
        raise Refused(Why.UNKNOWN, "nobody") from error


def test_a_refusal_as_a_value_holds_nothing_that_it_came_through() -> None:
    with pytest.raises(Refused) as caught:
        refuse()
    assert isinstance(caught.value.__cause__, KeyError)
    bare = caught.value.bare()
    assert bare is caught.value
    assert [bare.__traceback__, bare.__context__, bare.__cause__] == [None] * 3


def test_a_refusal_tells_why_in_words_and_what_is_known() -> None:
    refused = Refused(Why.LATE, "not yet", 1, {"count": 5})
    assert str(refused) == refused.detail == "not yet"
    assert (refused.why, refused.retry_after, refused.facts) == (Why.LATE, 1, {"count": 5})
    assert Refused(Why.LATE, "not yet").facts == {}
