"""`gossipd simulate`: small clusters, the same seed the same bytes, every mistake by its name."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gossipd.cli import gossipd
from gossipd.core import Settings
from gossipd.simulator.experiment import Experiment
from gossipd.simulator.report import Report
from tests.effort import effort

ROOT = Path(__file__).parents[3]
TINY = ("--nodes", "3", "--minutes", "0.05", "--seed", "1")
FULL = (
    "--nodes", "5", "--loss", "0.1", "--kill", "2", "--partition", "3s", "--rate", "20",
    "--seed", "7", "--minutes", "0.3",
)  # fmt: skip


def simulate(*args: str) -> Result:
    return CliRunner().invoke(gossipd, ["simulate", *args])


@cache
def full() -> Result:
    """What the long one says; it runs once, however many tests look at it."""
    return simulate(*FULL)


def answer(*args: str) -> dict[str, Any]:
    result = simulate(*args, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    told = json.loads(result.stdout)
    assert isinstance(told, dict)
    return told


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "node.toml"


# --- answers -------------------------------------------------------------------------------------


def test_the_table_tells_everything_and_the_seed() -> None:
    result = full()
    assert (result.exit_code, result.stderr) == (0, "")
    assert "5 nodes, loss 10 %, latency 0.5 ms, 20 increments/s for 0.3 min" in result.stdout
    assert "2 killed; cut in two halves from 9 s to 12 s" in result.stdout
    for line in (
        r"a killed node is suspected by one  +[\d.]+ s +[\d.]+ s +[\d.]+ s +2",
        r"  failed for all  +[\d.]+ s +[\d.]+ s +[\d.]+ s +2",
        r"  on all nodes  +[\d.]+ m?s +[\d.]+ m?s +[\d.]+ m?s +\d+",
        r"  on all, if it met the partition  +[\d.]+ m?s",
        r"killed nodes never found by all: +0",
        r"healthy nodes suspected: +\d+",
        r"nodes across the cut suspected: +\d+",
        r"packets per node and second: +[\d.]+",
        r"bytes per node and second: +[\d,]+ \(with headers\)",
        r"messages per increment: +[\d.]+",
        r"counts in the end: +\d+ \(exact\)",
        r"first suspicion, mean +1.58 s +[\d.]+ m?s +SWIM",
        r"false suspicions per probe +0.00773 ",
        r"rounds of gossip until all know +1.16 +[\d.]+ +log N",
        r"seed: 7$",
    ):
        assert re.search(rf"^{line}", result.stdout, re.MULTILINE), line


def test_table_and_json_tell_the_same() -> None:
    told, text = answer(*FULL), full().stdout
    assert f"{told['known_to_all']['max']:.2f} s" in text
    assert f"{told['traffic']['packets_per_node_second']:.2f}" in text
    assert f"{told['final']['counts'][0]} (exact)" in text
    assert told["wishes"] == {
        "nodes": 5, "loss": 0.1, "latency": 0.0005, "kill": 2, "partition": 3.0, "rate": 20.0,
        "minutes": 0.3,
    }  # fmt: skip


def test_a_run_without_kills_partition_and_load_has_a_table_too() -> None:
    result = simulate(*TINY, "--kill", "0", "--rate", "0")
    assert result.exit_code == 0
    assert "0 killed; no partition" in result.stdout
    assert re.search(r"failed for all +- +- +- +0\n", result.stdout)
    assert re.search(r"messages per increment: +-\n", result.stdout)
    assert "across the cut" not in result.stdout


def test_a_seed_gives_the_same_bytes_under_any_hash_seed() -> None:
    command = [
        sys.executable,
        "-c",
        "from gossipd.process.entry import main; main()",
        "simulate",
        *effort(TINY, FULL),
    ]
    outputs = [
        subprocess.run(
            [*command, "--json"],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=ROOT,
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("1", "4711")
    ]
    assert outputs[0] == outputs[1]
    assert json.loads(outputs[0])["final"]["exact"] is True


def test_a_drawn_seed_is_printed_and_replays() -> None:
    first = simulate("--nodes", "3", "--minutes", "0.1").stdout
    seed = first.splitlines()[-1].removeprefix("seed: ")
    assert simulate("--nodes", "3", "--minutes", "0.1", "--seed", seed).stdout == first
    assert simulate("--nodes", "3", "--minutes", "0.1").stdout != first


# --- settings ------------------------------------------------------------------------------------


def test_the_profile_gives_figures_and_latency() -> None:
    told = answer(*TINY, "--profile", "wan")
    assert told["settings"] == asdict(Settings.of("wan"))
    assert told["wishes"]["latency"] == 0.05


def test_the_file_of_run_gives_its_figures_and_the_rest_of_it_is_ignored(file: Path) -> None:
    file.write_text(
        'profile = "wan"\nprobe_interval = 6\nbind = ":1"\njoin = ["a:1"]\nname = "x"\napi = ""\n'
        'in_memory = true\n[tag]\nzone = "a"\n'
    )
    told = answer(*TINY, "--config", str(file))
    assert told["settings"] == asdict(Settings.of("wan", probe_interval=6.0))


def test_the_shipped_files_are_accepted() -> None:
    for path in sorted((ROOT / "configs").rglob("*.toml")):
        assert simulate(*TINY, "--config", str(path)).exit_code == 0


def test_single_figures_win_over_the_file_and_flags_over_its_profile(file: Path) -> None:
    file.write_text('profile = "wan"\ngossip_fanout = 5\nprobe_interval = 6\n')
    told = answer(
        *TINY, "--config", str(file), "--profile", "local", "--set", "gossip_fanout=2",
        "--set", "flush-after = 0.02",
    )  # fmt: skip
    assert told["settings"] == asdict(
        Settings.of("local", gossip_fanout=2, flush_after=0.02, probe_interval=6.0)
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("2s", 2), ("0.05m", 3), ("0s", 0), ("1.5s", 1.5), ("20us", 0.00002)],
)
def test_durations_have_units(text: str, seconds: float) -> None:
    told = answer("--nodes", "2", "--minutes", "0.1", "--kill", "0", "--partition", text)
    assert told["wishes"]["partition"] == pytest.approx(seconds)


# --- mistakes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (("--nodes", "1"), "--nodes must be from 2 to 2,000, not 1"),
        (("--nodes", "2001"), "--nodes must be from 2 to 2,000, not 2,001"),
        (("--nodes", "many"), "--nodes: expected a whole number, not 'many'"),
        (("--nodes", "2.5"), "--nodes: expected a whole number, not '2.5'"),
        (("--loss", "1"), "--loss must be at least 0 and below 1, not 1"),
        (("--loss", "-0.1"), "--loss must be at least 0 and below 1, not -0.1"),
        (("--loss", "10%"), "--loss: expected a number, not '10%'"),
        (("--loss", "nan"), "--loss: expected a number, not 'nan'"),
        (("--latency", "20"), "--latency: expected a duration like 20s, 500ms or 2m, not '20'"),
        (("--latency", "11s"), "--latency must be from 0 to 10 seconds, not 11"),
        (("--kill", "20"), "--kill must be at least 0 and below the 20 nodes, not 20"),
        (("--kill", "-1"), "--kill must be at least 0"),
        (("--partition", "1m"), "--partition must be shorter than the run of 60 s, not 60 s"),
        (("--partition", "soon"), "--partition: expected a duration"),
        (("--rate", "-1"), "--rate must be from 0 to 10,000, not -1"),
        (("--rate", "1e9"), "--rate must be from 0 to 10,000, not 1e+09"),
        (("--minutes", "0"), "--minutes must be above 0 and at most 10,080, not 0"),
        (("--minutes", "inf"), "--minutes: expected a number, not 'inf'"),
        (("--seed", "-1"), "--seed must be from 0 to 9,007,199,254,740,991, not -1"),
        (("--seed", "x"), "--seed: expected a whole number, not 'x'"),
        (("--profile", "fast"), "--profile: expected one of lan, wan, local, not 'fast'"),
        (("--set", "probe_interval"), "--set: expected KEY=VALUE, not 'probe_interval'"),
        (("--set", "probe_intervall=1"),
         "--set: unknown setting 'probe_intervall'; did you mean 'probe_interval'?"),
        (("--set", "bind=:1"), "--set: unknown setting 'bind'"),
        (("--set", "probe_interval=x"),
         "--set: probe_interval: expected a number, not 'x'"),
        (("--set", "gossip_fanout=2.5"),
         "--set: gossip_fanout: expected a whole number, not '2.5'"),
        (("--set", "gossip_fanout=0"), "--set gossip_fanout must be greater than 0"),
        (("--set", "probe_timeout=0.9"),
         "--set probe_timeout (0.9) must be at most half of --set probe_interval (1.0)"),
        (("--plot", "figure.gif"), "--plot: expected a file name that ends in .svg"),
        (("--plot", "no/such/figure.svg"), "--plot: there is no directory 'no/such'"),
        (("--config", "no-such.toml"), "cannot read no-such.toml: No such file or directory"),
    ],
)  # fmt: skip
def test_a_mistake_exits_2_and_names_the_option(args: tuple[str, ...], complaint: str) -> None:
    result = simulate(*args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"gossipd: {complaint}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("colour = 1", "unknown key 'colour'"),
        ("probe_intervall = 1", "unknown key 'probe_intervall'; did you mean 'probe_interval'?"),
        ('probe_interval = "1"', "probe_interval: expected a number, not '1'"),
        ('join = [":1"]', "join: ':1' has no host"),
        (
            "probe_timeout = 2",
            "probe_timeout (2.0) must be at most half of probe_interval (1.0)",
        ),
    ],
)
def test_a_mistake_in_the_file_is_blamed_on_it(file: Path, text: str, complaint: str) -> None:
    file.write_text(text)
    result = simulate("--config", str(file))
    assert result.exit_code == 2
    assert result.stderr.startswith(f"gossipd: {file}:1: {complaint}")
    assert result.stderr.count("\n") == 1


class Inexact(Experiment):
    """Finds a count that is one too high."""

    def report(self) -> Report:
        report = super().report()
        return replace(report, final=replace(report.final, counts=[31]))


def test_counts_that_are_not_exact_exit_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossipd.cli.simulate.Experiment", Inexact)
    result = simulate(*TINY)
    assert result.exit_code == 1
    assert "31 (NOT EXACT)" in result.stdout
    assert result.stderr == (
        "gossipd: the cluster did not end with equal and exact counts; seed 1\n"
    )


def test_nodes_that_do_not_agree_in_time_exit_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossipd.simulator.experiment.SETTLE_MAX", 0.0)
    result = simulate(*TINY)
    assert result.exit_code == 1
    assert re.search(r"all equal: +NO\n", result.stdout)


class Interrupted(Experiment):
    """Is interrupted on its way."""

    def steps(self) -> Iterator[float]:
        yield 0.0
        raise KeyboardInterrupt


def test_an_interrupt_exits_130_with_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossipd.cli.simulate.Experiment", Interrupted)
    result = simulate(*TINY)
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr == "gossipd: interrupted; the seed was 1\n"


# --- terminals and start ---------------------------------------------------------------------


def test_a_terminal_gets_a_bar_and_an_interrupt_ends_it() -> None:
    main, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", "from gossipd.process.entry import main; main()", "simulate",
         "--nodes", "5", "--minutes", "60", "--seed", "5"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=terminal,
    ) as process:  # fmt: skip
        os.close(terminal)
        shown = read_until(main, " 1%")
        process.send_signal(signal.SIGINT)
        shown += read_until(main, "seed was 5\r\n")
        assert process.wait(10) == 130
        assert process.stdout is not None
        assert process.stdout.read() == b""
    os.close(main)
    assert "simulating  [" in shown
    assert shown.count("Traceback") == 0
    assert shown.splitlines()[-1] == "gossipd: interrupted; the seed was 5"


def read_until(terminal: int, expected: str) -> str:
    shown, deadline = "", time.monotonic() + 20
    while expected not in shown:
        ready, _, _ = select.select([terminal], [], [], deadline - time.monotonic())
        assert ready, f"{expected!r} is missing in {shown!r}"
        shown += os.read(terminal, 4096).decode()
    return shown


def test_other_commands_do_not_load_the_simulator() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c",
         "import sys\nfrom gossipd.cli import gossipd\n"
         "gossipd(['count', '--help'], standalone_mode=False)\n"
         "sys.stderr.write(' '.join(sys.modules))"],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=60,
    ).stderr.split()  # fmt: skip
    assert "gossipd.cli.count" in loaded
    assert not [name for name in loaded if name.startswith(("gossipd.simulator", "gossipd.core"))]
