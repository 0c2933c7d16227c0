"""The core's deadlines: a keyed heap with one earliest entry.

A process that does nothing is best left asleep, so what need not be exact wakes nobody: it may be
given until when it waits for another deadline to come (`set_between`).

Setting a key replaces its deadline; equal deadlines come out in the order in which they were set.
What was replaced stays in the heap until it comes up, or is swept: when there is too much of it, a
new heap takes over, into which each setting moves a few of the old one's, for to move all at once
would cost as much as there are deadlines.
"""

from __future__ import annotations

from enum import IntEnum, auto
from heapq import heappop, heappush
from typing import TypeAlias


class Timer(IntEnum):
    """What a deadline is for; an integer, as that hashes fast.

    "About" is the second part of its `Key`. Intervals are settings, seconds, unless a number
    stands here. T is the adapted probe timeout (see `pings`). Those that wait for somebody else
    move when this node stalled.
    """

    PROBE = auto()
    """The next round of probes; every `probe_interval` (SWIM 3.1: the protocol period)."""
    PROBE_TIMEOUT = auto()
    """No Ack yet: ask relays, once, and ping again (SWIM 3.1); T after each ping, where T is the
    mean + 4 x deviation of round trips (RFC 6298) times local health (Lifeguard, LHA-Probe)."""
    PROBE_VERDICT = auto()
    """No Ack at all: suspect the target; `probe_patience` x `probe_interval` after the first ping,
    times local health."""
    RELAY_NACK = auto()
    """About the nonce of a ping made for somebody else: tell that the target is silent (Lifeguard,
    LHA-Probe); at 80 % of the time given."""
    SUSPICION = auto()
    """About a suspect: it has failed, unless it refuted (SWIM 4.2); the length shrinks with each
    accuser (Lifeguard, LHA-Suspicion)."""
    CORROBORATE = auto()
    """About a suspect: ping it again, or agree with the accuser; within `corroboration_delay`,
    then every T. Waits for somebody else."""
    RUMOUR = auto()
    """About a live member that others call suspected or failed: ask it again, or believe them;
    every T. Waits for somebody else."""
    GOSSIP = auto()
    """The next round of news; `flush_after` when it is fresh, then every `gossip_interval` (SWIM
    4.1 sends news with probes only)."""
    PULL = auto()
    """A step of the repair of the log is not answered: ask again; `pull_timeout` times local
    health. Waits for somebody else."""
    MEMBER_PULL = auto()
    """The same for the member table."""
    CONTACT = auto()
    """Ping a failed member, so that a healed network is noticed; about `contact_interval` x
    members / failed."""
    NAME_CHECK = auto()
    """About the holder of a name that a newcomer wants: it is silent, so the name is free; after
    `name_check`. Waits for somebody else."""
    RIVAL = auto()
    """Ask an address at which this node's name is said to live; each once in `name_check`."""
    READY = auto()
    """No ready peer has shown itself: be ready all the same; `ready_after`. Waits for somebody
    else."""
    LEAVE = auto()
    """The next step of a leave; every 60 ms."""
    HOLD = auto()
    """The next question to peers for increments that wait for copies; 2 ms to 1 s."""
    HELD = auto()
    """More Holds may be answered than one input answers; 2 ms."""
    COPIES = auto()
    """About the token of an increment that waits for copies: its time is over; what its client
    gave it."""
    AFTER = auto()
    """The same for a read that waits for an increment."""
    INCLUDED = auto()
    """More reads end than one input may end; 1 ms."""
    INTRODUCE = auto()
    """About a newcomer: ask for an echo, again, or forget it; after 0.15 s, then twice as long
    each time. Also about who has proven itself: greet it once more, after 0.3 s."""
    EXPIRE = auto()
    """Let go what is too old in the member table; every minute, of many members in parts, every
    20 ms."""
    KEYS = auto()
    """Let key records go that are older than they may be; every `key_window` / 20, 5 s at
    most."""
    ANSWER = auto()
    """The next slice of a long answer; every 1 ms."""
    REOPEN = auto()
    """Take increments again after a commit that failed; 0.1 s, then twice as long each time, 5 s
    at most."""
    SAVE = auto()
    """Store what has changed; after 1 to 2 s. When a disk that took nothing is tried again, after
    0.1 s, then twice as long each time, 5 s at most."""
    AMEND = auto()
    """Begin a batch though no client asks for one, or when a stream may begin again, as somebody
    has spoilt the last one; at once, but not twice in 1 s."""
    DRAIN = auto()
    """Leave, though the disk has not answered; after `disk_timeout`, or half of `leave_timeout`
    where that is less."""
    DOUBLES = auto()
    """The next part of the doubles that waited for a register which has come; every 2 ms."""


