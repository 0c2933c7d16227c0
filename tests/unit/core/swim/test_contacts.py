"""When members last spoke and answered, and what came of the last probes of them."""

from __future__ import annotations

from gossipd.core.swim.contacts import NAMES_MAX, PROBES_KEPT, Contact, Contacts, Outcome, Probed

HERE = ("10.0.0.1", 1)


def test_nothing_is_remembered_of_who_was_never_heard() -> None:
    assert Contacts().of("a") == Contact()


def test_the_last_word_the_last_answer_and_the_newest_probes_are_remembered() -> None:
    contacts = Contacts()
    contacts.spoke("a", HERE, 1.0)
    contacts.spoke("a", ("10.0.0.2", 2), 2.0)
    contacts.answered("a", 1.5)
    probes = [Probed(at, 0.5, Outcome.ANSWERED, 1, (), ()) for at in range(PROBES_KEPT + 2)]
    for probe in probes:
        contacts.probed("a", probe)
    newest = tuple(reversed(probes[2:]))
    assert contacts.of("a") == Contact(2.0, ("10.0.0.2", 2), 1.5, newest)


def test_of_too_many_names_the_oldest_is_forgotten() -> None:
    contacts = Contacts()
    for number in range(NAMES_MAX + 1):
        contacts.answered(f"n{number}", number)
    assert contacts.of("n0") == Contact()
    assert contacts.of("n1").answered_at == 1
    assert contacts.of(f"n{NAMES_MAX}").answered_at == NAMES_MAX


def test_who_spoke_last_comes_first_and_who_did_long_before_or_never_not_at_all() -> None:
    contacts = Contacts()
    for at, name in enumerate("abca"):
        contacts.spoke(name, HERE, float(at))
    contacts.probed("d", Probed(1.0, 1.5, Outcome.SILENT, 3, (), ()))
    contacts.answered("b", 9.0)
    assert list(contacts.latest(5.0)) == ["a", "c", "b"]
    assert list(contacts.latest(1.0)) == ["a", "c"]
    assert not list(Contacts().latest(1.0))
