from __future__ import annotations

from random import Random

import pytest

from gossipd.core.following import Following
from gossipd.core.log.recent import RecentEvents
from gossipd.core.swim import members
from gossipd.core.swim.circle import Circle
from gossipd.core.swim.members import Change, MemberTable
from gossipd.core.wire.messages import (
    ACCUSERS_MAX,
    AGE_MAX,
    MemberView,
    Status,
)

REMEMBER = 7200.0
HALF = REMEMBER / 2
OWN = MemberView("own", ("10.0.0.9", 1), 5, 0, Status.ALIVE)
ALIVE = MemberView("bob", ("10.0.0.1", 1), 5, 3, Status.ALIVE)
SUSPECT = ALIVE._replace(status=Status.SUSPECT, accusers=("ann",))
FAILED = ALIVE._replace(status=Status.FAILED)
LEFT = ALIVE._replace(status=Status.LEFT)


def _table(*views: MemberView) -> MemberTable:
    table = MemberTable(OWN, REMEMBER, 0.0)
    for view in views:
        table.merge(view, 0.0, proven=True)
    return table


def test_each_member_is_counted_in_the_state_in_which_it_is() -> None:
    table = _table()
    for view in (
        ALIVE,
        SUSPECT,
        FAILED,
        ALIVE._replace(incarnation=4),
        LEFT._replace(incarnation=4),
    ):
        table.merge(view, 0.0, proven=True)
        expected = {**dict.fromkeys(Status, 0), Status.ALIVE: 1}
        expected[view.status] += 1
        assert table.counts == expected
    assert table.expire(REMEMBER)
    assert table.counts == {**dict.fromkeys(Status, 0), Status.ALIVE: 1}


def test_a_table_begins_with_its_owner_alone() -> None:
    table = _table()
    assert table.own == OWN
    assert table.views() == [OWN]
    assert table.live == []
    assert table.live_count == 1
    assert table.get("bob") is None
    assert table.shared("bob", 0.0) is None
    assert table.is_proven(OWN.address)
    assert not table.is_proven(ALIVE.address)


def test_a_circle_holds_the_others_that_live() -> None:
    table, circle = _table(ALIVE), Circle(Random(1))
    ann = ALIVE._replace(name="ann", address=("10.0.0.3", 1))
    table.follow(circle)
    counts = [len(circle)]
    for view in (ann, SUSPECT, FAILED, LEFT, ann._replace(incarnation=9, status=Status.LEFT)):
        table.merge(view, 1.0)
        counts.append(len(circle))
    table.merge(OWN._replace(incarnation=1), 1.0)
    assert [*counts, len(circle)] == [1, 2, 2, 1, 1, 0, 0]


@pytest.mark.parametrize(
    "above",
    [
        SUSPECT,
        FAILED,
        LEFT,
        ALIVE._replace(incarnation=4),
        ALIVE._replace(generation=6, incarnation=0),
        ALIVE._replace(address=("10.0.0.2", 1), incarnation=0),
        ALIVE._replace(tags=(("a", "b"),)),
    ],
)
def test_a_view_of_higher_rank_replaces_one_of_lower_rank(above: MemberView) -> None:
    table = _table(ALIVE)
    before = table.fingerprint
    assert table.merge(above, 1.0, proven=True) == Change(above, ALIVE)
    assert table.get("bob") == above
    assert table.fingerprint != before
    assert table.is_proven(above.address)
    assert table.merge(ALIVE, 1.0) is None
    assert table.get("bob") == above
    assert table.fingerprint == _table(above).fingerprint


def test_an_address_is_held_as_long_as_a_member_has_it() -> None:
    moved = ALIVE._replace(address=("10.0.0.2", 1))
    table = _table(ALIVE, ALIVE._replace(name="eve"))
    table.merge(moved, 1.0, proven=True)
    assert table.is_proven(ALIVE.address)
    table.merge(moved._replace(name="eve"), 1.0, proven=True)
    assert not table.is_proven(ALIVE.address)
    assert table.is_proven(moved.address)


def test_live_and_failed_members_are_listed_by_name() -> None:
    eve, zoe = ALIVE._replace(name="eve"), ALIVE._replace(name="zoe")
    table = _table(zoe, eve, ALIVE)
    assert table.live == ["bob", "eve", "zoe"]
    assert table.live_count == 4
    table.merge(eve._replace(status=Status.FAILED), 1.0)
    table.merge(LEFT, 1.0)
    table.merge(zoe._replace(status=Status.SUSPECT), 1.0)
    assert table.live == ["zoe"]
    assert table.down == ["eve"]
    table.merge(eve._replace(incarnation=4), 2.0)
    assert table.live == ["eve", "zoe"]
    assert table.down == []
    assert table.names_after("bob") == ["eve", "own", "zoe"]
    assert table.names_after("") == ["bob", "eve", "own", "zoe"]


