"""One examination: the node here, whom to ask, all of them at once, by one deadline."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any

from gossipd.client import AskingError, Client, RefusedError, UntrustedError
from gossipd.client.connecting import Deadline, is_here, resolve
from gossipd.client.credentials import NONE, Credentials
from gossipd.config.endpoint import GOSSIP_PORT, Endpoint, Https
from gossipd.config.unix import ApiAddress
from gossipd.core.settings import DATAGRAM_SIZE_FLOOR, DATAGRAM_SIZE_MAX
from gossipd.doctor import judging, judging_host
from gossipd.doctor.findings import Finding, Result, failed, ok, warning
from gossipd.doctor.judging_host import Local
from gossipd.doctor.looking import DiskTrial, kernel_drops, receive_buffer_max
from gossipd.doctor.visiting import Row, Visit, answered, hangs, row_in, visit
from gossipd.sealing.keyring import Keyring, KeyringError, find, read

VISITS_MAX = 32
"""Addresses that are asked in one examination."""

ADDRESSES_MAX = 4
"""Of one name."""

LOCAL_PART = 0.3
"""Part of the time in which the node here is to answer a question."""

EXPLAIN_TIMEOUT = 1.0
"""Seconds for a question about a member to the node here, which has answered others before."""

MEMBERS_MAX = 1000
"""Members of the node that are looked through."""


_NOT_KNOWN = {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}
"""How a node refuses what its version does not know."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user wants to know, and what is known where no node runs here."""

    api: ApiAddress
    targets: tuple[Endpoint, ...]
    """Whom to ask; empty: the members and seeds of the node here."""

    cluster: str
    name: str
    """What a node here is called; empty: after its host and port."""

    seeds: tuple[Endpoint, ...]
    data_dir: str
    timeout: float
    credentials: Credentials = NONE
    keyring: str | None = None
    """The file of the secrets of the node here; None: the variable's, or the credential's."""


def examine(asked: Asked) -> list[Finding]:
    """All that is found, in an order in which causes come before what follows from them."""
    deadline = Deadline(asked.timeout)
    local = _local(asked.api, asked.credentials, deadline)
    directory = str(local.status.get("data_dir") or asked.data_dir)
    trial = DiskTrial(directory) if directory and local.here else None
    cluster = str(local.status.get("cluster") or asked.cluster)
    name = str(local.status.get("name") or asked.name)
    name = name or f"{socket.gethostname()}:{GOSSIP_PORT}"
    wanted, left_out = _wanted(asked, local)
    pool, unmet = ThreadPoolExecutor(2 * VISITS_MAX), list[Finding]()
    keyring = _keyring(asked.keyring, local, unmet)
    size = int(row_in(local.status.get("udp")).get("datagram_size") or judging.DATAGRAM_USUAL)
    tls = asked.credentials.of_tls if isinstance(asked.api, Https) else None
    visit_one = partial(
        visit,
        cluster=cluster,
        own_name=name,
        sizes=_sizes(size),
        timeout=asked.timeout,
        keyring=keyring,
        tls=tls,
    )
    visits = _visit_all(pool, wanted, local, visit_one, deadline, unmet)
    pool.shutdown(wait=False, cancel_futures=True)  # who is late is left behind
    found = list(judging_host.judge_node(local, needed=not asked.targets))
    if local.here and not local.error:
        found += _of_host(local)
    if trial is not None:
        found.append(judging_host.judge_disk(directory, trial.end(min(2.0, _left(deadline)))))
    found += unmet
    secrets = keyring.fingerprints if keyring else []
    found += _of_others(visits, local, cluster, size, name, secrets)
    if left_out:
        found.append(
            ok("udp", "", f"{left_out} further addresses were not asked; name those that matter")
        )
    return found


def is_well(found: Sequence[Finding]) -> bool:
    return all(finding.result is not Result.FAILED for finding in found)


