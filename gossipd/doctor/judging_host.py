"""What follows from what was seen of this host, and from what the node here tells of itself."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from gossipd.client.credentials import NONE, Credentials
from gossipd.config.endpoint import Endpoint, is_loopback
from gossipd.config.unix import ApiAddress
from gossipd.daemon.udp import RECEIVE_BUFFER, is_local
from gossipd.doctor.findings import Finding, failed, ok, warning
from gossipd.doctor.judging import alarms
from gossipd.doctor.judging_way import HANGS
from gossipd.doctor.looking import Disk
from gossipd.doctor.visiting import Row, Visit, row_in
from gossipd.version import full_version

BUFFER_FAILS, BUFFER_WARNS = 64 * 1024, 200 * 1024
"""Bytes: room for some hundred datagrams only; and somewhat less than kernels grant by default."""

FILES_FAILS, FILES_WARNS = 256, 1024
"""Descriptors that a node may have; connections take one each."""

LISTED_MAX = 10
"""Members in a state that are told of one by one."""

FREE_FAILS, FREE_WARNS = 1024 * 1024, 64 * 1024 * 1024
"""Bytes that are free. Below the first one some commits fail already, and others do not."""

SYNC_WARNS = 0.1
"""Seconds; each answered increment waits for a sync."""

_SECTION = 'the README says more: "When something is wrong"'

_OF_OTHER_VERSIONS = "version", "malformed", "unknown_kind"
"""Why a node drops what another version of gossipd says."""

_REFUSALS = {
    "EPERM": "a filter of this host keeps datagrams in: let UDP out",
    "EMSGSIZE": "a network interface of this host has a small MTU: lower --datagram-size",
    "ENETUNREACH": "this host had no route to some member: look at its network",
    "EHOSTUNREACH": "this host had no way to some member: look at its network",
}


_MISREAD = (
    "name its API with --api, https://HOST:PORT and --cacert where it speaks TLS; "
    "replace a certificate that has expired"
)


@dataclass(slots=True)
class Local:
    """The node here, as it tells of itself."""

    api: ApiAddress
    credentials: Credentials = NONE
    """What is shown there."""

    is_denied: bool = False
    """Whether these are not enough."""

    is_misread: bool = False
    """Whether something is there that is asked in the wrong way, or not to be trusted."""

    error: str = ""
    """Why it could not be asked; empty: it could."""

    is_other: bool = False
    """Whether it is another version, which knows not all that it is asked."""

    hangs: bool = False
    """Whether it takes connections, and says nothing."""

    status: Row = field(default_factory=dict)
    members: list[Row] = field(default_factory=list)
    seeds: list[Row] = field(default_factory=list)
    not_ready: str = ""
    here: bool = True
    """Whether it runs on this very host."""

    def member_at(self, address: Endpoint) -> Row:
        """Whom it holds at an address; empty: nobody."""
        at = [each for each in self.members if each.get("address") == str(address)]
        return next((each for each in at if not each.get("self")), {})

    @property
    def own(self) -> Row:
        """Its own row among the members, with its version."""
        for member in self.members:
            if member.get("self"):
                return {**member, "version": self.status.get("version")}
        return {}


def judge_node(local: Local, needed: bool) -> Iterator[Finding]:
    """Whether it runs, and what it knows to be wrong. `needed`: nothing else was asked about."""
    api = str(local.api)
    if local.error:
        make = failed if needed else warning
        advice = "start it: gossipd run, or systemctl start gossipd; or name its API with --api"
        text = f"no node of this host answers: {local.error}"
        if local.is_denied:
            advice = "name the file of a token that may read, with --token-file"
            yield failed("node", api, f"a node answers, and tells nothing: {local.error}", advice)
        elif local.is_other:
            text = f"the node here runs version {local.status.get('version')}, and this is "
            text += f"{full_version()}, which it does not understand: {local.error}"
            advice = "restart it, if this is what is installed for it; or ask with its own gossipd"
            yield make("version", api, text, advice)
        elif local.is_misread:
            yield make("node", api, f"the node here cannot be asked: {local.error}", _MISREAD)
        elif local.hangs:
            yield failed("node", api, f"{text}: it hangs, or is stopped", HANGS)
        else:
            yield make("node", api, text, advice)
        return
    name, address = local.status.get("name"), local.status.get("address")
    if local.not_ready:
        yield warning("node", api, f"{name} is not ready: {local.not_ready}", _SECTION)
    else:
        yield ok("node", api, f"{name} at {address} is ready")
    for text, advice in alarms(local.status):
        yield warning("alarm", api, text, advice or _SECTION)
    yield from _dropped(row_in(local.status.get("dropped")), api)
    yield from _refused(row_in(row_in(local.status.get("udp")).get("refused")), api)


def _dropped(dropped: Row, about: str) -> Iterator[Finding]:
    if foreign := dropped.get("foreign"):
        text = f"{foreign} datagrams of another cluster came in"
        advice = "its log names the sender: another --cluster there, or a seed that is not yours"
        yield warning("cluster", about, text, advice)
    for reason in _OF_OTHER_VERSIONS:
        if other := dropped.get(reason):
            text = f"{other} datagrams came in that it does not understand ({reason})"
            advice = "its log names the sender: it may be another version of gossipd; upgrade it"
            yield warning("version", about, text, advice)


def _refused(refused: Row, about: str) -> Iterator[Finding]:
    for code, count in refused.items():
        advice = _REFUSALS.get(code, "look at this host's network and filters")
        yield warning(
            "sending", about, f"the kernel has refused {count} datagrams: {code}", advice
        )


# --- buffers, files, disk ------------------------------------------------------------------------


def judge_buffer(udp: Row, granted_max: int | None, drops: int) -> Finding:
    """Whether datagrams have room to wait; `drops`: how often they had none."""
    granted = int(udp.get("receive_buffer") or 0)
    limit = "" if granted_max is None else f" (net.core.rmem_max is {granted_max:,})"
    text = f"datagrams have {granted:,} bytes to wait in, {RECEIVE_BUFFER:,} were asked for{limit}"
    advice = (
        f"sysctl -w net.core.rmem_max={RECEIVE_BUFFER}, for good in /etc/sysctl.d, and restart "
        "the node"
    )
    if granted < BUFFER_FAILS:
        lost = f"; {drops:,} were lost" if drops else ""
        return failed("buffer", "", f"{text}: bursts get lost{lost}", advice)
    if drops and granted < RECEIVE_BUFFER:
        return warning("buffer", "", f"{text}; {drops:,} datagrams found no room", advice)
    if drops:
        busy = "the host or the node is overloaded: look for what takes its CPU"
        return warning("buffer", "", f"{drops:,} datagrams found no room", busy)
    if granted < BUFFER_WARNS:
        return warning("buffer", "", text, advice)
    return ok("buffer", "", text)


def judge_files(files: Row) -> Iterator[Finding]:
    """How many descriptors the node may have."""
    limit, used = files.get("limit"), files.get("open")
    if not isinstance(limit, int) or not isinstance(used, int):
        return
    text = f"{used:,} of at most {limit:,} files are open"
    advice = "raise it: LimitNOFILE= in the unit, or ulimit -n"
    if limit < FILES_FAILS or used > 0.95 * limit:
        yield failed("files", "", f"{text}: connections will be refused", advice)
    elif limit < FILES_WARNS or used > 0.8 * limit:
        yield warning("files", "", text, advice)
    else:
        yield ok("files", "", text)


def judge_disk(directory: str, disk: Disk | None) -> Finding:
    """Whether the state can be written, and how fast."""
    if disk is None:
        text = "the disk does not answer: it hangs"
        return failed(
            "disk", directory, text, "look at the kernel's log (dmesg) and at the device"
        )
    no_room = disk.size and disk.free < FREE_FAILS and disk.code != errno.EROFS
    if no_room or disk.code in (errno.ENOSPC, errno.EDQUOT):
        text = "the disk is full: increments are refused until there is room"
        return failed("disk", directory, text, "make room; the node goes on by itself")
    match disk.code:
        case 0:
            return _written(directory, disk)
        case errno.EROFS:
            advice = "the file system is mounted read-only: look at the kernel's log (dmesg)"
            return failed("disk", directory, "nothing can be written", advice)
        case errno.EACCES | errno.EPERM:
            text = "not tried, as this user may not write there"
            return ok("disk", directory, text)
        case errno.EOPNOTSUPP | errno.EISDIR:
            return ok(
                "disk", directory, f"{disk.free // 2**20:,} MiB are free; writing was not tried"
            )
        case _:
            text = f"nothing can be written: {disk.error.lower()}"
            return failed(
                "disk", directory, text, "mend the directory, or name another --data-dir"
            )


def _written(directory: str, disk: Disk) -> Finding:
    room = f"{disk.free // 2**20:,} MiB are free"
    text = f"a write is on the disk after {1000 * disk.sync:.1f} ms, {room}"
    if disk.free < FREE_WARNS:
        return warning("disk", directory, text, "make room: a full disk stops all counting")
    if disk.sync > SYNC_WARNS:
        slow = "each increment waits for that: use a faster disk, or look for who keeps it busy"
        return warning("disk", directory, text, slow)
    return ok("disk", directory, text)


# --- the own address -----------------------------------------------------------------------------


def judge_address(local: Local, visits: Sequence[Visit]) -> Iterator[Finding]:
    """Whether others can reach this node where it says to be."""
    own = Endpoint.parse(str(local.status.get("address")))
    outside = [visit for visit in visits if not is_loopback(visit.address.host)]
    seen = sorted({visit.heard.seen for visit in outside if visit.heard.seen})
    about = str(local.status.get("name"))
    if is_loopback(own.host):
        if outside:
            facing = next((visit.own_host for visit in outside if visit.own_host), "ADDRESS")
            text = f"this node advertises {own}, which other hosts cannot reach"
            better = Endpoint(facing, own.port)
            yield failed("address", about, text, f"set --advertise {better}, by which they do")
        return
    elsewhere = [host for host in seen if host != own.host]
    if elsewhere:
        text = f"this node advertises {own}, and others see this host as {', '.join(elsewhere)}"
        advice = "there is a NAT between: let UDP in, and --advertise an address that others reach"
        yield warning("address", about, text, advice)
    elif not is_local((own.host, 0)) and own.host not in seen:
        text = f"this node advertises {own}, which is no address of this host"
        yield warning(
            "address",
            about,
            text,
            "good only behind a NAT that sends UDP on to this host; else mend --advertise",
        )
    else:
        yield ok("address", about, f"it advertises {own}")


def judge_members(members: Sequence[Row]) -> Iterator[Finding]:
    """Who is not alive, and why, and how many are."""
    states = [member.get("state") for member in members]
    yield ok("members", "", f"{states.count('alive')} alive, {states.count('suspect')} suspected, "
             f"{states.count('failed')} failed")  # fmt: skip
    for state in ("suspect", "failed"):
        for member in [each for each in members if each.get("state") == state][:LISTED_MAX]:
            name = str(member.get("name"))
            text = f"{state}: {member.get('why')}"
            yield warning(
                "member",
                name,
                text,
                f"gossipd explain {name}; gossipd forget {name} once it is gone for good",
            )
