"""Timers against the simplest thing that could work."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gossipd.core.timers import Key, Timer, Timers
from tests.effort import examples

_TIMERS = [Timer.SUSPICION, Timer.PULL, Timer.PROBE]
_MOVED = frozenset({Timer.SUSPICION, Timer.PULL})
_KEYS = st.tuples(st.sampled_from(_TIMERS), st.sampled_from(["", "a", "b"]))
_TIMES = st.integers(0, 20).map(float)
_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["set", "between", "sooner", "cancel", "pop", "postpone"]), _KEYS, _TIMES
    ),
    max_size=150,
)


class _Model:
    """A list of (key, deadline) in the order of setting."""

    def __init__(self) -> None:
        self.entries: list[tuple[Key, float]] = []
        self.soon: list[tuple[Key, float]] = []
        """From when on those fire that may come sooner."""

    def at(self, key: Key) -> float | None:
        return dict(self.entries).get(key)

    def cancel(self, key: Key) -> None:
        self.entries = [entry for entry in self.entries if entry[0] != key]
        self.soon = [entry for entry in self.soon if entry[0] != key]

    def set(self, key: Key, at: float) -> None:
        self.cancel(key)
        self.entries.append((key, at))

    def pop(self, now: float) -> Key | None:
        due = [entry for entry in self.entries if entry[1] <= now]
        if due:
            key = min(due, key=lambda entry: entry[1])[0]
        elif early := [key for key, at in self.soon if at <= now]:
            key = early[0]
        else:
            return None
        self.cancel(key)
        return key

    def postpone(self, by: float) -> None:
        for key, at in sorted(self.entries, key=lambda entry: entry[1]):
            if key[0] in _MOVED:
                self.set(key, at + by)


@examples(150)
@given(_STEPS)
def test_timers_do_what_a_sorted_list_does(steps: list[tuple[str, Key, float]]) -> None:
    timers, model = Timers(), _Model()
    for step, key, at in steps:
        held = model.at(key)
        match step:
            case "set":
                timers.set(key[0], at, key[1])
                model.set(key, at)
            case "between":
                timers.set_between(key[0], at / 2, at, key[1])
                model.set(key, at)
                model.soon.append((key, at / 2))
            case "sooner":
                timers.set_if_sooner(key[0], at, key[1])
                if held is None or at < held:
                    model.set(key, at)
            case "cancel":
                timers.cancel(*key)
                model.cancel(key)
            case "pop":
                assert timers.pop(at) == model.pop(at)
            case "postpone":
                timers.postpone(_MOVED, at)
                model.postpone(at)
        assert timers.next == min((at for _, at in model.entries), default=None)