def _of_host(local: Local) -> Iterator[Finding]:
    udp = row_in(local.status.get("udp"))
    drops = kernel_drops(Endpoint.parse(str(local.status.get("address"))))
    yield judging_host.judge_buffer(udp, receive_buffer_max(), drops)
    yield from judging_host.judge_files(row_in(local.status.get("files")))


def _of_others(
    visits: Sequence[Visit],
    local: Local,
    cluster: str,
    size: int,
    name: str,
    secrets: Sequence[str],
) -> Iterator[Finding]:
    if not local.error:
        yield from judging_host.judge_members(local.members)
        yield from judging_host.judge_address(local, visits)
    own = local.own or {"name": name}
    for each in visits:
        yield from judging.judge(each, cluster, size, secrets)
    yield from judging.judge_names(visits, own)
    yield from judging.judge_clocks(visits)
    yield from judging.judge_versions(visits, own)


# --- the node here -------------------------------------------------------------------------------


def _keyring(path: str | None, local: Local, found: list[Finding]) -> Keyring | None:
    """The secrets to ask with: where none is named, of the file that the node here has them of. A
    node of another host must not choose what is opened on this one."""
    sealing = row_in(local.status.get("sealing"))
    origin = str(sealing.get("from") or "")
    try:
        keyring = find(path)
        if keyring is None and origin.startswith("/"):
            if not local.here:
                raise KeyringError(f"that node runs on another host, and so {origin} is there")
            keyring = read(origin)
    except KeyringError as error:
        who = "as a user who can read it, such as root" if local.here else "on that host"
        advice = f"run this {who}; or name a keyring with --keyring"
        found.append(warning("secret", str(local.api), f"asked without a secret: {error}", advice))
        return None
    if keyring is not None:
        text = f"asked with {', '.join(keyring.fingerprints)}, of {keyring.origin}"
        found.append(ok("secret", str(local.api), text))
    return keyring


def _local(api: ApiAddress, credentials: Credentials, deadline: Deadline) -> Local:
    local = Local(api, credentials)

    most = LOCAL_PART * deadline.seconds

    def ask(path: str, **query: object) -> Any:
        within = max(0.1, min(most, _left(deadline)))
        return answered(api, path, within, credentials, **query)

    try:
        asked = Client(api, most, credentials).get("/status")
        local.status = asked.fields(name=str, address=str, cluster=str)
        local.members = _rows(ask("/members", limit=MEMBERS_MAX))
        local.seeds = _rows(ask("/join"))
        ask("/ready")
    except RefusedError as error:
        if local.status and error.status in _NOT_KNOWN:
            local.error, local.is_other = error.reason, True
        elif local.status:
            local.not_ready = error.reason
        else:
            local.error = error.reason
            local.is_denied = error.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
            local.is_misread = error.status is not None or isinstance(error, UntrustedError)
    except AskingError as error:
        local.error, local.hangs = error.reason, hangs(error)
    if local.status:
        with suppress(OSError, UnicodeError):
            local.here = is_here(api, deadline)
    return local


# --- whom to ask ---------------------------------------------------------------------------------


def _wanted(asked: Asked, local: Local) -> tuple[list[tuple[str, Endpoint]], int]:
    """Names and places of those that are to be asked, and how many more there would be."""
    wanted: dict[Endpoint, str] = {endpoint: str(endpoint) for endpoint in asked.targets}
    if not asked.targets:
        wanted = {endpoint: str(endpoint) for endpoint in asked.seeds}
        rows = [row for row in local.seeds if isinstance(row.get("seed"), str)]
        wanted |= {Endpoint.parse(row["seed"]): f"{row['seed']}" for row in rows}
        order = {"suspect": 0, "failed": 1, "alive": 2}
        others = [
            row for row in local.members if not row.get("self") and row.get("state") in order
        ]
        for row in sorted(others, key=lambda row: order[row["state"]]):
            wanted[Endpoint.parse(str(row["address"]))] = str(row["name"])
    listed = [(about, endpoint) for endpoint, about in wanted.items()]
    return listed[:VISITS_MAX], max(0, len(listed) - VISITS_MAX)


