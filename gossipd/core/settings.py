"""The settings of the protocol: one frozen value per node, checked once, never changed.

Every number that shapes detection, gossip or repair stands here with its effect, unit and
trade-off, so that a profile is a set of these and nothing else. The shell turns each field into
a flag, a variable and a key of the configuration file; this module knows none of these.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Literal, get_args

Profile = Literal["lan", "wan", "local"]
ProbeOrder = Literal["ring", "shuffled"]

SECONDS_MIN = 0.001
"""The shortest interval or timeout, seconds: below it timers would not advance."""

CONFIRMATIONS_MAX = 7
"""A view holds so many accusers beside the first one."""

PATIENCE_MAX = 10.0

STREAMS_MAX = 1_000_000
REGISTERS_MAX = 5_000_000
"""What a log holds at most unless it is told otherwise."""

KEYS_MAX = 4_000_000
"""Key records in memory from which on a node takes no more of them from others (about 200 bytes
each), however large `key_limit` is."""

SIDES = 4
"""A node takes key records of others up to this x `key_limit`: what so many sides of a partition
may have accepted."""

DOUBLES_MAX = 1_000_000
"""Doubles that a log holds at most unless it is told otherwise."""

DATAGRAM_SIZE_FLOOR = 640
DATAGRAM_SIZE_MAX = 1400
"""What a datagram may measure at most (bytes of UDP payload); a larger one is dropped unread."""


class SettingsError(ValueError):
    """A setting or a combination of settings is impossible; the text names the field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    datagram_size: int = 1200
    """Largest UDP payload that this node sends, bytes (640 to 1,400). Larger packets carry more,
    smaller ones survive tunnels."""

    probe_interval: float = 1.0
    """Seconds between two probes by one node. Detection time is proportional to it; so is the
    inverse of the idle traffic (about 2 packets per interval and node)."""

    probe_order: ProbeOrder = "ring"
    """Whom each probe goes to. `ring`: all members count rounds together, and in each one every
    member is probed by one other, unless that one still waits for somebody silent. `shuffled`: at
    random as in SWIM, where about a third of the members is not probed in a round, and one in
    fifty not in four."""

    probe_timeout: float = 0.5
    """Seconds until relays are asked, before any round trip was measured. At most half of
    `probe_interval`; with samples it becomes `mean + 4 x deviation` of the round trip."""

    probe_timeout_min: float = 0.1
    """Seconds below which an adapted probe timeout never falls: room for a busy peer."""

    probe_patience: float = 1.5
    """An unanswered probe becomes a suspicion after this x `probe_interval`; SWIM's is 1. More
    makes fewer suspicions of nodes that only stall, and detects later."""

    indirect_probes: int = 3
    """Relays asked when a direct ping is not answered (SWIM's k). More survive more loss."""

    suspicion_mult: float = 0.7
    """Shortest suspicion = this x max(1, log10 N)^`suspicion_growth` x `probe_interval`
    (Lifeguard's alpha): what a fully confirmed suspect is given to refute. A larger one forgives
    longer stalls and detects later by as much."""

    suspicion_growth: float = 0.5
    """How the shortest suspicion grows with the cluster; 1 is Lifeguard's rule, for news that
    takes a gossip interval per step. 0: not at all."""

    suspicion_max_mult: float = 6.0
    """Longest suspicion = this x the shortest (Lifeguard's beta), when nobody confirms."""

    confirmations: int = 3
    """Independent accusers after which a suspicion is as short as it gets (Lifeguard's K)."""

    corroborators: int = 5
    """How many members probe a suspect themselves as soon as they hear of the suspicion; 0
    switches corroboration off. More than `confirmations` make up for those that are stalled, dead
    or the accuser; each costs about ten packets per suspicion."""

    corroboration_delay: float = 0.1
    """Corroborating pings are spread over this many seconds."""

    corroboration_pings: int = 2
    """Unanswered pings, one probe timeout apart, after which a corroborator agrees. More survive
    more loss and take longer. It and the accuser go on to ping until the suspicion ends."""

    health_max: int = 8
    """A node that notices its own slowness stretches its timeouts by at most this factor
    (Lifeguard's S)."""

    stall_after: float = 0.25
    """Seconds by which a timer may be late before this node calls itself stalled and gives those
    whom it waits for the time that it lost."""

    gossip_interval: float = 0.2
    """Seconds between two rounds for news that was sent to every peer once, but not yet often
    enough."""

    gossip_fanout: int = 3
    """Peers that one round of gossip goes to."""

    flush_after: float = 0.01
    """Seconds for which fresh news is collected before it is sent. Smaller is sooner, larger puts
    more news into one packet."""

    retransmit_mult: int = 4
    """Each item of news is sent this x ceil(log10(N + 1)) times by each node that learns it."""

    gossip_rate: int = 90
    """Packets of gossip per second that a node sends at most while its news fits into them.
    Smaller saves packets under load, for each then carries more; larger is sooner."""

    gossip_rate_max: int = 600
    """Packets of gossip per second at most, while there is more news than they hold."""

    pull_interval: float = 1.0
    """Seconds between two repairs that this node starts, at least."""

    pull_timeout: float = 0.4
    """Seconds without an answer until a repair asks again; the third time it asks another peer."""

    contact_interval: float = 2.0
    """Each failed member and each absent address of a seed hears from the cluster about once in so
    many seconds, so that a healed network is noticed. Smaller heals sooner, larger costs less."""

    join_retry_min: float = 0.1
    """Seconds until a lone node first asks an address of a seed again; doubles up to
    `contact_interval`, with jitter, or to `join_retry_max` where that is less."""

    join_retry_max: float = 10.0
    """Seconds between two looks at a seed's name at most, and between two tries of a lone node to
    join."""

    name_check: float = 2.0
    """Seconds that the holder of a name has to answer before a newcomer at another address may
    take the name over. Twice that after it was taken in a node keeps its name against older
    holders; five times that after it was told of a newer one a node gives way to it."""

    ready_after: float = 10.0
    """Seconds without any ready peer after which a node that has seeds calls itself ready, unless
    no seed's name has ever resolved."""

    alone_after: float = 1.5
    """Seconds for which a node that holds nothing and has nobody to join listens whether others
    hold it as a member, as it may have lost its state, before it calls itself ready. A member that
    is not held failed yet is pinged within 1.3 x `probe_interval`. 0: ready at once."""

    leave_timeout: float = 5.0
    """Seconds after which a leave ends, whatever is still missing."""

    remember: float = 72 * 3600.0
    """Seconds for which failed, left and forgotten members are remembered, and failed ones
    contacted; for the first half they are also told to others. A partition longer than that needs
    a seed to heal."""

    key_window: float = 600.0
    """Seconds for which an increment may be retried under its idempotency key, and for which a
    key stays in memory (about 200 bytes). A larger window is kinder to slow clients; the
    sustained rate of keyed increments in the cluster is `key_limit` / `key_window`."""

    key_limit: int = 1_000_000
    """Keys in the window at most; above it keyed increments are refused, none is forgotten."""

    key_retention: float = 6 * 3600.0
    """Seconds for which keys are kept on the disk. Keys that were used on both sides of a
    separation are counted once if it was shorter than that; where a node keeps its state in
    memory only, if it was shorter than `key_window`."""

    doubles_max: int = DOUBLES_MAX
    """Increments that were counted twice, as a retry went to another node at once, and that are
    remembered one by one at most, for `key_retention` and a little longer: 200 to 700 bytes of
    memory each, 100 on the disk.
    From three quarters of it on the oldest are summed up sooner, beyond it all that are older than
    a minute, which is exact while no node is separated from the others."""

    tail_size: int = 1000
    """Recent events kept for reading (`/log`)."""

    streams_max: int = STREAMS_MAX
    """Streams that the log holds at most: one for each life of a process that ever counted.
    Beyond, new ones are refused, never old ones evicted, and this node is not equal to those that
    hold them: raise it on all nodes."""

    registers_max: int = REGISTERS_MAX
    """Registers that the log holds at most: one for each counter that a stream touched, about 0.2
    to 0.8 KB of memory. Beyond, as with `streams_max`."""

    @property
    def keys_max(self) -> int:
        """Key records in memory from which on no more are taken from others."""
        return min(SIDES * int(self.key_limit), KEYS_MAX)

    def __post_init__(self) -> None:
        if self.probe_order not in get_args(ProbeOrder):
            raise SettingsError(f"probe_order must be ring or shuffled, not {self.probe_order!r}")
        for field in fields(self):
            if field.name != "probe_order":
                _check_figure(field.name, getattr(self, field.name))
        if not DATAGRAM_SIZE_FLOOR <= self.datagram_size <= DATAGRAM_SIZE_MAX:
            raise SettingsError(
                f"datagram_size must be from {DATAGRAM_SIZE_FLOOR} to {DATAGRAM_SIZE_MAX} bytes, "
                f"not {self.datagram_size}"
            )
        if self.probe_timeout > self.probe_interval / 2:
            raise SettingsError(
                f"probe_timeout ({self.probe_timeout}) must be at most half of probe_interval "
                f"({self.probe_interval})"
            )
        if not 1 <= self.probe_patience <= PATIENCE_MAX:
            raise SettingsError(f"probe_patience must be from 1 to {PATIENCE_MAX:g}")
        if self.confirmations > CONFIRMATIONS_MAX:
            raise SettingsError(f"confirmations must be at most {CONFIRMATIONS_MAX}")
        if self.key_limit > KEYS_MAX:
            raise SettingsError(f"key_limit must be at most {KEYS_MAX}")
        if self.suspicion_max_mult < 1:
            raise SettingsError("suspicion_max_mult must be at least 1")
        for smaller, larger in _ORDERED:
            low, high = getattr(self, smaller), getattr(self, larger)
            if low > high:
                raise SettingsError(f"{smaller} ({low}) must be at most {larger} ({high})")

    @classmethod
    def of(cls, profile: Profile, **replaced: float | str) -> Settings:
        """The settings of a profile, some of them replaced.

        Raises `SettingsError` for an impossible value or combination.
        """
        return replace(_PROFILES[profile], **replaced)  # type: ignore[arg-type]  # by the schema


