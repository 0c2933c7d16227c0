"""The liar's grammar speaks every kind of message with every field, whatever is declared."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any, get_args

import pytest

from gossipd.core.wire.decoding import KINDS as ON_THE_WIRE
from gossipd.core.wire.decoding import decode
from gossipd.core.wire.messages import (
    Envelope,
    Gossip,
    Message,
    Status,
)
from tests.fuzz.attacks.grammar import (
    KINDS,
    SORTS,
    Grammar,
    is_made_of_parts,
    parts,
)
from tests.fuzz.attacks.hostile import cluster
from tests.fuzz.attacks.liar import ANSWERS, Liar
from tests.simulation.faulty.world import World
from tests.unit.core.wire.wire_examples import EXAMPLES, encode

DRAWS = 400


def types_below(hint: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every field and type that a message or a part of one is made of."""
    if is_made_of_parts(hint):
        for field, of in parts(hint).items():
            yield f"{hint.__name__}.{field}", of
            yield from types_below(of, field)
    else:
        for of in get_args(hint):
            if of is not ...:
                yield from types_below(of, name)


def listening() -> Grammar:
    """A grammar that has heard one of everything."""
    grammar = Grammar(Random(1))
    for _, envelope in EXAMPLES:
        grammar.hear(envelope)
    return grammar


def test_every_kind_on_the_wire_is_spoken() -> None:
    assert set(KINDS) == set(ON_THE_WIRE) == set(get_args(Message))
    assert set(ANSWERS) | {kind for answers in ANSWERS.values() for kind in answers} == set(
        KINDS
    ) - {Gossip}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_field_of_every_kind_is_drawn_as_more_than_one_legal_value(
    kind: type[Message],
) -> None:
    grammar = listening()
    seen: dict[str, set[Any]] = {}
    legal = 0
    for _ in range(DRAWS):
        said = Envelope("ann", 1, 0, grammar.draw(kind))
        read = decode(encode(said))
        if isinstance(read, Envelope):
            legal += 1
            note(read.message, seen)
    assert legal > DRAWS / 4
    for field, _ in types_below(kind):
        assert len(seen.get(field, ())) > 1, f"{field} is always the same: {seen.get(field)}"


def note(thing: Any, seen: dict[str, set[Any]]) -> None:
    """Note the values of all fields of something."""
    if is_made_of_parts(type(thing)):
        for field in parts(type(thing)):
            value = getattr(thing, field)
            seen.setdefault(f"{type(thing).__name__}.{field}", set()).add(value)
            note(value, seen)
    elif isinstance(thing, tuple):
        for item in thing:
            note(item, seen)


def test_every_number_and_text_has_a_sort_and_every_sort_is_used() -> None:
    names = {where.rpartition(".")[2] for where, _ in types_below(Envelope)}
    assert set(SORTS) <= names
    for _, envelope in EXAMPLES:
        Grammar(Random(1)).hear(envelope)  # which raises at a name without one


def test_what_was_heard_is_told_again_and_changed() -> None:
    grammar = listening()
    streams = {group.stream for _, said in EXAMPLES for group in said.groups}
    drawn = [grammar.draw(Envelope) for _ in range(DRAWS)]
    told = {group.stream for envelope in drawn for group in envelope.groups}
    assert told & streams
    assert told - streams
    known = grammar.heard(Envelope)[-1]
    assert any(grammar.twisted(known) != known for _ in range(10))


def joined(seed: int) -> tuple[World, Liar]:
    """A cluster with a liar in it."""
    world = cluster(seed)
    liar = Liar(world, Random(seed))
    for name in world.running:
        assert liar.join(name)
    world.run(1)
    return world, liar


def test_the_liar_is_a_member_that_answers() -> None:
    world, liar = joined(1)
    for _ in range(200):
        liar.behave()
        world.run(0.05)
    for node in world.running.values():
        view = node.member("liar")
        assert view is not None
        assert view.status is Status.ALIVE


def test_the_liar_tells_lies_of_every_kind_and_they_are_used() -> None:
    world, liar = joined(2)
    world.received = []
    for name in list(world.running):
        world.increment(name, key=bytes(6) + b"\x40" + bytes(9))
    for _ in range(600):
        liar.lie()
        liar.behave()
        world.run(0.005)
    assert set(liar.told) == {kind.__name__ for kind in KINDS}
    assert liar.said.registers
    assert liar.said.keys
    assert liar.said.doubles
    assert liar.said.corrections
    own = {made.stream for made in world.made}
    assert own & {stream for stream, _ in liar.said.registers}, "it lies about what is real"
