"""`GET /metrics`: the table of what there is to be scraped, and how each number is read.

Nothing is kept here and nothing is counted for it but plain numbers (`core.tally`, `numbers`, and
what each part counts of itself): they are read when somebody asks. A row here is a row in
gossipd/sideport/METRICS.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sized
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from gossipd.core import Drop, Node, Refused, Why
from gossipd.daemon import exposition, reports
from gossipd.daemon.diskwatch import DiskWatch
from gossipd.daemon.dropping import Drops
from gossipd.daemon.exposition import Family, Value
from gossipd.daemon.inbox import Inbox
from gossipd.daemon.numbers import Numbers
from gossipd.daemon.udp import Udp
from gossipd.daemon.waits import Waits
from gossipd.sideport.port import SidePort
from gossipd.sideport.streaming import Pieces
from gossipd.sideport.tls import Outcome, Tls
from gossipd.version import REPLACED, full_version

COUNTERS_MAX = 1000
"""Counters whose values are told in one answer."""


@dataclass(frozen=True)
class Sources:
    """The parts of one node that know its numbers."""

    node: Node
    numbers: Numbers
    udp: Udp
    inbox: Inbox
    watch: DiskWatch
    waits: Waits
    port: SidePort
    drops: Drops
    cluster: str
    not_ready: Callable[[], str | None]
    alarms: Callable[[], Sized]


class Metrics:
    """Answers scrapes of one node."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    async def scrape(self, counters: str | None, accept: str) -> Pieces:
        """All families; with `counters` also the values of the counters that begin so, as soon as
        the node is ready."""
        try:
            await exposition.load()
        except ImportError as error:
            raise Refused(Why.UNAVAILABLE, f"{error}; {REPLACED}") from error
        return exposition.document(self._families(counters), accept)

    def _families(self, counters: str | None) -> Iterator[Family]:
        for row in ROWS:
            yield Family(*row[:4], row.read(self._sources))
        node = self._sources.node
        if counters is not None and node.ready:
            found = dict(islice(reports.counters(node, counters, ""), COUNTERS_MAX + 1))
            cut = len(found) > COUNTERS_MAX
            if cut:
                found.popitem()
            yield Family(*VALUES, found)
            yield Family(*VALUES_CUT, cut)


class Row(NamedTuple):
    """A metric; the first four are those of `Family`."""

    name: str
    type: str
    help: str
    labels: tuple[str, ...]
    read: Callable[[Sources], Value]


VALUES = (
    "gossipd_counters_value", "gauge", "The count of a counter.", ("counter",),
)  # fmt: skip
VALUES_CUT = (
    "gossipd_counters_value_cut", "gauge",
    "1 where more counters begin with what was asked for than are told.", (),
)  # fmt: skip


def _members(s: Sources) -> Value:
    return {state.name.lower(): s.node.state_counts[state] for state in reports.SHOWN}


def _received(of: str) -> Callable[[Sources], Value]:
    return lambda s: {
        _kind(kind): getattr(each, of) for kind, each in s.node.tally.received.items()
    }


def _sent(of: str) -> Callable[[Sources], Value]:
    return lambda s: {_kind(kind): getattr(each, of) for kind, each in s.node.tally.sent.items()}


def _kind(message: type) -> str:
    """`PingReq` is `ping_req`."""
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in message.__name__)[1:]


def _drops(s: Sources) -> Value:
    counts = s.drops.counts
    return {drop.name.lower(): counts[drop] for drop in Drop}


def _queue_lengths(s: Sources) -> Value:
    return {
        "inbox": s.inbox.waiting_count,
        "news": s.node.news_count,
        "increments": s.node.uncommitted_count,
        "disk": s.watch.waiting_count,
        "waits": s.waits.count,
    }


def _queue_ages(s: Sources) -> Value:
    now = time.monotonic()
    return {
        "inbox": s.inbox.oldest_age(now),
        "news": s.node.news_age(now),
        "increments": s.numbers.commit_age(now),
        "disk": s.watch.oldest_age,
        "waits": s.waits.oldest_age(now),
    }


def _pending(s: Sources) -> Value:
    return {
        "newcomers": s.node.newcomer_count,
        "questions": s.node.question_count,
        "timers": s.node.timer_count,
    }