def test_a_failed_member_is_listed_once_this_node_knows_it() -> None:
    table = _table()
    table.merge(FAILED, 0.0)
    assert table.down == []
    table.prove("bob", FAILED.address)
    table.prove("bob", FAILED.address)
    assert table.down == ["bob"]
    table.merge(ALIVE._replace(incarnation=4), 1.0)
    assert (table.live, table.down) == (["bob"], [])


def test_accusers_are_joined_up_to_a_bound() -> None:
    table = _table(SUSPECT)
    fingerprint = table.fingerprint
    eve = SUSPECT._replace(accusers=("ann", "eve"))
    assert table.merge(eve, 1.0) == Change(eve, SUSPECT)
    assert table.merge(SUSPECT, 1.0) is None
    table.merge(SUSPECT._replace(accusers=tuple("abcdefgh")), 1.0)
    held = table.get("bob")
    assert held is not None
    assert held.accusers == ("ann", "eve", *"abcdefgh")[:ACCUSERS_MAX]
    assert table.fingerprint == fingerprint


def test_accusers_of_a_member_that_is_not_suspected_are_no_news() -> None:
    table = _table(FAILED)
    assert table.merge(FAILED._replace(accusers=("ann",)), 1.0) is None
    assert table.get("bob") == FAILED


def test_since_is_when_the_status_changed() -> None:
    table = _table(ALIVE)
    table.merge(ALIVE._replace(incarnation=4), 5.0)
    assert table.since("bob") == 0.0
    table.merge(FAILED._replace(incarnation=4), 6.0)
    assert table.since("bob") == 6.0
    table.merge(ALIVE._replace(incarnation=5), 7.0)
    assert table.since("bob") == 7.0


def test_a_verdict_is_told_with_its_age_in_minutes_rounded_up() -> None:
    table = _table(FAILED)
    for now, age in ((0.0, 0), (0.1, 1), (60.0, 1), (60.1, 2)):
        assert table.shared("bob", now) == FAILED._replace(age=age)
    assert table.get("bob") == FAILED


def test_members_that_are_alive_or_suspected_have_no_age() -> None:
    assert _table(ALIVE).shared("bob", 999.0) == ALIVE
    assert _table(SUSPECT).shared("bob", 999.0) == SUSPECT


def test_the_smaller_age_of_one_verdict_wins() -> None:
    table = _table(FAILED._replace(age=10))
    assert table.shared("bob", 0.0) == FAILED._replace(age=10)
    assert table.merge(FAILED._replace(age=4), 0.0) is None
    assert table.shared("bob", 0.0) == FAILED._replace(age=4)
    table.merge(FAILED._replace(age=30), 0.0)
    assert table.shared("bob", 0.0) == FAILED._replace(age=4)


def test_a_verdict_leaves_sharing_at_half_its_life_and_the_table_at_its_end() -> None:
    table = _table(ALIVE._replace(name="eve"), FAILED)
    assert table.expire(HALF - 1) == []
    assert table.shared("bob", HALF - 1) is not None
    assert table.expire(HALF) == []
    assert table.shared("bob", HALF) is None
    assert table.get("bob") == FAILED
    assert table.fingerprint == _table(ALIVE._replace(name="eve")).fingerprint
    assert table.down == ["bob"]
    assert table.expire(HALF) == []
    assert table.expire(REMEMBER) == [FAILED]
    assert table.get("bob") is None
    assert table.down == []
    assert not table.is_proven(("10.0.0.7", 1))
    assert [view.name for view in table.views()] == ["eve", "own"]


def test_a_verdict_too_old_to_be_shared_does_not_enter_a_table() -> None:
    table = _table()
    assert table.merge(LEFT._replace(age=int(HALF / 60)), 0.0) is None
    assert table.get("bob") is None
    assert table.merge(LEFT._replace(age=int(HALF / 60) - 1), 0.0) is not None


