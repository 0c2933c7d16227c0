"""SIGHUP: the configuration is read again, at any moment; a bad file harms nobody."""

from __future__ import annotations

import json
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gossipd.sealing.keyring import Secret
from tests.e2e import load
from tests.e2e.bounds import blames_in, blames_nobody
from tests.e2e.cluster import Cluster, agree, counted, keyring
from tests.e2e.node import Node, until
from tests.e2e.test_process import PENDING
from tests.e2e.test_watchdog import ServiceManager

SECONDS = 1.5
READ = "reload: read the configuration again"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "node.toml"


def reload(node: Node, changed: int, stays: int = 0) -> None:
    """Ask for it, and wait until it is done."""
    line = f"{READ}: {changed} changed, {stays} cannot change"
    before = node.log.count(line)
    node.send(signal.SIGHUP)
    until(lambda: node.log.count(line) > before, 20, line)


def tags(node: Node, name: str) -> object:
    return next(row["tags"] for row in node.get("/members") if row["name"] == name)


def test_reloads_under_load_lose_nothing_and_change_what_can_change(
    cluster: Cluster, file: Path
) -> None:
    nodes = cluster.start(2)
    third = cluster.add()
    file.write_text("log_level = 'info'\n")
    third.start("--config", str(file), join=nodes[:1])
    nodes.append(third)
    agree(nodes, within=15)
    number = 0
    with ThreadPoolExecutor() as pool:
        counting = pool.submit(load.at_full_speed, nodes, SECONDS)
        while not counting.done():
            number += 1
            level = ("info", "debug")[number % 2]
            limits = f"key_limit = {2_000_000 + number}\nstreams_max = {2_000_000 + number}\n"
            file.write_text(f"log_level = '{level}'\ntag = ['round={number}', 'a=b']\n{limits}")
            reload(third, 4)
    answered = counting.result()
    counted(nodes, answered, within=10)
    wanted = {"round": f"{number}", "a": "b"}
    until(lambda: all(tags(node, "n3") == wanted for node in nodes), 10, "the tags are known")
    assert third.status()["limits"]["streams"] == 2_000_000 + number
    blames_nobody([line for node in nodes for line in blames_in(node.log)])
    nodes[0].says("has other tags")
    # What cannot change is named; what is not in the file any more is its default again.
    file.write_text(f"log_format = 'json'\nprobe_interval = 2\nlog_level = '{level}'\n")
    third.send(signal.SIGHUP)
    third.says('"stays": ["probe_interval", "key_limit", "streams_max"]')
    said = [json.loads(line) for line in third.log.splitlines() if line.startswith("{")]
    assert said[-1]["changed"] == ["tag", "log_format"]
    until(lambda: all(tags(node, "n3") == {} for node in nodes), 10, "the tags are gone")
    third.says("probe_interval stays 1.0, though 2.0 is wanted: that needs a new start")
    third.says("while a node runs it can only grow")
    counted(nodes, answered, within=5)


def test_seeds_that_come_are_joined_and_those_that_go_are_not_tried(
    cluster: Cluster, file: Path
) -> None:
    (seed,) = cluster.start(1)
    node = cluster.add()
    file.write_text("join = ['127.0.0.1:1']\n")
    node.start("--config", str(file))
    node.says("no answer from 127.0.0.1:1, asked to take this node in")
    file.write_text(f"join = ['{seed.address}']\n")
    reload(node, 1)
    agree([seed, node], within=10)
    assert [row["seed"] for row in node.get("/join")] == [seed.address]
    seed.send(signal.SIGHUP)
    seed.says(f"{READ}: 0 changed, 0 cannot change; there is no file")


def test_a_bad_file_is_refused_as_a_whole_until_a_good_one_is_read(
    cluster: Cluster, file: Path
) -> None:
    node = cluster.add()
    file.write_text("tag = ['a=1']\n")
    node.start("--config", str(file))
    until(lambda: node.ready, 20, "it is ready")
    file.write_text("tag = ['a=2']\nlog_level = 'loud'\nnam = 'x'\n")
    node.send(signal.SIGHUP)
    complaint = f"{file}:2: log_level: expected one of debug, info, warning, error, not 'loud'"
    node.says(f'level=error msg="reload: {complaint}')
    node.says(f"reload: {file}:3: unknown key 'nam'")
    alarm = (
        f"the configuration cannot be read again: {complaint}, and 1 more; "
        "this node goes on with what it had"
    )
    assert node.status()["alarms"] == [alarm]
    assert (tags(node, "n1"), node.increment()) == ({"a": "1"}, 1)
    file.unlink()
    node.send(signal.SIGHUP)
    node.says(f"reload: cannot read {file}: No such file or directory")
    file.write_text("tag = ['a=2']\nadvertise = '127.0.0.9:1'\n")
    reload(node, 1, stays=1)
    node.says("advertise stays unset, though 127.0.0.9:1 is wanted: that needs a new start")
    node.says("cleared: the configuration cannot be read again")
    assert (tags(node, "n1"), node.status()["alarms"]) == ({"a": "2"}, [])


