"""Cores that do something else with a commit that fails, or with those who wait."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from gossipd.core import (
    Abandon,
    Batch,
    Effect,
    Failure,
    Fate,
    Uncounted,
)
from gossipd.core.durability.committing import Committing
from gossipd.core.durability.read_barrier import Reads
from gossipd.core.log.writer import Writer
from gossipd.core.turn import Turn

from .cores import nothing


def failed_commits_are_exposed(patch: pytest.MonkeyPatch) -> None:
    def commit_failed(self: Committing, _failure: Failure, _why: str, turn: Turn) -> None:
        assert self._batch is not None
        self.committed(self._batch, turn)

    patch.setattr(Committing, "commit_failed", commit_failed)


def streams_outlive_failed_commits(patch: pytest.MonkeyPatch) -> None:
    def abandon(self: Writer, _batch: Batch) -> None:
        self._pending = None

    patch.setattr(Writer, "abandon", abandon)


def failed_commits_stay_on_the_disk(patch: pytest.MonkeyPatch) -> None:
    sound = Committing.commit_failed

    def commit_failed(self: Committing, failure: Failure, why: str, turn: Turn) -> None:
        sound(self, failure, why, turn)
        turn.effects = [effect for effect in turn.effects if not isinstance(effect, Abandon)]

    patch.setattr(Committing, "commit_failed", commit_failed)


def failed_commits_are_denied(patch: pytest.MonkeyPatch) -> None:
    sound = Committing._refuse

    def refuse(self: Committing, refusal: Uncounted, turn: Turn) -> None:
        sound(self, replace(refusal, fate=Fate.NOT_COUNTED), turn)

    patch.setattr(Committing, "_refuse", refuse)


def hung_batches_are_given_up(patch: pytest.MonkeyPatch) -> None:
    """As if what a disk that hangs was given were not there."""
    sound = Committing.disk_hangs

    def disk_hangs(self: Committing, turn: Turn) -> None:
        sound(self, turn)
        if self._batch is not None:
            patch.setattr(Committing, "committed", nothing)
            self._writer._pending = self._batch = None

    patch.setattr(Committing, "disk_hangs", disk_hangs)


def any_later_event_includes(patch: pytest.MonkeyPatch) -> None:
    sound = Reads._find

    def find(self: Reads, effects: Sequence[Effect]) -> None:
        sound(self, effects)
        for stream in list(self._waiting.queues):
            self._included(stream, None, 0, self._log.newest(stream))

    patch.setattr(Reads, "_find", find)


def reads_end_with_their_time_only(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Reads, "look", nothing)
