"""Which way is told to be closed, by what an address answers and what is known of it here."""

from __future__ import annotations

import errno

import pytest

from gossipd.doctor.asking import Heard
from gossipd.doctor.findings import Result
from gossipd.doctor.judging import judge
from gossipd.doctor.judging_way import judge_way
from gossipd.doctor.visiting import Row
from tests.unit.doctor.visits import NOW, THERE, probe, visited, well

REJECTIONS = [errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES]
"""What comes of what a firewall sends back. EACCES: over IPv6."""


@pytest.mark.parametrize(
    ("heard", "text", "advice"),
    [
        (
            Heard(refusal=errno.ECONNREFUSED),
            "nothing listens on UDP port 7946 there, or a firewall rejects what is sent to it",
            "start gossipd there, or, if it runs, let UDP in to that port",
        ),
        (
            Heard(refusal=errno.EHOSTUNREACH),
            "a firewall, of that host or on the way, rejects what is sent to UDP port 7946: no "
            "route to host",
            "let UDP in to port 7946 of that host, there and on the way",
        ),
        (Heard(refusal=errno.ENETUNREACH), "a firewall, of that host or on the way,", "there and"),
        (Heard(refusal=errno.EACCES), "a firewall, of that host or on the way,", "there and"),
        (Heard(refusal=errno.EPERM), "a filter of this host", "let UDP out to port 7946"),
        (Heard(errno.EACCES, is_unsent=True), "a filter of this host", "let UDP out to port 7946"),
        (
            Heard(errno.ENETUNREACH, is_unsent=True),
            "this host has no way there: network is unreachable",
            "mend the address, or the routes and the network of this host",
        ),
        (
            Heard(errno.EHOSTUNREACH, is_unsent=True),
            "this host has no way there: no route to host",
            "mend the address, or the routes and the network of this host",
        ),
    ],
)
def test_a_refusal_names_its_cause_and_nothing_else_is_judged(
    heard: Heard, text: str, advice: str
) -> None:
    (found,) = judge(visited(heard), "shop", 1200)
    assert (found.result, found.check) == (Result.FAILED, "udp")
    assert text in found.text
    assert advice in found.advice


@pytest.mark.parametrize("code", REJECTIONS)
@pytest.mark.parametrize(
    "of_it",
    [
        {"state": "failed", "since": NOW - 5, "spoke": NOW - 2},
        {"state": "suspect", "since": NOW - 5, "spoke": NOW - 2, "probes": [probe("answered", 9)]},
        {"state": "alive", "since": NOW - 99, "spoke": NOW - 2, "probes": [probe("silent", 3)]},
    ],
)
def test_who_speaks_while_this_host_is_refused_is_behind_a_firewall(code: int, of_it: Row) -> None:
    found = judge_way(visited(Heard(refusal=code), of_it))
    assert found.text.startswith("what it sends arrives here, ")
    assert " ago, but what this host sends there is rejected: " in found.text
    assert found.advice.endswith("let it in to port 7946 of that host")


@pytest.mark.parametrize("code", REJECTIONS)
def test_whom_others_reach_while_this_host_is_refused_is_behind_a_firewall(code: int) -> None:
    found = judge_way(visited(Heard(refusal=code), {"probes": [probe("relayed", 3)]}))
    assert found.text.startswith("it lives, as other members reach it, but what this host sends")
    assert "a firewall rejects UDP between these two hosts" in found.advice


def test_who_refuses_and_spoke_before_it_was_accused_only_may_have_stopped() -> None:
    known = {"state": "failed", "since": NOW - 5, "spoke": NOW - 6, "answered": NOW - 7}
    found = judge_way(visited(Heard(refusal=errno.ECONNREFUSED), known))
    assert found.text.startswith("nothing listens on UDP port 7946 there, or a firewall")