def test_a_file_whose_disk_hangs_holds_up_nobody(cluster: Cluster, file: Path) -> None:
    node = cluster.add()
    file.write_text("")
    node.start("--config", str(file), "--disk-timeout", "1")
    until(lambda: node.ready, 20, "it is ready")
    hang(file)
    node.send(signal.SIGHUP)
    late = f"{file} cannot be read again yet: its disk has not answered"
    node.says(late)
    assert node.status()["alarms"] == [late]
    assert node.increment() == 1
    file.write_text("tag = ['a=1']\n")
    node.says(f"cleared: {late}")
    until(lambda: tags(node, "n1") == {"a": "1"}, 10, "it was read")
    assert node.status()["alarms"] == []
    node.send(signal.SIGHUP)
    until(lambda: node.log.count(late) == 3, 10, "the next one is late, too")
    node.send(signal.SIGTERM)
    assert node.ended() == 0


def test_one_that_hangs_keeps_none_of_the_others_from_being_taken(
    cluster: Cluster, file: Path, tmp_path: Path
) -> None:
    """Above all not who removes a token that has leaked."""
    tokens, old, new = tmp_path / "tokens", "o" * 16, "n" * 16
    secrets = tmp_path / "keyring"
    file.write_text(f"tokens = '{tokens}'\nkeyring = '{keyring(secrets, Secret.fresh())}'\n")
    tokens.touch(0o600)
    tokens.write_text(f"read {old}\n")
    node = cluster.add()
    node.token = old
    node.start("--config", str(file), "--disk-timeout", "1")
    until(lambda: node.ready, 20, "it is ready")

    hang(file)
    hang(secrets)
    tokens.write_text(f"read {new}\n")
    node.send(signal.SIGHUP)
    until(lambda: node.ask("GET", "/count").status == 401, 10, "the token is gone")
    node.token = new
    late = f"{file} cannot be read again yet: its disk has not answered"
    until(lambda: node.status()["alarms"] == [late], 10, "it is late")
    hang(tokens)
    node.send(signal.SIGHUP)
    file.write_text(f"tokens = '{tokens}'\nkeyring = '{secrets}'\ntag = ['a=1']\n")  # is heard
    until(lambda: tags(node, "n1") == {"a": "1"}, 10, "it was read")
    node.says(f"{tokens} cannot be read again yet: its disk has not answered")
    node.says(f"{secrets} cannot be read again yet: its disk has not answered")
    secrets.write_text("hunter2\n")
    node.says(f"the keyring cannot be read again: {secrets}:1: expected the base64 of 32 bytes")
    tokens.write_text(f"read {old}\n")
    until(lambda: node.ask("GET", "/count").status == 401, 10, "the token is gone")


def hang(file: Path) -> None:
    """Who opens it waits until somebody writes."""
    file.unlink()
    os.mkfifo(file, 0o600)


def test_the_service_manager_hears_of_each_and_flags_and_variables_win(
    cluster: Cluster, tmp_path: Path, file: Path
) -> None:
    manager = ServiceManager(tmp_path / "notify")
    node = cluster.add()
    file.write_text("")
    node.start("--config", str(file), "--tag", "flag=1", NOTIFY_SOCKET=manager.path,
               GOSSIPD_RUN_LOG_LEVEL="info")  # fmt: skip
    manager.hears("READY=1")
    manager.heard.clear()
    file.write_text("tag = ['file=1']\nlog_level = 'error'\n")
    for _ in range(10):  # some of them while one is read
        node.send(signal.SIGHUP)
    reload(node, 0)
    manager.hears("READY=1")
    heard = [line for line in manager.listen() + manager.heard if line != "WATCHDOG=1"]
    began = [line for line in heard if line == "RELOADING=1"]
    assert len(began) == heard.count("READY=1") >= 1
    assert len([line for line in heard if line.startswith("MONOTONIC_USEC=")]) == len(began)
    assert tags(node, "n1") == {"flag": "1"}
    manager.close()


def test_one_before_the_start_is_heeded_then_and_one_in_a_leave_is_not(
    cluster: Cluster, file: Path
) -> None:
    file.write_text("log_level = 'info'\n")
    node = cluster.add()
    node.prefix = (sys.executable, "-c", PENDING, str(int(signal.SIGHUP)))
    node.start("--config", str(file))
    node.says("SIGHUP: the configuration is read again as soon as this node serves")
    node.says(READ)
    other = cluster.add()
    other.start(join=[node])
    agree([node, other], within=10)
    other.send(signal.SIGSTOP)  # so that the leave has to wait
    try:
        node.increment()
        node.send(signal.SIGTERM)
        node.says("SIGTERM: leaving")
        node.send(signal.SIGHUP)
        node.says("reload: this node is leaving, nothing is read again")
        assert node.ended(20) == 0
    finally:
        other.send(signal.SIGCONT)