_MOVED = 4
"""Entries that move at a time; a sweep ends before the next one is due."""

Key: TypeAlias = tuple[Timer, str]
"""A timer and whom or what it concerns ("" where there is only one)."""

_Entry: TypeAlias = tuple[float, int, Key]


class Timers:
    """A set of named deadlines, in seconds of whatever clock `now` is."""

    def __init__(self) -> None:
        self._deadlines: dict[Key, tuple[float, int]] = {}
        self._heap: list[_Entry] = []
        self._old: list[_Entry] = []
        """What a sweep has not looked at yet, a heap, too."""
        self._soon: dict[Key, float] = {}
        """From when on those fire with others whose deadline is later."""
        self._order = 0
        self._next: float | None = None
        self._is_known = True
        """Whether `_next` is the earliest deadline: it is asked for much more often than it
        changes."""

    def set(self, timer: Timer, at: float, about: str = "") -> None:
        """Let `timer` fire at `at`, whatever it was set to before."""
        key = (timer, about)
        self._soon.pop(key, None)
        self._is_known = False
        self._order += 1
        self._deadlines[key] = (at, self._order)
        heappush(self._heap, (at, self._order, key))
        self._sweep()

    def set_between(self, timer: Timer, at: float, latest: float, about: str = "") -> None:
        """Let `timer` fire with the first deadline that passes from `at` on, or else at `latest`;
        it is behind those that are set for a moment."""
        self.set(timer, latest, about)
        self._soon[timer, about] = at

    def set_if_sooner(self, timer: Timer, at: float, about: str = "") -> None:
        """Let `timer` fire at `at` unless it fires before."""
        held = self._deadlines.get((timer, about))
        if held is None or at < held[0]:
            self.set(timer, at, about)

    def cancel(self, timer: Timer, about: str = "") -> None:
        """Forget a deadline; nothing happens where there is none."""
        self._soon.pop((timer, about), None)
        if self._deadlines.pop((timer, about), None) is not None:
            self._is_known = False
            self._sweep()

    @property
    def count(self) -> int:
        """How many are set."""
        return len(self._deadlines)

    @property
    def next(self) -> float | None:
        """The earliest deadline."""
        if not self._is_known:
            heap = self._first()
            self._next = heap[0][0] if heap else None
            self._is_known = True
        return self._next

    def pop(self, now: float) -> Key | None:
        """Take the earliest deadline that is not after `now`."""
        heap = self._first()
        if heap and heap[0][0] <= now:
            _, _, key = heappop(heap)
        else:
            soon = next((key for key, at in self._soon.items() if at <= now), None)
            if soon is None:
                return None
            key = soon  # what it leaves in the heap holds no more
        del self._deadlines[key]
        self._soon.pop(key, None)
        self._is_known = False
        return key

    def _first(self) -> list[_Entry]:
        """The heap with the earliest deadline at its top; it is empty if there is none."""
        heap, old = self._heap, self._old
        while heap and not self._holds(heap[0]):
            heappop(heap)
        if not old:  # mostly
            return heap
        while old and not (heap and heap[0] < old[0]):  # what comes later may be of no use
            if self._holds(old[0]):
                return old
            heappop(old)
        return heap

    def _sweep(self) -> None:
        """Begin a sweep if it is time, or go on with it: move some entries that still hold.
        Without its last one a heap is still a heap."""
        if not self._old and len(self._heap) > 4 * len(self._deadlines) + 64:
            self._old, self._heap = self._heap, []
        for _ in range(min(_MOVED, len(self._old))):
            entry = self._old.pop()
            if self._holds(entry):
                heappush(self._heap, entry)

    def _holds(self, entry: _Entry) -> bool:
        at, order, key = entry
        return self._deadlines.get(key) == (at, order)

    def postpone(self, timers: frozenset[Timer], by: float) -> None:
        """Move the deadlines of some timers `by` seconds into the future."""
        moved = [item for item in self._deadlines.items() if item[0][0] in timers]
        for (timer, about), (at, _) in sorted(moved, key=lambda item: item[1]):
            self.set(timer, at + by, about)