@pytest.mark.parametrize(
    ("of_it", "api", "text"),
    [
        ({"spoke": NOW + 0.5}, {}, "what this host sends gets lost on the way there"),
        (
            {"spoke": NOW - 2, "probes": [probe("open", 0), probe("silent", 3)]},
            {},
            "what this host sends gets lost on the way there",
        ),
        (
            {
                "state": "failed",
                "since": NOW - 20,
                "spoke": NOW - 2,
                "probes": [probe("answered", 30)],
            },
            {},
            "what this host sends gets lost on the way there",
        ),
        (
            {"state": "suspect", "since": NOW - 3, "spoke": NOW - 2, "probes": []},
            {"is_there": True},
            "what this host sends gets lost on the way there",
        ),
        ({}, {"of_us": {"spoke": NOW + 0.5}}, "its answers get lost on the way back"),
        (
            {},
            {"of_us": {"state": "failed", "since": NOW - 20, "spoke": NOW - 2}},
            "its answers get lost on the way back",
        ),
        (
            {"spoke": NOW - 9, "probes": [probe("relayed", 3)], "probed_every": 0.1},
            {},
            "as other members reach it, but nothing that it sends arrives here",
        ),
        (
            {"spoke": NOW - 9, "probes": [probe("relayed", 3)], "probed_every": 1e6},
            {},
            "as other members reach it, but it does not answer this host",
        ),
        ({"probes": [probe("relayed", 3)]}, {}, "nothing that it sends arrives here"),
        ({}, {"is_there": True}, "its TCP port 7947 refuses, but UDP port 7946 is silent"),
        ({}, {"is_there": True, "status": {"name": "b"}}, "its TCP port 7947 answers"),
        ({}, {"is_there": True, "hangs": True}, "the process there hangs"),
        ({}, {}, "silent, over UDP and TCP"),
        (
            {"spoke": NOW - 2, "probes": [probe("answered", 3)]},
            {},
            "silent, over UDP and TCP",
        ),
        ({"state": "failed", "since": NOW - 1, "spoke": NOW - 2}, {}, "silent, over UDP and TCP"),
        ({"state": "alive", "since": NOW - 9, "spoke": NOW - 2}, {}, "silent, over UDP and TCP"),
    ],
)
def test_of_a_silent_one_the_way_that_is_closed_is_told(of_it: Row, api: Row, text: str) -> None:
    (found,) = judge(visited(Heard(), of_it, **api), "shop", 1200)
    assert (found.result, found.check) == (Result.FAILED, "udp")
    assert text in found.text


@pytest.mark.parametrize("evidence", ["spoke", "relayed"])
def test_what_was_known_of_a_member_before_it_stopped_does_not_show_that_it_lives(
    evidence: str,
) -> None:
    """It spoke once after it had been accused, or others reached it then, and it is gone since."""
    known: dict[str, Row] = {
        "spoke": {"since": NOW - 900, "spoke": NOW - 800, "probes": [probe("silent", 901)]},
        "relayed": {"since": NOW - 9, "spoke": NOW - 20, "probes": [probe("relayed", 12)]},
    }
    found = judge_way(visited(Heard(), {"state": "failed", **known[evidence]}))
    assert found.text == "silent, over UDP and TCP"


def test_in_a_large_cluster_a_member_speaks_less_often() -> None:
    known = {"state": "failed", "since": NOW - 900, "spoke": NOW - 200, "probed_every": 100.0}
    found = judge_way(visited(Heard(), known))
    assert found.text.startswith("what it sends arrives here, ")


@pytest.mark.parametrize("code", [0, errno.ECONNREFUSED])
def test_who_speaks_from_elsewhere_is_told_to_advertise_that(code: int) -> None:
    known = {"state": "failed", "since": NOW - 5, "spoke": NOW - 2}
    same = judge_way(visited(Heard(refusal=code), {**known, "spoke_from": str(THERE)}))
    assert "advertise" not in same.advice
    other = judge_way(visited(Heard(refusal=code), {**known, "spoke_from": "10.0.0.9:7946"}))
    assert " ago, from 10.0.0.9:7946, but" in other.text
    assert other.advice.startswith("set its --advertise to where others reach it")


def test_who_answers_here_but_not_the_node_is_doubtful() -> None:
    found = judge_way(visited(well(), {"state": "suspect", "why": "c says so"}))
    assert found.result is Result.WARNING
    assert found.text.endswith("for the node here it is suspect: c says so")
