"""Which cause is told of what was seen."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Any

import pytest

from gossipd.config.endpoint import Endpoint
from gossipd.core import Drop
from gossipd.doctor import judging, judging_host
from gossipd.doctor.findings import Finding, Result
from gossipd.doctor.judging_host import Local
from gossipd.doctor.looking import Disk
from gossipd.doctor.visiting import Visit
from tests.unit.doctor.visits import HERE, THERE, visited, well


def judged(visit: Visit, check: str, size: int = 1200) -> Finding:
    found = [each for each in judging.judge(visit, "shop", size) if each.check == check]
    assert len(found) == 1
    return found[0]


def results(found: Sequence[Finding]) -> list[tuple[str, str]]:
    return [(each.result.value, each.check) for each in found]


def test_who_answers_all_is_well() -> None:
    found = list(judging.judge(visited(well()), "shop", 1200))
    assert results(found) == [("ok", "udp"), ("ok", "cluster"), ("ok", "size"), ("ok", "api")]
    assert found[0].text == "answers after 1.0 ms"
    assert not any(each.advice for each in found)


# --- cluster, name, sizes ------------------------------------------------------------------------


def test_who_answers_to_no_member_is_of_another_cluster() -> None:
    nobody = well(name=None)
    assert judged(visited(nobody), "cluster").text.endswith("it is of another one")
    named = visited(nobody, status={"cluster": "bank"}, is_there=True)
    assert judged(named, "cluster").text.endswith("it is of cluster bank")
    own = visited(nobody, status={"cluster": "shop", "leaving": True}, is_there=True)
    assert judged(own, "cluster").result is Result.WARNING


def test_two_processes_of_one_name_are_told_and_one_at_two_addresses_is_not() -> None:
    own = {"name": "b", "generation": 4, "address": str(HERE)}
    (twin,) = judging.judge_names([visited(well())], own)
    assert (twin.result, twin.about) == (Result.FAILED, "b")
    assert f"at {HERE} and {THERE}" in twin.text
    assert not list(judging.judge_names([visited(well())] * 2, {**own, "name": "a"}))
    other = visited(well(generation=6))
    assert len(list(judging.judge_names([visited(well()), other], {}))) == 1


def test_a_name_that_another_host_has_already_is_told_where_no_node_runs() -> None:
    (taken,) = judging.judge_names([visited(well())], {"name": "b"})
    assert f"the node at {THERE} has the name that one of this host would have" in taken.text
    assert not list(judging.judge_names([visited(well())], {"name": "a"}))
    itself = visited(well())
    itself.own_host = THERE.host
    assert not list(judging.judge_names([itself], {"name": "b"}))


@pytest.mark.parametrize(
    ("whole", "parts", "size", "result", "text", "advice"),
    [
        ((640, 900, 1200), (), 1200, "ok", "up to 1,200", ""),
        ((640, 900, 1200), (), 1400, "failed", "those of 1,200 get through", "1200"),
        ((640, 900), (), 1200, "failed", "those of 900 get through", "900"),
        ((640, 900), (1200,), 1200, "warning", "in parts only", "900"),
    ],
)
def test_the_sizes_that_get_lost_are_told(
    whole: tuple[int, ...],
    parts: tuple[int, ...],
    size: int,
    result: str,
    text: str,
    advice: str,
) -> None:
    sizes = {each: each in whole for each in (640, 900, 1200, 1400)}
    heard = well(whole=sizes, in_parts={each: each in parts for each in sizes})
    found = judged(visited(heard), "size", size)
    assert (found.result.value, text in found.text) == (result, True), found.text
    assert found.advice.startswith(f"set --datagram-size {advice} " if advice else "")


def test_what_the_kernel_knows_of_the_path_makes_the_advice_exact() -> None:
    heard = well(whole={640: True, 1200: False}, in_parts={1200: True}, path_mtu=1000)
    found = judged(visited(heard), "size")
    assert found.text.endswith("in parts only, since the path carries packets of 1,000")
    assert found.advice.startswith("set --datagram-size 972 on all nodes, or ")
    none = judged(visited(well(whole={640: False}, in_parts={640: False})), "size")
    assert (none.result, none.advice) == (Result.FAILED, "mend the MTU, and let ICMP through")
    assert "so do those of 640" in none.text


def test_an_older_node_is_said_to_be_one() -> None:
    old = well(larger=False, whole={}, version="")
    assert judged(visited(old), "size").result is Result.WARNING
    assert not list(judging.judge_clocks([visited(old)]))
    assert not list(judging.judge_versions([visited(old)], {}))


def test_alarms_of_a_node_whose_api_is_open_are_told() -> None:
    status = {"alarms": ["the disk hangs"], "cluster": "shop"}
    found = judged(visited(well(), status=status, is_there=True), "alarm")
    assert (found.result, found.text) == (Result.WARNING, "the disk hangs")
    assert found.advice == "look at its log, and run gossipd doctor there, too"
    told = {**status, "advice": ["look at dmesg"]}
    found = judged(visited(well(), status=told, is_there=True), "alarm")
    assert found.advice == "there: look at dmesg"


# --- clocks and versions -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ahead", "told"),
    [
        ([0.004], [("ok", "n0", "its clock is 4 ms ahead of this host's")]),
        ([-7.0], [("warning", "n0", "its clock is 7 s behind this host's")]),
        ([300.0, 0.0], [("failed", "n0", "its clock is 5 min ahead of"), ("ok", "n1", "its clo")]),
        ([300.0, 301.0], [("failed", "", "the clock of this host is 5 min behind those of most")]),
        ([], []),
    ],
)
def test_the_clock_that_is_wrong_is_told(
    ahead: list[float], told: list[tuple[str, str, str]]
) -> None:
    visits = [visited(well(clock_ahead=by), None, f"n{at}") for at, by in enumerate(ahead)]
    found = list(judging.judge_clocks(visits))
    assert [(each.result.value, each.about) for each in found] == [row[:2] for row in told]
    for each, (_, _, text) in zip(found, told, strict=True):
        assert each.text.startswith(text)
        assert ("refused" in each.text) is (each.result is Result.FAILED)


def test_versions_that_differ_are_told() -> None:
    assert [each.result for each in judging.judge_versions([visited(well())], {})] == [Result.OK]
    own = {"version": "0.0.9"}
    old, other = judging.judge_versions([visited(well(version="0.0.8"))], own)
    assert old.text.startswith("the node here runs version 0.0.9, and")
    assert other.text.endswith("b: 0.0.8")


# --- this host -----------------------------------------------------------------------------------


def local(address: str = str(HERE), **status: Any) -> Local:
    told = {"name": "a", "address": address, **status}
    return Local(Endpoint("127.0.0.1", 7947), status=told)


def test_a_node_that_does_not_run_is_a_failure_unless_others_are_asked_about() -> None:
    absent = Local(Endpoint("127.0.0.1", 7947), error="connection refused")
    (found,) = judging_host.judge_node(absent, needed=True)
    assert (found.result, "connection refused" in found.text) == (Result.FAILED, True)
    (found,) = judging_host.judge_node(absent, needed=False)
    assert found.result is Result.WARNING
    absent.hangs = True
    (found,) = judging_host.judge_node(absent, needed=False)
    assert (found.result, "it hangs" in found.text) == (Result.FAILED, True)


def test_what_the_node_itself_knows_is_told() -> None:
    node = local(
        alarms=["5 of at most 5 registers", "the disk hangs"],
        advice=["raise registers_max"],
        dropped={"foreign": 3, "version": 2, "malformed": 4, "unknown_kind": 1, "stranger": 9},
        udp={"refused": {"EPERM": 7, "EWHAT": 1}},
    )
    node.not_ready = "no ready peer yet"
    found = list(judging_host.judge_node(node, needed=True))
    assert results(found) == [
        ("warning", "node"),
        ("warning", "alarm"),
        ("warning", "alarm"),
        ("warning", "cluster"),
        ("warning", "version"),
        ("warning", "version"),
        ("warning", "version"),
        ("warning", "sending"),
        ("warning", "sending"),
    ]
    assert found[0].text == "a is not ready: no ready peer yet"
    assert (found[1].text, found[1].advice) == ("5 of at most 5 registers", "raise registers_max")
    assert all(each.advice for each in found)


@pytest.mark.parametrize(
    ("granted", "drops", "result", "text"),
    [
        (4 * 2**20, 0, "ok", "4,194,304 were asked for"),
        (4 * 2**20, 7, "warning", "7 datagrams found no room"),
        (212_992, 0, "ok", "(net.core.rmem_max is 212,992)"),
        (212_992, 5, "warning", "5 datagrams found no room"),
        (100_000, 0, "warning", "100,000 bytes"),
        (2_048, 3, "failed", "bursts get lost; 3 were lost"),
    ],
)
def test_the_buffer_is_judged_by_its_size_and_by_what_it_lost(
    granted: int, drops: int, result: str, text: str
) -> None:
    found = judging_host.judge_buffer({"receive_buffer": granted}, 212_992, drops)
    assert (found.result.value, text in found.text) == (result, True), found.text


def test_files_are_judged_by_how_many_are_left() -> None:
    def result(used: int, limit: int) -> str:
        (found,) = judging_host.judge_files({"open": used, "limit": limit})
        return found.result.value

    assert [result(20, 8192), result(20, 512), result(7000, 8192)] == ["ok", "warning", "warning"]
    assert [result(20, 64), result(8000, 8192)] == ["failed", "failed"]
    assert not list(judging_host.judge_files({}))


GIB = 2**30


@pytest.mark.parametrize(
    ("disk", "result", "text"),
    [
        (Disk("d", free=GIB, size=GIB, sync=0.001), "ok", "1.0 ms, 1,024 MiB are free"),
        (Disk("d", free=2**20, size=GIB, sync=0.001), "warning", "1 MiB are free"),
        (Disk("d", free=GIB, size=GIB, sync=0.5), "warning", "500.0 ms"),
        (Disk("d", free=0, size=GIB, sync=0.001), "failed", "the disk is full"),
        (Disk("d", free=2**20 - 1, size=GIB, sync=0.001), "failed", "the disk is full"),
        (Disk("d", "no space left", errno.ENOSPC, 9, GIB), "failed", "the disk is full"),
        (Disk("d", "Quota exceeded", errno.EDQUOT, 9, GIB), "failed", "the disk is full"),
        (Disk("d", "Read-only", errno.EROFS, 0, GIB), "failed", "nothing can be written"),
        (Disk("d", "No such file", errno.ENOENT), "failed", "no such file"),
        (Disk("d", "Denied", errno.EACCES, GIB, GIB), "ok", "may not write there"),
        (Disk("d", "No", errno.EOPNOTSUPP, GIB, GIB), "ok", "writing was not tried"),
        (None, "failed", "it hangs"),
    ],
)
def test_the_disk_is_judged(disk: Disk | None, result: str, text: str) -> None:
    found = judging_host.judge_disk("d", disk)
    assert (found.result.value, text in found.text) == (result, True), found.text
    assert bool(found.advice) is (result != "ok")


def test_an_address_that_others_cannot_reach_is_told() -> None:
    outside = visited(well(seen="192.0.2.7"))
    (nat,) = judging_host.judge_address(local(), [outside])
    assert (nat.result, "192.0.2.7" in nat.text) == (Result.WARNING, True)
    (loopback,) = judging_host.judge_address(local("127.0.0.1:7956"), [outside])
    assert loopback.result is Result.FAILED
    assert loopback.advice.startswith("set --advertise 10.0.0.1:7956,")
    assert not list(judging_host.judge_address(local("127.0.0.1:7956"), []))
    (strange,) = judging_host.judge_address(local("192.0.2.1:7946"), [visited(well())])
    assert "no address of this host" in strange.text
    forwarded = visited(well(seen="192.0.2.1"))
    (fine,) = judging_host.judge_address(local("192.0.2.1:7946"), [forwarded])
    assert fine.result is Result.OK


def test_members_that_are_not_alive_are_told_with_their_cause_and_not_too_many() -> None:
    rows = [{"name": f"n{at}", "state": "failed", "why": "c says so"} for at in range(30)]
    rows += [{"name": "s", "state": "suspect", "why": "silent"}, {"name": "a", "state": "alive"}]
    first, suspect, *failed_ = judging_host.judge_members(rows)
    assert first.text == "1 alive, 1 suspected, 30 failed"
    assert (suspect.about, suspect.text) == ("s", "suspect: silent")
    assert len(failed_) == judging_host.LISTED_MAX
    assert failed_[0].text == "failed: c says so"


@pytest.mark.parametrize(
    ("unfit", "seals", "ours", "text"),
    [
        (Drop.SEALED, "aabbccdd", [], "it seals with the secret aabbccdd, and here is none"),
        (Drop.UNSEALED, "", ["11223344"], "it has no secret, and here is 11223344"),
        (Drop.UNKNOWN_SECRET, "aabbccdd", ["11223344"], "which is none of those here (11223344)"),
    ],
)
def test_who_cannot_be_read_is_judged_by_its_secret_alone(
    unfit: Drop, seals: str, ours: list[str], text: str
) -> None:
    heard = well(name=None, larger=False, unfit=unfit, seals=seals)
    found = list(judging.judge(visited(heard), "shop", 1200, ours))
    assert results(found) == [("ok", "udp"), ("failed", "secret"), ("ok", "api")]
    assert text in found[1].text
    assert "--keyring" in found[1].advice


def test_of_another_cluster_nothing_sealed_is_answered() -> None:
    found = list(judging.judge(visited(well(name=None, larger=False)), "shop", 1200, ["11223344"]))
    assert results(found) == [("ok", "udp"), ("failed", "cluster"), ("ok", "api")]
