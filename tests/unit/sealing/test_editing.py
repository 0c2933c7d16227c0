"""A keyring file is changed in one step, and stays what else it is."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from gossipd.sealing import editing
from gossipd.sealing.keyring import KeyringError, Secret, read

A, B, C = (Secret(bytes(range(first, first + 32))) for first in (0, 100, 200))
TEXT = f"# shop\n{A.text}  # of 2025\n\n{B.text}\n# the end"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "keyring"
    path.touch(0o600)
    path.write_text(TEXT)
    return path


def test_one_more_is_the_last_one(path: Path) -> None:
    path.chmod(0o400)
    assert editing.install(str(path), C).secrets == (A, B, C)
    assert path.read_text() == f"{TEXT}\n{C.text}\n"
    assert path.stat().st_mode & 0o777 == 0o400
    assert [each.name for each in path.parent.iterdir()] == ["keyring"]


def test_another_one_comes_first_with_what_is_said_of_it(path: Path) -> None:
    assert editing.use(str(path), B.fingerprint).secrets == (B, A)
    assert path.read_text() == f"# shop\n{B.text}\n{A.text}  # of 2025\n\n# the end\n"
    assert editing.use(str(path), A.fingerprint).secrets == (A, B)
    assert editing.use(str(path), A.fingerprint).secrets == (A, B)


def test_all_but_the_first_can_go(path: Path) -> None:
    with pytest.raises(KeyringError, match=f"{A.fingerprint} seals: have another one used before"):
        editing.remove(str(path), A.fingerprint)
    assert editing.remove(str(path), B.fingerprint).secrets == (A,)
    assert path.read_text() == f"# shop\n{A.text}  # of 2025\n\n# the end\n"


def test_a_link_stays_one(path: Path) -> None:
    link = path.with_name("link")
    link.symlink_to(path)
    editing.install(str(link), C)
    assert link.is_symlink()
    assert read(str(path)).secrets == (A, B, C)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda path: editing.install(path, A), ":6: the same secret as in line 2"),
        (lambda path: editing.use(path, C.fingerprint), f"no secret {C.fingerprint} in it, but"),
        (lambda path: editing.remove(path, "x"), "there is no secret x in it"),
        (lambda path: editing.install(f"{path}.none", A), "cannot change /"),
        (lambda path: editing.install("/proc/self/status", A), "others may use it (mode 0444)"),
    ],
)
def test_what_cannot_be_done_changes_nothing(
    path: Path, change: Callable[[str], object], said: str
) -> None:
    with pytest.raises(KeyringError) as error:
        change(str(path))
    assert said in str(error.value)
    assert A.text not in str(error.value)
    assert path.read_text() == TEXT


def test_of_two_at_a_time_one_waits_for_the_other(path: Path) -> None:
    """And goes on from what that one has made of the file, which is another one by then."""
    with path.open() as held, ThreadPoolExecutor(1) as pool:
        fcntl.flock(held, fcntl.LOCK_EX)
        waiting = pool.submit(editing.install, str(path), C)
        assert not wait([waiting], 0.2).done
        new = path.with_name("new")
        new.touch(0o600)
        new.write_text(B.text)
        new.replace(path)  # a lock that nobody holds, so the waiting one may find it first
        held.close()
        assert waiting.result().secrets == (B, C)
    assert read(str(path)).secrets == (B, C)


def test_who_holds_it_for_ever_is_not_waited_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(editing, "PATIENCE", 0.0)
    with path.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(KeyringError, match="somebody else is changing it"):
            editing.install(str(path), C)
    assert path.read_text() == TEXT


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_an_empty_file_is_no_keyring(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(KeyringError, match="no secret"):
        editing.install(str(path), C)
    assert path.read_text() == text


def test_a_file_with_a_mistake_is_left_alone(path: Path) -> None:
    path.write_text(f"{A.text}\nhunter2\n")
    with pytest.raises(KeyringError, match=":2: expected"):
        editing.use(str(path), A.fingerprint)
    assert path.read_text() == f"{A.text}\nhunter2\n"
