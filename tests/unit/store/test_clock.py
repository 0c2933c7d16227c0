"""The clock of a file: time that was measured."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from gossipd.store import clock
from gossipd.store.clock import MARKED_EVERY, TIME_MAX, FileClock, Mark


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path / "boot_id", monkeypatch)


class Machine:
    """A start of a machine, and how long ago that was."""

    def __init__(self, boot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.up: float = 0.0
        self._boot = boot
        self.start("first")
        monkeypatch.setattr(clock, "BOOT", boot)
        monkeypatch.setattr(time, "clock_gettime", lambda _: self.up)

    def start(self, boot: str | None) -> None:
        self.up = 0.0
        if boot is None:
            self._boot.unlink(missing_ok=True)
        else:
            self._boot.write_text(f"{boot}\n")


def test_it_begins_as_the_wall_clock_and_goes_on_by_itself(machine: Machine) -> None:
    file = FileClock(None, 5000.0)
    assert file.now() == 5000.0
    machine.up += 70
    assert file.now() == 5070.0
    assert Mark.parse(file.mark()) == Mark(5_070_000, 70_000, "first")


def test_what_passes_between_two_processes_is_measured(machine: Machine) -> None:
    mark = FileClock(None, 5000.0).mark()
    machine.up += 300
    assert FileClock(mark, -1e9).now() == 5300.0
    machine.up -= 400
    assert FileClock(mark, 1e9).now() == 5000.0, "never back"


@pytest.mark.parametrize("boots", [("first", "second"), (None, None), ("first", None)])
def test_it_stands_still_while_nobody_measures(
    machine: Machine, boots: tuple[str | None, str | None]
) -> None:
    machine.start(boots[0])
    mark = FileClock(None, 5000.0).mark()
    machine.start(boots[1])
    machine.up = 1e6
    assert FileClock(mark, 1e9).now() == 5000.0


def test_it_wants_to_be_marked_now_and_then(machine: Machine) -> None:
    file = FileClock(None, 5000.0)
    assert FileClock(None, 5000.0).is_to_be_marked
    file.marked()
    found = [file.is_to_be_marked]
    machine.up += MARKED_EVERY
    found.append(file.is_to_be_marked)
    assert found == [False, True]


def test_the_machine_tells_both() -> None:
    file = FileClock(None, time.time())
    mark = Mark.parse(file.mark())
    assert len(mark.boot) == 36
    assert mark.up > 0
    assert FileClock(str(mark), 0.0).now() >= mark.at / 1000


@pytest.mark.parametrize("at", [TIME_MAX, -TIME_MAX])
def test_a_mark_in_a_damaged_file_is_a_moment_or_none(at: int) -> None:
    assert FileClock(f"{at} 0 x", 0.0).now() * 1000 == pytest.approx(at)
    for text in (f"{2 * at} 0 x", f"0 {2 * at} x", f"1{'0' * 400} 0 x"):
        with pytest.raises(ValueError, match="no moment: "):
            FileClock(text, 0.0)