def _entries(s: Sources) -> Value:
    log = s.node.log
    return {
        "counters": log.counter_count,
        "streams": log.stream_count,
        "registers": log.register_count,
        "keys": len(log.keys),
        "doubles": len(log.doubles),
    }


def _handshakes(tls: Tls | None) -> Value:
    return {each.value: 0 if tls is None else tls.handshakes[each] for each in Outcome}


def _limits(s: Sources) -> Value:
    log = s.node.log
    return {
        "streams": log.streams_max,
        "registers": log.registers_max,
        "keys": s.node.key_limit,
        "doubles": log.doubles_max,
    }


def _info(s: Sources) -> Value:
    return {(s.node.own.name, s.cluster, full_version()): 1}


ROWS = (
    Row("gossipd_info", "gauge", "1; who this node is.", ("name", "cluster", "version"), _info),
    Row(
        "gossipd_ready", "gauge", "1 while `/ready` says 200.", (),
        lambda s: s.not_ready() is None,
    ),
    Row(
        "gossipd_alarms", "gauge", "What is wrong at the moment, as `alarms` of `/status`.", (),
        lambda s: len(s.alarms()),
    ),

    Row("gossipd_members", "gauge", "Members by state, this node included.", ("state",), _members),
    Row(
        "gossipd_agreeing_members", "gauge",
        "Live peers that last showed the log's present fingerprint.", (),
        lambda s: s.node.agreeing,
    ),
    Row(
        "gossipd_probes_total", "counter",
        "Probes by outcome: `answered`, `relayed` (others reach the member), `silent`, `void` "
        "(this node stood still).", ("outcome",),
        lambda s: s.node.tally.probes,
    ),
    Row(
        "gossipd_round_trip_seconds", "histogram", "From a ping of a probe to its answer.", (),
        lambda s: s.node.tally.round_trips,
    ),
    Row(
        "gossipd_suspicions_total", "counter",
        "Suspicions by cause: `probe` of this node failed, `told` by others, `confirmed` by this "
        "node after others.", ("cause",),
        lambda s: s.node.tally.suspicions,
    ),
    Row(
        "gossipd_refutations_total", "counter",
        "Suspicions that were refuted: by this node, of itself (`self`); by others, as held here "
        "(`others`).", ("by",),
        lambda s: s.node.tally.refutations,
    ),
    Row(
        "gossipd_false_failures_total", "counter",
        "Members that were held as failed and came back without a restart.", (),
        lambda s: s.node.tally.false_failures,
    ),
    Row(
        "gossipd_health_score", "gauge",
        "Local health, 0 is good: the timeouts of this node are multiplied by it plus 1.", (),
        lambda s: s.node.health_score,
    ),
    Row(
        "gossipd_loop_lag_seconds", "histogram", "How late timers of the event loop were.", (),
        lambda s: s.numbers.lag,
    ),

    Row(
        "gossipd_received_datagrams_total", "counter",
        "Datagrams that came and could be read, by kind of message.", ("kind",),
        _received("count"),
    ),
    Row(
        "gossipd_received_bytes_total", "counter", "Their bytes of UDP payload.", ("kind",),
        _received("size"),
    ),
    Row(
        "gossipd_sent_datagrams_total", "counter",
        "Datagrams that were to be sent, by kind of message.", ("kind",),
        _sent("count"),
    ),
    Row(
        "gossipd_sent_bytes_total", "counter", "Their bytes of UDP payload.", ("kind",),
        _sent("size"),
    ),
    Row(
        "gossipd_drops_total", "counter",
        "Datagrams, or parts of one, that were not used, by reason.", ("reason",),
        _drops,
    ),
    Row(
        "gossipd_kernel_refusals_total", "counter",
        "Datagrams that were not sent, by the name of the kernel's error; `EPERM` also by "
        "`--allow`.", ("error",),
        lambda s: s.udp.refusals,
    ),
    Row(
        "gossipd_receive_buffer_bytes", "gauge", "What the kernel lets wait for this node.", (),
        lambda s: s.udp.receive_buffer,
    ),
    Row(
        "gossipd_receive_buffer_used_bytes", "gauge",
        "What waits in it, with what the kernel needs around that.", (),
        lambda s: s.udp.memory.used,
    ),
    Row(
        "gossipd_receive_buffer_overflows_total", "counter",
        "Datagrams that found no room in it.", (),
        lambda s: s.udp.memory.overflows,
    ),
    Row(
        "gossipd_queue_length", "gauge",
        "What waits: `inbox` datagrams, `news` to be told, `increments` to be committed, calls of "
        "the `disk`, clients in `waits` for others (`ack`, `after`).", ("queue",),
        _queue_lengths,
    ),
    Row(
        "gossipd_queue_age_seconds", "gauge",
        "How long the oldest of it has waited; of `news`, since when there is more than can be "
        "told.", ("queue",),
        _queue_ages,
    ),
    Row(
        "gossipd_pending", "gauge",
        "What the protocol has begun: `newcomers`, members that are to prove where they are; "
        "`questions` that may still be answered; `timers` that are set.", ("kind",),
        _pending,
    ),

    Row("gossipd_log_entries", "gauge", "What the log holds, by kind.", ("kind",), _entries),
    Row("gossipd_log_limit", "gauge", "What it may hold.", ("kind",), _limits),
    Row(
        "gossipd_increments_total", "counter",
        "Changes of counts: increments of this node's clients (`local`), and what came from other "
        "nodes (`remote`, where several increments may come as one).", ("origin",),
        lambda s: {"local": s.numbers.local, "remote": s.numbers.remote},
    ),
    Row(
        "gossipd_doubles", "gauge",
        "Retries that two nodes counted, and that were left out of the count.", (),
        lambda s: s.node.log.doubles.left_out,
    ),
    Row(
        "gossipd_repairs_total", "counter",
        "Repairs that were begun, by what differed: the `log` or the table of `members`.",
        ("kind",),
        lambda s: s.node.tally.repairs,
    ),
    Row(
        "gossipd_commit_seconds", "histogram", "From the wish to commit to the disk's answer.", (),
        lambda s: s.numbers.commit_seconds,
    ),
    Row(
        "gossipd_commit_increments", "histogram", "Increments and totals of one commit.", (),
        lambda s: s.numbers.commit_sizes,
    ),
    Row(
        "gossipd_disk_errors_total", "counter",
        "What the disk did not do: `full` (or read-only), `broken`, `mistake` (of gossipd), "
        "`hangs`.", ("kind",),
        lambda s: s.numbers.disk_errors,
    ),

    Row(
        "gossipd_requests_total", "counter",
        "Requests answered, by dialect (`http`, `text`, `resp`), call, and status as in HTTP: "
        "401 without a token or with none that is known, 403 where it is not good for that.",
        ("dialect", "call", "status"),
        lambda s: dict(s.port.answered),
    ),
    Row(
        "gossipd_connections", "gauge", "Connections of clients.", (),
        lambda s: s.port.connection_count,
    ),
    Row(
        "gossipd_connections_limit", "gauge", "Connections there may be.", (),
        lambda s: s.port.limits.connections_max,
    ),
    Row(
        "gossipd_watchers", "gauge", "Clients that follow what changes (`/events`, `watch`).", (),
        lambda s: len(s.port.watchers),
    ),
    Row(
        "gossipd_watchers_limit", "gauge", "Such clients there may be.", (),
        lambda s: s.port.limits.watchers_max,
    ),
    Row(
        "gossipd_watchers_refused_total", "counter",
        "Such clients refused, as there were too many, of all or of one address.", (),
        lambda s: s.port.watchers.refused_count,
    ),
    Row(
        "gossipd_watchers_dropped_total", "counter",
        "Such clients that were cut off, as they read too slowly.", (),
        lambda s: s.port.watchers.dropped_count,
    ),
    Row(
        "gossipd_connections_accepted_total", "counter", "Connections that came.", (),
        lambda s: s.port.accepted_count,
    ),
    Row(
        "gossipd_tls_handshakes_total", "counter",
        "Handshakes of TLS by what became of them: `done`, `failed`, `plain` (there was none), "
        "`crowded` (too many at a time), `abandoned`.", ("outcome",),
        lambda s: _handshakes(s.port.tls),
    ),
    Row(
        "gossipd_tls_certificate_expires_seconds", "gauge",
        "When the API's certificate expires, in seconds since 1970; 0 without TLS.", (),
        lambda s: 0.0 if s.port.tls is None else s.port.tls.ends_at,
    ),
    Row(
        "gossipd_connections_refused_total", "counter",
        "Connections refused, as there were too many.", (),
        lambda s: s.port.refused_count,
    ),
)  # fmt: skip
"""All of them but the values of counters, and `process_…`, which the library adds."""
