"""Commits step by step: what a node makes of increments, before anybody commits it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from gossipd.core import (
    Answered,
    Batch,
    Commit,
    Effect,
    Failure,
    FindKeys,
    Node,
    Put,
    Stored,
)
from gossipd.core.log.writer import NOTHING_STORED

AT_ONCE = 200
"""Increments that certainly make one batch."""


def prepared(
    node: Node,
    increments: Sequence[tuple[str, int]],
    now: float,
    wall: float,
    keys: Sequence[bytes | None] = (),
    stored: Stored = NOTHING_STORED,
    puts: Sequence[Put] = (),
) -> Batch:
    """The batch of these increments, which is to be committed. `stored`: what the disk says of
    their keys. Raises `ValueError` where the node takes none."""
    asked = [
        *(
            node.increment(token, counter, by, key)
            for token, ((counter, by), key) in enumerate(zip_longest(increments, keys), 1)
        ),
        *(node.put(-token, put) for token, put in enumerate(puts, 1)),
    ]
    refused = [effect for effects in asked for effect in effects if isinstance(effect, Answered)]
    if refused:
        raise ValueError(refused[0].replies[0])
    effects = node.commit(now, wall)
    questions = [effect.question for effect in effects if isinstance(effect, FindKeys)]
    if questions:
        effects = node.keys_found(questions[0], stored, now, wall)
    (batch,) = (effect.batch for effect in effects if isinstance(effect, Commit))
    assert len(batch.results) == len(increments), "more than one batch"
    return batch


def committed(
    node: Node,
    increments: Sequence[tuple[str, int]],
    now: float,
    wall: float,
    keys: Sequence[bytes | None] = (),
) -> list[Effect]:
    """These increments, counted in one batch."""
    return node.committed(prepared(node, increments, now, wall, keys), now)


def count_all(
    node: Node, increments: Sequence[tuple[str, int]], now: float, wall: float
) -> list[Effect]:
    """These increments, committed in as many batches as that takes."""
    effects: list[Effect] = []
    for begin in range(0, len(increments), AT_ONCE):
        batch = prepared(node, increments[begin : begin + AT_ONCE], now, wall)
        effects += node.committed(batch, now)
    return effects


def abandon(node: Node, now: float) -> None:
    """The commit that is under way fails, in a way that says nothing about the next one."""
    node.commit_failed(Failure.MISTAKE, "", now)
