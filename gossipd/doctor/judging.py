"""What follows from what was seen of other addresses: a cause for each thing that is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import zip_longest
from statistics import median

from gossipd.config.spans import span
from gossipd.doctor.asking import headers
from gossipd.doctor.findings import Finding, failed, ok, warning
from gossipd.doctor.judging_way import RUN_THERE, judge_way
from gossipd.doctor.visiting import Row, Visit
from gossipd.version import full_version

CLOCK_WARNS, CLOCK_FAILS = 5.0, 60.0
"""Seconds between two clocks. A key whose time is ahead by more than a minute is refused."""

DATAGRAM_MIN, DATAGRAM_USUAL = 640, 1200
"""The smallest `--datagram-size`, and the default."""


def judge(visit: Visit, cluster: str, size: int, secrets: Sequence[str] = ()) -> Iterator[Finding]:
    """What one visit shows. `size`: the largest datagram that nodes send; `secrets`: the
    fingerprints of those with which it was asked."""
    yield judge_way(visit)
    if not visit.heard.is_there:
        return
    if visit.heard.unfit is not None:
        yield _unfit(visit, secrets)
        yield from _of_api(visit)
        return
    yield _membership(visit, cluster)
    if visit.heard.larger:
        yield _sizes(visit, size)
    elif secrets and visit.heard.name is None:
        pass  # who is of another cluster answers nothing that is sealed
    else:
        text = (
            "does not answer longer questions: an older gossipd, or something between drops them"
        )
        yield warning("size", visit.about, text, f"{RUN_THERE}; upgrade that node to have its "
                      "datagram sizes, clock and version compared")  # fmt: skip
    yield from _of_api(visit)


# --- who answers there ---------------------------------------------------------------------------


def _membership(visit: Visit, cluster: str) -> Finding:
    heard, there = visit.heard, visit.api.status.get("cluster")
    if heard.name is not None:
        return ok("cluster", visit.about, f"it is {heard.name}, of cluster {cluster}")
    if there == cluster:
        why = "leaves" if visit.api.status.get("leaving") else "does not take anybody in"
        return warning(
            "cluster", visit.about, f"it is of cluster {cluster}, but {why}", "look at its log"
        )
    theirs = f"cluster {there}" if isinstance(there, str) else "another one"
    return failed(
        "cluster",
        visit.about,
        f"it answers, but not to cluster {cluster}: it is of {theirs}",
        "give both the same --cluster; or, where it is rightly of another, mend --join",
    )


def _unfit(visit: Visit, secrets: Sequence[str]) -> Finding:
    """It cannot read what was asked, nor can its answer be read."""
    heard, fails = visit.heard, partial(failed, "secret", visit.about)
    if not secrets:
        return fails(
            f"it seals with the secret {heard.seals}, and here is none: neither reads the other",
            "give this command its --keyring; and nodes that are to be one cluster the same one",
        )
    ours = ", ".join(secrets)
    if not heard.seals:
        return fails(
            f"it has no secret, and here is {ours}: neither reads the other",
            "give that node the same --keyring; --sealing accept lets a cluster move there",
        )
    return fails(
        f"it seals with the secret {heard.seals}, which is none of those here ({ours})",
        "give both the same --keyring: gossipd keys list shows what a node has",
    )


def judge_names(visits: Sequence[Visit], own: Row) -> Iterator[Finding]:
    """Whether two processes call themselves the same."""
    holders: dict[str, dict[int, str]] = {}
    if own.get("generation"):
        holders[str(own.get("name"))] = {int(own["generation"]): str(own.get("address"))}
    for visit in visits:
        if visit.heard.name is not None:
            yield from _taken(visit, own)
            lives = holders.setdefault(visit.heard.name, {})
            lives.setdefault(visit.heard.generation, str(visit.address))
    for name, lives in holders.items():
        if len(lives) > 1:
            places = " and ".join(lives.values())
            yield failed(
                "name",
                name,
                f"two nodes have this name, at {places}: one of them will be told to end",
                "give one of them another --name (or another host name), and start it again",
            )


def _taken(visit: Visit, own: Row) -> Iterator[Finding]:
    """Where no node answers here: whether another host's has the name that it would have."""
    name, is_elsewhere = visit.heard.name, visit.own_host != visit.address.host
    if name is not None and name == own.get("name") and is_elsewhere and not own.get("generation"):
        yield failed(
            "name",
            name,
            f"the node at {visit.address} has the name that one of this host would have: that one "
            "is refused and ends",
            "give one of them another --name (or another host name)",
        )