def test_a_kept_verdict_too_old_to_be_shared_is_remembered_to_the_end_of_its_life() -> None:
    old = FAILED._replace(age=int(HALF / 60))
    table = _table()
    assert table.merge(old, 0.0, kept=True) == Change(FAILED, None)
    assert table.down == ["bob"]
    assert table.shared("bob", 0.0) is None
    assert table.remembered("bob", 0.0) == old
    assert table.fingerprint == _table().fingerprint
    assert table.expire(HALF - 1) == []
    assert table.expire(HALF) == [FAILED]
    assert table.remembered("bob", HALF) is None
    assert table.merge(FAILED._replace(age=int(REMEMBER / 60)), HALF, kept=True) is None


def test_a_kept_verdict_is_shared_again_when_others_gave_it_later() -> None:
    table = _table()
    table.merge(FAILED._replace(age=int(HALF / 60)), 0.0, kept=True)
    table.merge(FAILED._replace(age=2), 0.0)
    assert table.shared("bob", 0.0) == FAILED._replace(age=2)
    assert table.fingerprint == _table(FAILED).fingerprint


@pytest.mark.parametrize("kept", [ALIVE, SUSPECT, FAILED, LEFT])
def test_a_kept_member_is_shared_once_it_was_met(kept: MemberView) -> None:
    """An earlier life knew it; the others may have forgotten it since."""
    table = _table()
    assert table.merge(kept, 0.0, kept=True) is not None
    assert table.merge(kept, 0.0, kept=True) is None, "another image of it tells no more"
    assert table.get("bob") is not None
    assert not table.is_met("bob")
    assert table.shared("bob", 0.0) is None
    assert table.fingerprint == _table().fingerprint
    for _ in range(2):
        table.meet("bob", 0.0)
        assert table.is_met("bob")
        assert table.shared("bob", 0.0) is not None
        assert table.fingerprint == _table(kept).fingerprint


@pytest.mark.parametrize("told", [ALIVE, ALIVE._replace(incarnation=0), LEFT])
def test_whatever_others_tell_of_a_kept_member_it_is_met_by_it(told: MemberView) -> None:
    table = _table()
    table.merge(SUSPECT, 0.0, kept=True)
    table.merge(told, 0.0)
    assert table.is_met("bob")
    assert table.fingerprint == _table(SUSPECT, told).fingerprint


def test_what_this_node_finds_out_of_a_kept_member_is_its_own_affair() -> None:
    table = _table()
    table.merge(ALIVE, 0.0, kept=True)
    assert table.merge(FAILED, 1.0, own=True) is not None
    assert (table.down, table.shared("bob", 1.0)) == (["bob"], None)
    assert table.fingerprint == _table().fingerprint
    table.expire(HALF + 1)
    table.meet("bob", HALF + 1)
    assert table.shared("bob", HALF + 1) is None, "by now it is too old"


def test_what_this_node_finds_out_of_a_member_that_was_met_is_shared() -> None:
    table = _table(ALIVE)
    table.merge(FAILED, 1.0, own=True)
    assert table.shared("bob", 1.0) == FAILED
    assert not table.is_met("nobody")
    table.meet("nobody", 1.0)


def test_an_age_that_is_told_fits_a_datagram() -> None:
    table = MemberTable(OWN, 1e15, 0.0)
    table.merge(LEFT._replace(age=AGE_MAX), 0.0)
    assert table.shared("bob", 90.0) == LEFT._replace(age=AGE_MAX)


def test_a_verdict_that_others_gave_later_is_shared_again() -> None:
    table = _table(FAILED)
    table.expire(HALF)
    assert table.merge(FAILED._replace(age=int(HALF / 60)), HALF) is None
    assert table.shared("bob", HALF) is None
    assert table.merge(FAILED._replace(age=2), HALF) is None
    assert table.shared("bob", HALF) == FAILED._replace(age=2)
    assert table.fingerprint == _table(FAILED).fingerprint
    assert table.expire(HALF + 60) == []
    assert table.shared("bob", HALF + 60) is not None


def test_a_full_table_takes_no_new_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "MEMBERS_MAX", 2)
    table = _table(ALIVE)
    assert table.merge(ALIVE._replace(name="eve"), 0.0) is None
    assert table.merge(FAILED, 0.0) == Change(FAILED, ALIVE)


def test_what_the_owner_says_of_itself_is_merged_like_any_view() -> None:
    table = _table()
    risen = OWN._replace(incarnation=1)
    assert table.merge(risen, 1.0) == Change(risen, OWN)
    assert table.own == risen
    assert table.live == []


def test_a_verdict_too_old_to_be_shared_is_refused_of_a_held_member_too() -> None:
    table = _table(ALIVE)
    assert table.merge(FAILED._replace(age=2**32 - 1), 0.0) is None
    assert table.get("bob") == ALIVE
    assert table.merge(FAILED._replace(age=1), 0.0) is not None


def test_expiry_takes_many_at_once_out_of_every_list() -> None:
    table = _table()
    for number in range(50):
        name, address = f"m{number:02}", ("10.1.0.1", number + 1)
        table.merge(MemberView(name, address, 5, 0, Status.FAILED), 0.0)
    table.merge(ALIVE, 0.0)
    assert len(table.expire(REMEMBER)) == 50
    assert [view.name for view in table.views()] == ["bob", "own"]
    assert table.down == []
    assert table.live == ["bob"]


def test_the_own_entry_never_expires_not_even_as_left() -> None:
    table = _table()
    left = OWN._replace(status=Status.LEFT)
    table.merge(left, 0.0)
    fingerprint = table.fingerprint
    assert table.expire(2 * REMEMBER) == []
    assert table.own == left
    assert table.fingerprint == fingerprint


@pytest.mark.parametrize("suspect", ["a", "c", "e"])
def test_places_behind_a_member_are_those_of_a_circle_by_name(suspect: str) -> None:
    names = ["a", "b", "c", "d", "e"]
    circle = [*names[names.index(suspect) + 1 :], *names[: names.index(suspect)]]
    for own in circle:
        table = MemberTable(OWN._replace(name=own), REMEMBER, 0.0)
        for name in names:
            if name != own:
                table.merge(ALIVE._replace(name=name), 0.0)
        table.merge(FAILED._replace(name="bb"), 0.0)
        assert table.place_after(suspect) == (circle.index(own), 4)


def _marked() -> MemberTable:
    table = _table(ALIVE)
    assert table.changed == {}
    table.keeps_marks = True
    return table


def test_a_view_that_changes_is_to_be_stored() -> None:
    table = _marked()
    table.merge(SUSPECT, 1.0)
    table.merge(ALIVE, 1.0)
    table.merge(SUSPECT._replace(accusers=("eve",)), 1.0)
    assert list(table.changed) == ["bob"]


def test_a_verdict_that_others_gave_later_is_to_be_stored() -> None:
    table = _marked()
    table.merge(FAILED._replace(age=3), 0.0)
    table.changed = {}
    table.merge(FAILED._replace(age=4), 0.0)
    assert table.changed == {}
    table.merge(FAILED._replace(age=1), 0.0)
    assert list(table.changed) == ["bob"]


def test_hearing_again_that_a_member_lives_is_nothing_to_store() -> None:
    table = _marked()
    table.merge(ALIVE, 50.0)
    assert table.changed == {}


def test_a_member_that_goes_is_to_be_stored() -> None:
    table = _marked()
    table.merge(FAILED, 0.0)
    table.changed = {}
    assert table.expire(REMEMBER) == [FAILED]
    assert list(table.changed) == ["bob"]


def test_who_is_gone_and_absurd_is_let_go_at_once_and_a_smaller_view_is_good_again() -> None:
    table = _table(FAILED)
    assert table.expire(1.0, lambda view: view.generation > 5) == []
    assert table.expire(1.0, lambda view: view.generation > 4) == [FAILED]
    assert table.get("bob") is None
    assert table.fingerprint == _table().fingerprint
    assert table.merge(FAILED._replace(generation=4), 2.0) is not None


def test_who_lives_stays_however_absurd() -> None:
    table = _table(ALIVE)
    assert table.expire(1.0, lambda _: True) == []
    assert table.get("bob") == ALIVE


def test_who_follows_is_told_of_each_change_of_what_is_held() -> None:
    table = _table(ALIVE)
    following = Following(RecentEvents(1), table)

    def taken() -> list[str]:
        has_members = following.has_members
        names = following.take_members()
        assert has_members is bool(names)
        return names

    following.begin()
    table.merge(ALIVE, 1.0)
    assert taken() == []
    for view in (SUSPECT, SUSPECT._replace(accusers=("eve",)), FAILED):
        table.merge(view, 1.0)
        assert taken() == ["bob"]
    table.merge(OWN._replace(incarnation=1), 1.0)
    assert table.expire(REMEMBER + 2.0)
    assert taken() == ["own", "bob"]
    following.end()
    table.merge(OWN._replace(incarnation=2), 1.0)
    assert taken() == []
