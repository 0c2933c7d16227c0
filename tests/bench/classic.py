"""The classic rule in this core: memberlist's rules and LAN defaults, the baseline of every bench.

The figures are those of `DefaultLANConfig` and of `suspicion.go` in hashicorp/memberlist, which
Serf uses for local networks; they are written beside each field. The rest (relays, nacks, local
health, packets) is the same on both sides, so that a difference is one of these figures.

What is not the same as in memberlist:

- Its TCP ping beside the indirect pings does not exist here. In its place stands the second UDP
  ping that this detector sends with them; there is no third, as the fixed timeout is half of the
  interval (one that local health has stretched may leave room for it).
- No push/pull over TCP every 30 s: tables and logs are repaired where fingerprints differ.
- A process that stood still reads its socket before its timers. In memberlist both race, so that a
  node which was stopped may blame others. This favours the classic rule, most where nodes stall.
- With 3 members one confirmation still shortens a suspicion; memberlist wants two or none.
- Relays are those who spoke last, and one Nack shows that a node is not deaf. memberlist draws
  them from all, and counts each that is silent. This favours the classic rule where many die.
- Failed members are contacted about every 2 s, by the whole cluster; Serf tries every 30 s.
"""

from __future__ import annotations

from gossipd.core import Settings

CLASSIC = Settings(
    probe_interval=1.0,  # ProbeInterval
    probe_timeout=0.5,  # ProbeTimeout
    probe_timeout_min=0.5,  # it does not adapt: with both at half the interval, neither here
    probe_order="shuffled",  # resetNodes: round robin over a list shuffled once per pass
    probe_patience=1.0,  # a probe ends with its interval
    indirect_probes=3,  # IndirectChecks
    suspicion_mult=4.0,  # SuspicionMult
    suspicion_growth=1.0,  # suspicionTimeout: mult x max(1, log10 N) x interval
    suspicion_max_mult=6.0,  # SuspicionMaxTimeoutMult
    confirmations=2,  # suspectNode: k = SuspicionMult - 2
    corroborators=0,  # nobody probes because of what it heard
    health_max=8,  # AwarenessMaxMultiplier
    stall_after=1e9,  # a late timer is a timer
    gossip_interval=0.2,  # GossipInterval
    gossip_fanout=3,  # GossipNodes
    flush_after=0.2,  # news waits for the tick
    retransmit_mult=4,  # RetransmitMult
)
"""memberlist's `DefaultLANConfig`."""
