"""`gossipd data`: what it says of a directory, and that copies lose and double nothing."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner, Result

from gossipd.cli.data import data
from gossipd.core import (
    Changes,
    Correction,
    Double,
    MemberView,
    Node,
    Settings,
    Snapshot,
    Status,
    TagFrame,
)
from tests.unit.store.keyed import (
    ageless,
    keyed,
    plain_key,
    record,
    told,
)
from tests.unit.store.parts import (
    NOTHING,
    OTHER,
    STREAM,
    batch,
    contents,
    filled,
    names_in,
    opened,
    stored,
    writer,
)

THIRD = bytes(9) + b"\x0b"


def call(*args: object, lines: str | None = None) -> Result:
    return CliRunner().invoke(data, [str(arg) for arg in args], input=lines)


def node_with(snapshot: Snapshot) -> Node:
    own = MemberView("here", ("10.0.0.1", 7946), 1, 0, Status.ALIVE)
    node = Node(own, Settings(), TagFrame("c"), Random(1), 0.0)
    node.load(snapshot, 0.0)
    return node


async def test_check_counts_as_a_node_does(tmp_path: Path) -> None:
    await filled(tmp_path)
    node = node_with(await stored(tmp_path))
    result = call("check", tmp_path)
    assert result.exit_code == 0, result.output
    found = dict(line.split("\t") for line in result.stdout.splitlines())
    assert (found["streams"], found["registers"], found["members"]) == ("2", "239", "2")
    assert found["fingerprint"] == f"{node.log.fingerprint:016x}"
    assert int(found["generation"]) > 1000 * (time.time() - 3600)


async def test_check_tells_what_is_wrong_in_one_line_and_changes_nothing(tmp_path: Path) -> None:
    file = await filled(tmp_path)
    sound = file.read_bytes()
    wrong = {
        sound.replace(b"counter 39", b"counter 3:"): "'counter 3:'",
        sound[:-4096]: "is damaged",
        bytes(len(sound)): "no SQLite header",
    }
    for damaged, says in wrong.items():
        file.write_bytes(damaged)
        result = call("check", tmp_path)
        assert (result.exit_code, result.stdout) == (1, "")
        assert says in result.stderr
        assert file.read_bytes() == damaged


async def test_check_of_nothing_makes_nothing(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        result = call("check", path)
        assert result.exit_code == 1
        assert "No such file" in result.stderr
    assert names_in(tmp_path) == set()


async def test_a_log_goes_out_as_lines_and_comes_in_again(tmp_path: Path) -> None:
    await filled(tmp_path / "old")
    lines = call("export", tmp_path / "old").stdout
    rows = [json.loads(line) for line in lines.splitlines()]
    assert (rows[0]["node"], rows[0]["cluster"]) == ("here", "ours")
    assert {"stream": STREAM.hex(), "counter": "counter 7", "seq": 167, "total": 167} in rows
    assert {"stream": OTHER.hex(), "version": 199} in rows
    assert rows[-1] == {"lines": len(rows) - 1}

    for _ in range(2):
        result = call("import", tmp_path / "new", lines=lines)
        assert (result.exit_code, result.stdout) == (0, ""), result.output
        old, new = await stored(tmp_path / "old"), await stored(tmp_path / "new")
        assert new.streams == old.streams
    async with opened(tmp_path / "new") as store:
        assert await store.begin_life(0.0) == rows[0]["generation"] + 1


async def test_lines_of_another_cluster_come_in_and_leave_the_directory_where_it_is(
    tmp_path: Path,
) -> None:
    await filled(tmp_path / "ours")
    async with opened(tmp_path / "theirs", cluster="theirs") as store:
        await store.begin_life(1.0)
    call("import", tmp_path / "theirs", lines=call("export", tmp_path / "ours").stdout)
    async with opened(tmp_path / "theirs", cluster="theirs") as store:
        assert store.load().streams == (await stored(tmp_path / "ours")).streams


async def test_old_lines_take_nothing_back(tmp_path: Path) -> None:
    await filled(tmp_path)
    lines = call("export", tmp_path).stdout
    async with opened(tmp_path) as store:
        await store.commit(batch(300, "counter 7"))
    before = await stored(tmp_path)
    assert call("import", tmp_path, lines=lines).exit_code == 0
    assert await stored(tmp_path) == before


REGISTER = {"stream": STREAM.hex(), "counter": "a", "seq": 1, "total": 1}
UUID = "00000000-0001-4000-8000-000000000000"
EVENT = {"stream": STREAM.hex(), "seq": 1, "counter": "a", "by": 1}
DOUBLE = {**EVENT, "winner": bytes(10).hex(), "winner_seq": 1, "at": 0}
OLD_DOUBLE = {**EVENT, "double": UUID}
CORRECTION = {
    "stream": STREAM.hex(), "seq": 1, "counter": "a", "lost": 1, "out": 1, "digest": 2**64 - 1
}  # fmt: skip
KEY = {"key": UUID, "stream": STREAM.hex(), "seq": 1, "counter": "a", "by": 1, "at": 0}
HEAD = {"format": "gossipd log 2"}


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], "the end is missing"),
        ([HEAD, REGISTER], "the end is missing behind line 2"),
        ([REGISTER, {"lines": 1}], "line 1: not in its place"),
        ([HEAD, REGISTER, {"lines": 3}], "line 3: lines are missing before it"),
        ([HEAD, REGISTER, {"lines": 2}, REGISTER], "line 4: not in its place"),
        ([HEAD, HEAD, {"lines": 2}], "line 2: not in its place"),
        ([{"format": "gossipd log 3"}, {"lines": 1}], "line 1: its format is not"),
        ([HEAD, [1], {"lines": 2}], "line 2: not a JSON object"),
        ([HEAD, "\udcff"], "line 2: not a JSON object"),
        ([HEAD, {**REGISTER, "seq": 0}, {"lines": 2}], "line 2: not an integer from 1"),
        ([HEAD, {**REGISTER, "seq": True}, {"lines": 2}], "line 2: not an integer from 1"),
        ([HEAD, {**REGISTER, "total": 2**62 + 1}, {"lines": 2}], "line 2: not an integer from -"),
        ([HEAD, {**REGISTER, "counter": "\n"}, {"lines": 2}], "line 2: not the name"),
        ([HEAD, {**REGISTER, "stream": "ff" * 10}, {"lines": 2}], "line 2: not a stream"),
        ([HEAD, {**REGISTER, "stream": "07"}, {"lines": 2}], "line 2: not a stream"),
        ([{**HEAD, "horizon": 2**48}, {"lines": 1}], "line 1: not an integer from 0"),
        ([HEAD, KEY, {**KEY, "at": -(2**48)}, {"lines": 3}], "line 3: not an integer from -"),
        ([HEAD, {**KEY, "at": 1.5}, {"lines": 2}], "line 2: not an integer from -"),
        ([HEAD, {**KEY, "key": 7}, {"lines": 2}], "line 2: not a UUID: 7"),
        ([HEAD, {**KEY, "key": "7"}, {"lines": 2}], "line 2: badly formed"),
        ([HEAD, DOUBLE, {**DOUBLE, "by": 0}, {"lines": 3}], "line 3: it adds nothing"),
        ([HEAD, {**DOUBLE, "by": 2**53 + 1}, {"lines": 2}], "line 2: not an integer from -"),
        ([HEAD, OLD_DOUBLE, {**OLD_DOUBLE, "by": 0}, {"lines": 3}], "line 3: it adds nothing"),
        ([HEAD, {**DOUBLE, "winner": "07"}, {"lines": 2}], "line 2: not a stream"),
        ([HEAD, {**DOUBLE, "winner_seq": 0}, {"lines": 2}], "line 2: not an integer from 1"),
        ([HEAD, CORRECTION, {**CORRECTION, "lost": -1}, {"lines": 3}], "line 3: not an integer"),
        ([HEAD, {**CORRECTION, "out": 2**62 + 1}, {"lines": 2}], "line 2: not an integer from -"),
        ([HEAD, {**CORRECTION, "digest": 2**64}, {"lines": 2}], "line 2: not an integer from 0"),
        ([HEAD, {**REGISTER, "more": 1}, {"lines": 2}], "line 2: neither a register nor"),
        ([HEAD, {"secret": 1}, {"lines": 2}], "line 2: neither a register nor"),
    ],
)
async def test_lines_that_are_not_whole_and_right_change_nothing(
    tmp_path: Path, rows: list[object], says: str
) -> None:
    await filled(tmp_path)
    before = await stored(tmp_path)
    result = call("import", tmp_path, lines="".join(f"{json.dumps(row)}\n" for row in rows))
    assert result.exit_code == 1
    assert says in result.stderr
    assert await stored(tmp_path) == before


async def test_what_is_no_json_is_told_with_its_line_alone(tmp_path: Path) -> None:
    for text in '{"stream": ', "root:x:0", "":
        result = call("import", tmp_path, lines=f"{json.dumps(HEAD)}\n{text}\n")
        assert result.stderr == "gossipd: line 2: not a JSON object\n"


async def filled_with_keys(directory: Path) -> None:
    """Keys in memory and archived, doubles known and yet to be found, a correction, a horizon."""
    await filled(directory)
    async with opened(directory) as store:
        await store.commit(keyed(300, record(299, plain_key(1), by=5), record(300)))
        await store.save(told(record(7, age=1000), record(8), stream=OTHER, version=199))
        await store.save(told(record(9, plain_key(1), by=5), stream=THIRD))
        await store.save(told(record(11, plain_key(1)), stream=THIRD))
        winner, loser = sorted([STREAM, THIRD])
        double = (loser, Double("default", 2, 3, winner, 2, 10))
        correction = (STREAM, Correction("default", 1, 1, 4, 2**64 - 1))
        await store.save(
            NOTHING._replace(doubles=(double,), corrections=(correction,), horizon=77)
        )


async def test_check_counts_doubles_as_a_node_does(tmp_path: Path) -> None:
    await filled_with_keys(tmp_path)
    found = dict(line.split("\t") for line in call("check", tmp_path).stdout.splitlines())
    assert (found["keys"], found["doubles"]) == ("6", "2")
    node = node_with(await stored(tmp_path))
    without = sum(
        register[2]
        for each in (await stored(tmp_path)).streams
        for register in each.registers
        if register[0] == "default"
    )
    assert node.log.value("default") == without - 5 - 3 - 4
    assert call("check", tmp_path).exit_code == 0


async def test_check_finds_what_is_damaged_among_keys(tmp_path: Path) -> None:
    await filled_with_keys(tmp_path)
    for change, says in (
        ("UPDATE keys SET by = 6 WHERE seq = 299", "the key record of event 299 in stream"),
        ("UPDATE losers SET by = 2 WHERE by = 3", "the double 2 in stream"),
        ("UPDATE corrections SET out = 2", "the correction of 'default' in stream"),
        ("DROP INDEX keys_by_key", "its tables are not as they were made"),
    ):
        copy = tmp_path / "copy.db"
        call("backup", tmp_path, copy)
        with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
            connection.execute(change)
        result = call("check", copy)
        assert (result.exit_code, result.stdout) == (1, "")
        assert says in result.stderr
        copy.unlink()


async def test_keys_and_doubles_go_out_as_lines_and_come_in_again(tmp_path: Path) -> None:
    await filled_with_keys(tmp_path / "old")
    old = await stored(tmp_path / "old")
    lines = call("export", tmp_path / "old").stdout
    rows = [json.loads(line) for line in lines.splitlines()]
    event = {"stream": STREAM.hex(), "seq": 299, "counter": "default", "by": 5}
    (found,) = (
        row
        for row in rows
        if row.get("key") == "00000000-0001-4000-8000-000000000000"
        and row["stream"] == STREAM.hex()
    )
    assert {**found, "at": 0} == {"key": found["key"], **event, "at": 0}
    assert abs(found["at"] - 1000 * time.time()) < 60_000
    (double,) = (row for row in rows if "winner" in row and row["seq"] == 2)
    lost = {"seq": 2, "counter": "default", "by": 3, "winner_seq": 2}
    assert lost.items() <= double.items()
    folded = {"counter": "default", "seq": 1, "lost": 1, "out": 4, "digest": 2**64 - 1}
    assert {"stream": STREAM.hex(), **folded} in rows

    for _ in range(2):
        result = call("import", tmp_path / "new", lines=lines)
        assert (result.exit_code, result.stdout) == (0, ""), result.output
        assert ageless(await stored(tmp_path / "new")) == ageless(old)
    again = [json.loads(line) for line in call("export", tmp_path / "new").stdout.splitlines()]
    assert [timeless(row) for row in again[1:]] == [timeless(row) for row in rows[1:]]
    for one, other in zip(rows, again, strict=True):
        if "at" in one:
            age, later = rows[0]["now"] - one["at"], again[0]["now"] - other["at"]
            assert age == pytest.approx(later, abs=60_000), "as old as when it went out"


def timeless(row: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in row.items() if name != "at"}


async def test_keys_from_a_file_whose_clock_is_behind_are_no_older_where_they_come_in(
    tmp_path: Path,
) -> None:
    """As that of a host that was off for a week, during which nobody measured."""
    await filled_with_keys(tmp_path / "old")
    head, *rest = call("export", tmp_path / "old").stdout.splitlines()
    week = 7 * 86_400_000
    lines = [json.dumps({**json.loads(head), "now": json.loads(head)["now"] - week})]
    rows = map(json.loads, rest)
    lines += [json.dumps({**r, "at": r["at"] - week} if "at" in r else r) for r in rows]
    assert call("import", tmp_path / "new", lines="\n".join(lines) + "\n").exit_code == 0
    assert ageless(await stored(tmp_path / "new")) == ageless(await stored(tmp_path / "old"))


@pytest.mark.parametrize("now", [0, 2**48 - 1])
async def test_keys_of_any_time_come_out_as_lines_that_come_in_again(
    tmp_path: Path, now: int
) -> None:
    """By the clock of the file they may be from before 1970, or from later than can be told."""
    rows = [{**HEAD, "now": now}, REGISTER, {**KEY, "at": 2**48 - 1 - now}, {"lines": 3}]
    lines = "".join(f"{json.dumps(row)}\n" for row in rows)
    for place in ("first", "second"):
        assert call("import", tmp_path / place, lines=lines).exit_code == 0
        lines = call("export", tmp_path / place).stdout
    assert lines.count('"key"') == 1


async def test_a_backup_has_the_keys(tmp_path: Path) -> None:
    await filled_with_keys(tmp_path / "data")
    (tmp_path / "copy").mkdir()
    assert call("backup", tmp_path / "data", tmp_path / "copy" / "gossipd.db").exit_code == 0
    assert ageless(await stored(tmp_path / "copy")) == ageless(await stored(tmp_path / "data"))


async def test_what_is_in_use_is_read_but_not_written(tmp_path: Path) -> None:
    with writer(tmp_path / "data", "full") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
        for command in ("import", "move-aside"):
            result = call(command, tmp_path / "data", lines="")
            assert (result.exit_code, result.stdout) == (1, "")
            assert f"is in use by process {process.pid}" in result.stderr
        assert "streams\t1\n" in call("check", tmp_path / "data").stdout
        assert STREAM.hex() in call("export", tmp_path / "data").stdout


async def test_a_backup_made_while_running_is_the_state_of_one_moment(tmp_path: Path) -> None:
    seen = []
    with writer(tmp_path / "data", "normal") as process:
        assert process.stdout is not None
        for number in range(3):
            told = int(process.stdout.readline())
            (tmp_path / str(number)).mkdir()
            result = call("backup", tmp_path / "data", tmp_path / str(number) / "gossipd.db")
            assert (result.exit_code, result.output) == (0, "")
            (found,) = (await stored(tmp_path / str(number))).streams
            assert found.version == max(seq for _, seq, _ in found.registers) >= told
            seen.append(found.version)
            while int(process.stdout.readline()) <= found.version:
                pass
    assert seen == sorted(set(seen))
    (whole,) = (await stored(tmp_path / "data")).streams
    assert whole.version > seen[-1]


async def test_of_a_link_the_file_itself_is_read_with_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by who may write in neither folder; the log is beside the file, not beside the link."""
    link = tmp_path / "data" / "gossipd.db"
    link.parent.mkdir()
    link.symlink_to(tmp_path / "big" / "gossipd.db")
    monkeypatch.setattr(os, "access", lambda _, mode: mode != os.W_OK)
    async with opened(tmp_path / "big") as store:
        await store.commit(batch(1))
        for path in (link, link.parent):
            assert "registers\t1\n" in call("check", path).stdout
            assert STREAM.hex() in call("export", path).stdout
        assert call("backup", link, tmp_path / "copy").exit_code == 0
    assert "registers\t1\n" in call("check", tmp_path / "copy").stdout


async def test_a_link_is_neither_written_through_nor_moved_nor_replaced(tmp_path: Path) -> None:
    await filled(tmp_path / "big")
    for target in (tmp_path / "big" / "gossipd.db", tmp_path / "nowhere"):
        link = tmp_path / "gossipd.db"
        link.symlink_to(target)
        for command in ("import", "move-aside"):
            result = call(command, tmp_path, lines="")
            assert (result.exit_code, result.stdout) == (1, "")
            assert f"is a link to {target}" in result.stderr
        assert "already there" in call("backup", tmp_path / "big", link).stderr
        assert link.readlink() == target
        link.unlink()
    assert call("check", tmp_path / "big").exit_code == 0


async def test_a_backup_overwrites_nothing_and_leaves_nothing_half(tmp_path: Path) -> None:
    await filled(tmp_path / "data")
    (tmp_path / "mine").write_text("mine")
    assert "already there" in call("backup", tmp_path / "data", tmp_path / "mine").stderr
    assert call("backup", tmp_path / "nowhere", tmp_path / "copy").exit_code == 1
    assert names_in(tmp_path) == {"data", "mine"}
    assert (tmp_path / "mine").read_text() == "mine"


async def test_a_damaged_file_is_moved_aside_with_its_log(tmp_path: Path) -> None:
    async with opened(tmp_path / "live") as store:
        await store.commit(batch(1))
        left = contents(tmp_path / "live")
    (tmp_path / "dead").mkdir()
    for name, content in left.items():
        (tmp_path / "dead" / name).write_bytes(content)

    result = call("move-aside", tmp_path / "dead")
    aside = Path(result.stdout.strip())
    assert contents(tmp_path / "dead") == {
        aside.name: left["gossipd.db"],
        f"{aside.name}-wal": left["gossipd.db-wal"],
    }
    assert "registers\t1\n" in call("check", aside).stdout
    assert (await stored(tmp_path / "dead")).streams == ()


