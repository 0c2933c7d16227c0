"""What processes want done, on disks that fail or take their time, too."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from gossipd.core import (
    Abandon,
    AllSaved,
    Answered,
    Batch,
    Changes,
    Commit,
    CommitSoon,
    Copies,
    DiskLost,
    Effect,
    Expire,
    Failure,
    FindKeys,
    Included,
    KeysWanted,
    Left,
    NameLost,
    Node,
    Probe,
    Save,
    SaveWanted,
    Send,
)

from .disk import PART_MAX, READ_TAKES, Disk, DiskError
from .host import Host
from .processes import DISK_TIMEOUT, Processes


class Engine(Processes):
    """Performs all effects; who builds on it notes what clients are told."""

    def _perform(self, host: Host, effects: Sequence[Effect]) -> None:  # noqa: C901  a table
        for effect in effects:
            self._note(host, effect)
            match effect:
                case Send(data, to):
                    self._transmit(host, data, to)
                case NameLost():
                    self.effects.append((self.now, host.name, effect))
                    self._leave(host, repr(effect))
                case Left():
                    self.effects.append((self.now, host.name, effect))
                    self._exit(host, repr(effect))
                case Copies():
                    self.effects.append((self.now, host.name, effect))
                    self._note_copies(effect)
                case Included():
                    self._note_included(effect)
                case Answered():
                    self._note_answers(host, effect)
                case CommitSoon():
                    self._push(self.now, partial(self._commit, host, host.lives))
                case FindKeys(question, keys):
                    self._find_keys(host, question, keys)
                case Commit():
                    self._begin_commit(host, effect)
                case Abandon(batch, _):
                    if host.disk is not None:
                        host.disk.abandon(batch)
                case DiskLost(detail):
                    self.effects.append((self.now, host.name, effect))
                    self._leave(host, detail)
                case SaveWanted():
                    self._push(self.now, partial(self._tell, host, host.lives, self._save))
                case Save(changes):
                    host.write_behind = changes
                    store = partial(self._store, host, host.lives, changes)
                    assert host.disk is not None
                    self._push(self.now + host.disk.store_takes, store)
                case Expire() | Probe():
                    self._look_after(host, effect)
                case AllSaved():
                    pass
                case KeysWanted():
                    self.effects.append((self.now, host.name, effect))
                    read = partial(self._read_keys, host, host.lives, effect)
                    self._push(self.now + READ_TAKES, read)
                case _:
                    self.effects.append((self.now, host.name, effect))
        self._arm(host)

    # --- the disk ----------------------------------------------------------------------------

    def _commit(self, host: Host, life: int) -> None:
        if host.lives == life and host.node is not None:
            host.stored = {}
        super()._commit(host, life)

    def _find_keys(self, host: Host, question: int, keys: list[bytes]) -> None:
        """A disk tells at once what it knows."""
        assert host.node is not None
        assert host.disk is not None
        try:
            host.stored = host.disk.look_up(keys)
        except DiskError as error:
            effects = host.node.keys_not_found(question, error.failure, str(error), self.now)
        else:
            effects = host.node.keys_found(question, host.stored, self.now, self._wall(host))
        self._perform(host, effects)

    def _begin_commit(self, host: Host, commit: Commit) -> None:
        self._note_judged(host, commit)
        takes = host.disk.commit_takes if host.disk is not None else 0.0
        if not takes:
            self._end_commit(host, host.lives, commit)
            return
        host.committing = commit
        self._push(self.now + takes, partial(self._end_commit, host, host.lives, commit))
        if takes > DISK_TIMEOUT:
            self._push(self.now + DISK_TIMEOUT, partial(self._hang, host, host.lives))

    def _hang(self, host: Host, life: int) -> None:
        if host.lives == life and host.node is not None and host.committing is not None:
            host.hangs = True
            self._tell(host, host.lives, lambda node: node.disk_hangs(self.now))

    def _end_commit(self, host: Host, life: int, commit: Commit) -> None:
        """A disk does what it was given, and its process, if it is there, hears of it."""
        node, disk, batch = host.node, host.disk, commit.batch
        if host.lives != life or node is None:
            return
        host.committing = None
        if host.hangs:
            host.hangs = False
            self._tell(host, life, lambda node: node.disk_answers(self.now))
        try:
            if disk is not None:
                disk.commit(batch, self._moment(host))
        except DiskError as error:
            assert disk is not None
            failure = partial(self._fail_commit, disk, batch, error)
            self._note_commit(host, commit, failed=True)
            self._tell(host, life, failure)
            return
        self._note_commit(host, commit, failed=False)
        if host.crashes_in_commit:
            self._end(host)
            return
        self._tell(host, life, lambda node: node.committed(batch, self.now))

    def _fail_commit(self, disk: Disk, batch: Batch, error: DiskError, node: Node) -> list[Effect]:
        disk.hear(batch)
        return node.commit_failed(error.failure, str(error), self.now)

    def _save(self, node: Node) -> list[Effect]:
        return node.save(self.now, PART_MAX)

    def _store(self, host: Host, life: int, changes: Changes) -> None:
        """A disk stores a part, and its process hears of it; not if it has stored it before."""
        if host.lives != life or host.write_behind is not changes:
            return
        host.write_behind = None
        assert host.disk is not None
        try:
            twins = host.disk.store(changes, self._moment(host))
        except DiskError as error:
            failure, why = error.failure, str(error)
            self._tell(host, life, lambda node: node.disk_failed(failure, why, self.now))
            return
        self._tell(host, life, lambda node: node.saved(changes, self.now, twins))

    def _look_after(self, host: Host, effect: Expire | Probe) -> None:
        """A disk removes what has expired, or tries to write, at once."""
        node, disk = host.node, host.disk
        assert node is not None
        assert disk is not None
        try:
            if isinstance(effect, Expire):
                disk.expire(self._moment(host), self.settings)
            else:
                disk.probe()
        except DiskError as error:
            effects = node.disk_failed(error.failure, str(error), self.now)
        else:
            done = node.expired if isinstance(effect, Expire) else node.probed
            effects = done(self.now)
        self._perform(host, effects)

    def _read_keys(self, host: Host, life: int, wanted: KeysWanted) -> None:
        """Key records that a peer waits for have been read, or cannot be."""
        disk = host.disk
        if disk is None or host.lives != life:
            return
        if disk.refuses is Failure.BROKEN:
            if host.node is not None:
                host.node.keys_not_read()
            return
        stream, above, upto, limit = wanted.stream, wanted.above, wanted.upto, wanted.limit
        records = disk.read_keys(stream, above, upto, limit, self._moment(host))
        self._tell(host, life, lambda node: node.keys_read(wanted, records, self.now))

    def _note_judged(self, host: Host, commit: Commit) -> None:
        """A batch was prepared: it is known what becomes of each increment if it is committed."""
        raise NotImplementedError

    def _note_commit(self, host: Host, commit: Commit, *, failed: bool) -> None:
        """A batch was committed, or not as far as its process is to know."""
        raise NotImplementedError

    def _note_answers(self, host: Host, answered: Answered) -> None:
        """Clients are answered."""
        raise NotImplementedError

    def _note_included(self, included: Included) -> None:
        """Somebody who waited for an increment is answered."""
        raise NotImplementedError

    def _note_copies(self, copies: Copies) -> None:
        """Somebody who waited for copies is answered."""
        raise NotImplementedError

    # --- ends --------------------------------------------------------------------------------

    def _end(self, host: Host) -> None:
        """A process ends. What its disk was given to commit is there in the end, or not."""
        commit, host.committing = host.committing, None
        if commit is not None and host.disk is not None and self.rng.random() < 0.5:
            host.disk.doubt(commit.batch, self._moment(host))
            self._note_commit(host, commit, failed=True)
        super()._end(host)

    def _leave(self, host: Host, why: str) -> None:
        """A process leaves because of it, unless it does already."""
        node = host.node
        if node is not None and not node.leaving:
            host.ended = why
            self._perform(host, node.leave(self.now))

    def _exit(self, host: Host, why: str) -> None:
        """A process ends by itself, in order: what it holds is on its disk."""
        host.ended = host.ended or why
        node = host.node
        assert node is not None
        if host.disk is not None:
            self._store_rest(host, host.disk, node)
        self._end(host)

    def _store_rest(self, host: Host, disk: Disk, node: Node) -> None:
        waits: list[Effect] = []
        if host.write_behind is not None:
            waits.append(Save(host.write_behind))
        waits += node.save_rest(self.now)
        while waits:
            effect = waits.pop(0)
            try:
                if isinstance(effect, Save):
                    twins = disk.store(effect.changes, self._moment(host))
                    waits += node.saved(effect.changes, self.now, twins)
                elif isinstance(effect, SaveWanted):
                    waits += node.save(self.now, PART_MAX)
            except DiskError:
                return