# --- what gets through ---------------------------------------------------------------------------


def _sizes(visit: Visit, size: int) -> Finding:
    heard, about = visit.heard, visit.about
    whole = [each for each, carried in heard.whole.items() if carried]
    if max(whole, default=0) >= size:
        return ok("size", about, f"datagrams of up to {max(whole):,} bytes get through both ways")
    carries = f", since the path carries packets of {heard.path_mtu:,}" if heard.path_mtu else ""
    best = max([each for each in whole if each <= size], default=0)
    if heard.path_mtu:
        best = max(best, min(size, heard.path_mtu - headers(visit.address.host)))
    parts = [each for each, carried in heard.in_parts.items() if carried]
    if max(parts, default=0) >= size:
        return warning(
            "size",
            about,
            f"datagrams of {size:,} bytes get through in parts only{carries}",
            f"{_set(best)}mend the MTU on the way",
        )
    largest = max(whole, default=0)
    small = f"those of {largest:,} get through" if whole else "so do those of 640, the least"
    return failed(
        "size",
        about,
        f"datagrams of {size:,} bytes get lost, {small}{carries}: a small MTU on the way (tunnel, "
        "VPN), and no word of it comes back",
        f"{_set(best)}mend the MTU, and let ICMP through",
    )


def _set(size: int) -> str:
    """Advice, where nodes may be told to send no more than that."""
    return f"set --datagram-size {size} on all nodes, or " if size >= DATAGRAM_MIN else ""


# --- clocks and versions -------------------------------------------------------------------------


def judge_clocks(visits: Sequence[Visit]) -> Iterator[Finding]:
    """Which clocks are wrong, by what most of them show."""
    ahead = {visit.about: visit.heard.clock_ahead for visit in visits if visit.heard.larger}
    if not ahead:
        return
    usual = median([0.0, *ahead.values()]) if len(ahead) > 1 else 0.0
    if len(ahead) > 1 and abs(usual) >= CLOCK_WARNS:
        yield _clock("", -usual, "those of most others")
        return
    for about, by in ahead.items():
        yield _clock(about, by, "this host's")


def _clock(about: str, by: float, other: str) -> Finding:
    side = "ahead of" if by > 0 else "behind"
    if abs(by) < CLOCK_WARNS:
        return ok("clock", about, f"its clock is {1000 * abs(by):.0f} ms {side} {other}")
    whose = "its clock" if about else "the clock of this host"
    text = f"{whose} is {span(abs(by))} {side} {other}"
    advice = "set the clocks by NTP: timedatectl set-ntp true"
    if abs(by) < CLOCK_FAILS:
        return warning("clock", about, text, advice)
    return failed("clock", about, f"{text}: keys that tell their time are refused", advice)


def judge_versions(visits: Sequence[Visit], own: Row) -> Iterator[Finding]:
    """Whether all run what is installed here."""
    here = full_version()
    running = own.get("version")
    if running is not None and running != here:
        text = f"the node here runs version {running}, and {here} is installed"
        yield warning("version", "", text, "restart it: systemctl restart gossipd")
    others = {visit.about: visit.heard.version for visit in visits if visit.heard.version}
    odd = [f"{about}: {other}" for about, other in others.items() if other != here]
    if odd:
        text = f"others than {here} run: {', '.join(odd)}"
        yield warning("version", "", text, "upgrade the nodes one by one, until all are the same")
    elif others:
        yield ok("version", "", f"{here}, on all that were asked")


# --- what another node says of itself ------------------------------------------------------------


def _of_api(visit: Visit) -> Iterator[Finding]:
    api = visit.api
    if not api.status:
        closed = (
            "it is closed to other hosts, as by default" if "refused" in api.error else api.error
        )
        yield ok("api", visit.about, f"not asked: {closed}")
        return
    for text, advice in alarms(api.status):
        look = f"look at its log, and {RUN_THERE}"
        yield warning("alarm", visit.about, text, f"there: {advice}" if advice else look)


def alarms(status: Row) -> Iterator[tuple[str, str]]:
    """What a node says to be wrong, and what to do; nothing of that where it is an older one."""
    for text, advice in zip_longest(_texts(status, "alarms"), _texts(status, "advice")):
        if text is not None:
            yield text, advice or ""


def _texts(row: Row, name: str) -> list[str]:
    value = row.get(name)
    return [str(each) for each in value] if isinstance(value, list) else []