def _visit_all(
    pool: ThreadPoolExecutor,
    wanted: Sequence[tuple[str, Endpoint]],
    local: Local,
    visit_one: Callable[[str, Endpoint], Visit],
    deadline: Deadline,
    found: list[Finding],
) -> list[Visit]:
    """Whoever answers in time, each once however many names it has; not the node here itself."""
    looked_up = {about: pool.submit(_look_up, endpoint, deadline) for about, endpoint in wanted}
    own = Endpoint.parse(str(local.status.get("address"))) if local.status else None
    under_way: dict[Endpoint, tuple[str, Future[Visit]]] = {}
    for about, lookup in looked_up.items():
        try:
            addresses = lookup.result()
        except OSError as error:
            found.append(_unresolved(about, error))
            continue
        found += _named(about, addresses, own)
        for address in addresses:
            if address != own and address not in under_way and len(under_way) < VISITS_MAX:
                called = str(local.member_at(address).get("name") or about)
                under_way[address] = called, pool.submit(visit_one, called, address)
    wait([visiting for _, visiting in under_way.values()], _left(deadline))
    visits = []
    for address, (about, visiting) in under_way.items():
        if visiting.done():
            try:
                visits.append(visiting.result())
            except OSError as error:
                text = f"{address} cannot be asked: {error.strerror or error}"
                found.append(failed("udp", about, text, "mend the address"))
        else:
            text = f"{address} could not be asked in time"
            found.append(warning("udp", about, text, "give it a longer --timeout"))
    for made in visits:
        member = local.member_at(made.address)
        if member and not (made.heard.is_there and member.get("state") == "alive"):
            made.of_it = _explained(local, member)  # now, as it may have spoken meanwhile
    return visits


def _sizes(size: int) -> list[int]:
    """The datagrams whose way is tried: those that nodes send, the smallest and the largest that
    they may."""
    return sorted({DATAGRAM_SIZE_FLOOR, 900, judging.DATAGRAM_USUAL, size, DATAGRAM_SIZE_MAX})


def _look_up(endpoint: Endpoint, deadline: Deadline) -> list[Endpoint]:
    """Its addresses. Raises `OSError`."""
    try:
        found = resolve(endpoint.host, endpoint.port, deadline)
    except UnicodeError as error:
        raise OSError(0, "not a name that can exist") from error
    places = dict.fromkeys(Endpoint(str(place[0]), endpoint.port) for *_, place in found)
    return list(places)[:ADDRESSES_MAX]


def _unresolved(about: str, error: OSError) -> Finding:
    reason = (
        "no resolver answers" if isinstance(error, TimeoutError) else error.strerror or str(error)
    )
    return failed(
        "names",
        about,
        f"the name does not resolve: {reason}",
        "mend the name, or /etc/hosts, or DNS",
    )


def _named(about: str, addresses: Sequence[Endpoint], own: Endpoint | None) -> Iterator[Finding]:
    """What a name stands for, where that says something."""
    if own in addresses:
        yield ok("names", about, "that is the node here itself")
    elif str(addresses[0]) not in about and len(about.split(":")) == 2:
        yield ok("names", about, f"resolves to {', '.join(map(str, addresses))}")


def _explained(local: Local, member: Row) -> Row:
    """What the node here tells of a member; an older one tells less."""
    with suppress(AskingError):
        why = partial(answered, local.api, "/explain", EXPLAIN_TIMEOUT, local.credentials)
        return row_in(why(name=member.get("name")))
    return member


def _left(deadline: Deadline) -> float:
    with suppress(TimeoutError):
        return deadline.left()
    return 0.0


def _rows(value: Any) -> list[Row]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []
