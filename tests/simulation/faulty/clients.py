"""Clients, and what becomes of what they ask for: the ghost records of a run."""

from __future__ import annotations

from collections.abc import Sequence

from gossipd.core import (
    Accepted,
    Advance,
    Answered,
    Commit,
    Copies,
    Fate,
    Included,
    Node,
    Put,
    PutTaken,
    Run,
    Settings,
    Several,
    ShareFull,
    Token,
    Uncounted,
    source_stream,
)
from gossipd.core import PutAnswer as PutReply
from gossipd.core.log.sources import PutResult

from .engine import Engine
from .host import Host
from .told import CopiesTold, Increment, Judged, Made, Outcome, PutAnswer, Read


class Clients(Engine):
    """Clients of every node."""

    def __init__(
        self,
        seed: int,
        settings: Settings | None = None,
        cluster: str = "sim",
        *,
        traced: bool = False,
    ) -> None:
        super().__init__(seed, settings, cluster, traced=traced)
        self.made: list[Made] = []
        """Every increment that was committed."""
        self.amended: list[Made] = []
        """What nodes have counted again, as others had put something else in its place."""
        self.judged: list[Judged] = []
        """What became of every increment with a key."""
        self.puts: list[PutAnswer] = []
        """What became of every put."""
        self.answered: list[CopiesTold] = []
        """What was told to those who waited for copies."""
        self.reads: list[Read] = []
        """What was told to those who waited for an increment."""
        self._reading: dict[int, tuple[str, Made, float, bool]] = {}
        self.denied: list[Made] = []
        """What was written by a commit that failed, and whose client was told that it was not."""
        self._asked: dict[Token, Increment] = {}
        self._judging: dict[Token, Judged] = {}
        """What they will be told if it is committed."""
        self._outcomes: dict[Token, Outcome] = {}
        self._put_outcomes: dict[Token, PutResult | Uncounted] = {}
        self._doubted: dict[Token, list[Made]] = {}
        """What was written by a commit that failed, by the token of its client."""
        self._waiting: dict[int, tuple[Made, int, bool]] = {}
        """By token: of what, how many, and whether in memory, too."""
        self._tokens = 0

    def node(self, name: str) -> Node:
        """The node that runs on a host."""
        node = self.hosts[name].node
        assert node is not None, f"{name} is down"
        return node

    def increment(
        self,
        name: str,
        counter: str = "default",
        by: int = 1,
        key: bytes | None = None,
        count: int = 1,
    ) -> Outcome:
        """One increment at a node, or `count` in a row, committed before anybody hears of it; what
        became of it, None if that is not known yet as the disk takes its time."""
        return self.batch(name, [(counter, by, key)], count)[0]

    def batch(
        self, name: str, increments: Sequence[Increment], count: int = 1
    ) -> tuple[Outcome, ...]:
        """Several increments in one commit, those without a key `count` times in a row; what
        became of each."""
        host, node = self.hosts[name], self.node(name)
        tokens: list[int] = []
        for increment in increments:
            self._tokens += 1
            tokens.append(self._tokens)
            self._asked[self._tokens] = increment
            times = count if increment[2] is None else 1
            self._perform(host, node.increment(self._tokens, *increment, times))
        self._commit(host, host.lives)
        return tuple(self._outcomes.pop(token, None) for token in tokens)

    def crash_in_commit(
        self, name: str, counter: str = "default", by: int = 1, key: bytes | None = None
    ) -> None:
        """End a process when an increment is on its disk and nobody has heard of it yet."""
        host = self.hosts[name]
        assert host.disk is not None, f"{name} has no disk"
        host.crashes_in_commit = True
        self.increment(name, counter, by, key)
        self.crash(name)

    def put(
        self, name: str, client: str, counter: str, seq: int, total: int
    ) -> PutResult | Uncounted | None:
        """A client puts the total of a source that it owns; what became of it, None if that is
        not known yet."""
        host, node = self.hosts[name], self.node(name)
        put = Put(source_stream(client, counter), counter, seq, total)
        self._tokens += 1
        self._perform(host, node.put(self._tokens, put))
        self._commit(host, host.lives)
        return self._put_outcomes.pop(self._tokens, None)

    def _note_judged(self, host: Host, commit: Commit) -> None:
        for token, result in zip(commit.tokens, commit.batch.results, strict=True):
            counter, by, key = self._asked[token]
            if key is not None:
                told = (counter, by, key)
                self._judging[token] = Judged(self.now, host, told, result, key in host.stored)

    def _note_commit(self, host: Host, commit: Commit, *, failed: bool) -> None:
        """Ghost records: what was committed, and what may have been."""
        batch, disk = commit.batch, host.disk
        if failed and (disk is None or not disk.has_doubts(batch)):
            return  # nothing was written
        acknowledged = not (failed or host.crashes_in_commit or host.stalled)
        keys = {record.seq: record.key for record in batch.keys}
        for token, done in zip(commit.tokens, batch.results, strict=True):
            if isinstance(done, Accepted):
                first, counter, by, times = done
                key, at = keys.get(first), self.now
                made = [
                    Made(
                        host.name,
                        batch.stream,
                        seq,
                        counter,
                        by,
                        acknowledged,
                        key,
                        at,
                        not failed,
                    )
                    for seq in range(first, first + times)
                ]
                self.made += made
                if failed:
                    self._doubted[token] = made
        self.amended += [
            Made(host.name, batch.stream, amend.seq, amend.place[1], amend.by)
            for amend in batch.amends
            if not failed
        ]
        for stream, (counter, seq, total) in batch.sources:
            put = Put(stream, counter, seq, total)
            self.puts.append(PutAnswer(host.name, put, PutTaken(seq, total), not failed, failed))

    def _note_answers(self, host: Host, answered: Answered) -> None:
        for token, reply in zip(answered.tokens, answered.replies, strict=True):
            doubted = self._doubted.pop(token, ())
            if isinstance(reply, PutReply):
                self._put_outcomes[token] = reply.result
                if not isinstance(reply.result, PutTaken):
                    self.puts.append(PutAnswer(host.name, reply.put, reply.result, False))
                continue
            if token not in self._asked:  # a put
                assert isinstance(reply, Uncounted)
                self._put_outcomes[token] = reply
                continue
            assert not isinstance(reply, ShareFull), "the world asks for no batches"
            assert not isinstance(reply, Several), "nor for what is out of range"
            del self._asked[token]
            judged = self._judging.pop(token, None)
            if isinstance(reply, Uncounted):
                self._outcomes[token] = reply
                if reply.fate not in (Fate.UNKNOWN, Fate.MISTAKE):
                    self.denied += doubted
                continue
            if isinstance(reply, Advance):
                reply = Run(reply, 1)
            if isinstance(reply, Run):
                last, times = reply
                first = last.seq - times + 1
                self._outcomes[token] = Accepted(first, last.counter, last.by, times)
            else:
                self._outcomes[token] = reply
            if judged is not None:
                self.judged.append(judged)

    def await_copies(
        self, made: Made, copies: int, seconds: float = 2.0, *, memory: bool = False
    ) -> None:
        """Let a client wait at the node that acknowledged an increment until so many hold it."""
        host = self.hosts[made.host]
        self._tokens += 1
        self._waiting[self._tokens] = (made, copies, memory)
        effects = self.node(made.host).await_copies(
            self._tokens,
            made.stream,
            made.seq,
            copies,
            self.now + seconds,
            self.now,
            memory=memory,
        )
        self._perform(host, effects)

    def read_after(
        self, name: str, made: Made, seconds: float = 2.0, *, knows_counter: bool = True
    ) -> None:
        """Let a client read at some node, once that includes an increment that it knows of."""
        self._tokens += 1
        self._reading[self._tokens] = (name, made, self.now, knows_counter)
        counter = made.counter if knows_counter else None
        effects = self.node(name).await_included(
            self._tokens, made.stream, made.seq, counter, self.now + seconds, self.now
        )
        self._perform(self.hosts[name], effects)

    def _note_included(self, included: Included) -> None:
        name, made, began, exact = self._reading.pop(included.token)
        true = self.node(name).log.register(made.stream, made.counter)[0] >= made.seq
        waited = self.now > began
        self.reads.append(Read(name, made, included.included, true, waited, exact))

    def _note_copies(self, copies: Copies) -> None:
        made, wanted, memory = self._waiting.pop(copies.token)
        disks = sum(
            disk.register(made.stream, made.counter)[0] >= made.seq for disk in self.all_disks
        )
        self.answered.append(CopiesTold(made, wanted, memory, copies.count, copies.enough, disks))