def _check_figure(name: str, value: float) -> None:
    if not math.isfinite(value) or value < 0:
        raise SettingsError(f"{name} must be a number >= 0, not {value!r}")
    if value == 0 and name not in _MAY_BE_ZERO:
        raise SettingsError(f"{name} must be greater than 0")
    if name in _SECONDS and value < SECONDS_MIN:
        raise SettingsError(f"{name} must be at least {SECONDS_MIN} s")


_SECONDS = {
    "probe_interval",
    "probe_timeout",
    "probe_timeout_min",
    "gossip_interval",
    "pull_interval",
    "pull_timeout",
    "contact_interval",
    "join_retry_min",
    "join_retry_max",
    "name_check",
    "key_window",
}

_ORDERED = (
    ("probe_timeout_min", "probe_timeout"),
    ("gossip_rate", "gossip_rate_max"),
    ("join_retry_min", "join_retry_max"),
    ("key_window", "key_retention"),
)

_MAY_BE_ZERO = {
    "alone_after",
    "corroborators",
    "corroboration_delay",
    "indirect_probes",
    "flush_after",
    "suspicion_growth",
}

_PROFILES: dict[Profile, Settings] = {
    "lan": Settings(),
    "wan": Settings(
        probe_interval=5.0,
        probe_timeout=2.5,
        probe_timeout_min=0.5,
        suspicion_mult=1.5,
        corroboration_delay=0.5,
        stall_after=0.5,
        gossip_interval=0.5,
        gossip_fanout=4,
        flush_after=0.05,
        pull_interval=2.0,
        pull_timeout=1.5,
        contact_interval=5.0,
        name_check=5.0,
        alone_after=7.5,
    ),
    "local": Settings(
        probe_timeout=0.2,
        probe_timeout_min=0.05,
        indirect_probes=1,
        suspicion_mult=1.0,
        gossip_interval=0.1,
        retransmit_mult=2,
    ),
}