async def test_there_may_be_nothing_to_move_aside(tmp_path: Path) -> None:
    assert "to move" in call("move-aside", tmp_path).stderr
    assert "No such file" in call("move-aside", tmp_path / "missing").stderr


async def test_a_backup_to_a_full_disk_blames_the_disk_that_is_full(tmp_path: Path) -> None:
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("a full disk needs root and mount")
    async with opened(tmp_path / "data") as store:  # more than SQLite holds back in memory
        many = tuple((OTHER, f"{seq:0100}", seq, 1) for seq in range(1, 20_000))
        await store.save(Changes(many, ((OTHER, 19_999),), (), ()))
    small = tmp_path / "small"
    small.mkdir()
    result = backed_up_to_little(tmp_path / "data", small)
    if "mount:" in result.stderr or "unshare:" in result.stderr:
        pytest.skip(f"no mounts here: {result.stderr.strip()}")
    assert result.returncode == 1
    assert result.stderr == f"gossipd: {small}/copy.db: database or disk is full\n"
    assert result.stdout == "", "it leaves nothing there"


def backed_up_to_little(data: Path, small: Path) -> subprocess.CompletedProcess[str]:
    """The backup to a file system of 64 KiB, which only it sees; then what stands there."""
    backup = """\
mount -t tmpfs -o size=64k none $1 || exit
$2 -m gossipd data backup $3 $1/copy.db
code=$?
ls -A $1
exit $code"""
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", backup, "sh", small, sys.executable, data],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
