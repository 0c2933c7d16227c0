"""What is told of a question that is not answered."""

from __future__ import annotations

from uuid import UUID

import pytest

from gossipd.core import Counted, Refused, Why


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


@pytest.mark.parametrize(("by", "values"), [(2, [6, 8, 10]), (-2, [14, 12, 10])])
def test_equal_increments_in_a_row_are_told_as_one_with_the_value_after_each(
    by: int, values: list[int]
) -> None:
    counted = Counted(UUID(int=7).bytes, "a", 3, by, 10, times=3)
    assert list(counted.values) == values
