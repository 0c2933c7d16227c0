"""The failure detector: one probe per interval, relays for a silent target.

SWIM 3.1 (ping, ping-req) with Lifeguard's nacks and local health; whom a probe goes to, `rounds`
says, or a shuffled round robin (SWIM 4.3). Who is silent is pinged again every timeout: one lost
packet proves nothing. A timer that was late is not the peer's fault: a stall voids the probe under
way, which is repeated at once, at most three times in a row.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass, field

from gossipd.core.identity import Address
from gossipd.core.means import Means
from gossipd.core.timers import Timer
from gossipd.core.turn import Turn
from gossipd.core.wire.drops import Drop
from gossipd.core.wire.messages import MemberView, Status

from .contacts import Outcome, Probed
from .health import Health
from .life import Life
from .members import MemberTable
from .membership import Membership
from .pinging import Pinger
from .pings import Purpose
from .reason import Cause, Reason
from .rounds import Rounds
from .suspecting import Suspecting

VOIDS_MAX = 3
"""Stalls in a row for which the probe is repeated, and timers that wait for others move."""


@dataclass(slots=True)
class _Probe:
    target: MemberView
    """As it was held when the probe began."""
    nonces: list[int]
    """One per ping, so that each answer tells a round trip; relays know the first one."""
    began_at: float
    verdict_at: float
    voids: int
    relays: tuple[str, ...] = ()
    """Those that were asked."""
    nacks: dict[str, None] = field(default_factory=dict)
    """Those of them that live, and did not reach it either."""

    def seen(self, outcome: Outcome, now: float) -> Probed:
        """What is to be told of it."""
        took, pings = now - self.began_at, len(self.nonces)
        return Probed(self.began_at, took, outcome, pings, self.relays, tuple(self.nacks))


@dataclass(eq=False, repr=False)
class Detector:
    """Decides whom to ping when, and whom to accuse."""

    means: InitVar[Means]
    _members: MemberTable
    _pinger: Pinger
    _health: Health
    _rounds: Rounds
    _life: Life
    _suspecting: Suspecting
    _membership: Membership

    def __post_init__(self, means: Means) -> None:
        self._settings, self._rng, self._timers = means
        self._order: list[str] = []
        self._probe: _Probe | None = None
        self._cut_off_at = float("-inf")

    def start(self, turn: Turn) -> None:
        """Begin to probe, at a random phase so that nodes started together do not march."""
        interval = self._settings.probe_interval
        self._timers.set(Timer.PROBE, turn.now + interval * self._rng.random())

    # --- the probe ---------------------------------------------------------------------------

    def next_probe(self, turn: Turn) -> None:
        """Probe the next member, unless a stretched probe is still under way."""
        interval = self._settings.probe_interval
        self._timers.set(Timer.PROBE, turn.now + interval)
        self._rounds.next()
        if self._probe is None:
            target = self._next_target()
            if target is not None:
                self._start_probe(target, 0, turn)

    def probe_unanswered(self, turn: Turn) -> None:
        """A direct ping was not answered in time: ask relays once, and ping again and again."""
        probe = self._probe
        assert probe is not None
        wait = probe.verdict_at - turn.now
        if wait <= 0:
            return  # both timers were late
        if len(probe.nonces) == 1:
            probe.relays = self._pinger.ask_relays(probe.target, probe.nonces[0], wait, turn)
        again_at = turn.now + self._pinger.timeout(probe.target.name)
        if again_at < probe.verdict_at:
            self._timers.set(Timer.PROBE_TIMEOUT, again_at)
        probe.nonces.append(self._pinger.ping(probe.target, Purpose.PROBE, turn))

    def probe_failed(self, turn: Turn) -> None:
        """Nothing came back in the whole time: accuse, and note silent relays."""
        probe, self._probe = self._probe, None
        assert probe is not None
        self._pinger.give_up(probe.nonces)
        if self._life.cut_off:
            self._note(probe, Outcome.VOID, turn)
            return
        self._note(probe, Outcome.SILENT, turn)
        # One nack shows that this node is not deaf, and where nobody speaks waiting is of no use.
        if not probe.nacks and self._life.spoken_at >= probe.began_at:
            self._health.worse(len(probe.relays))
        reason = Reason(
            Cause.SILENT,
            pings=len(probe.nonces),
            relays=probe.relays,
            nacks=tuple(probe.nacks),
        )
        self._membership.accuse(probe.target, reason, turn)

    def relay_nacked(self, nonce: int, relay: str, turn: Turn) -> None:
        """A relay lives, the target did not answer it."""
        probe = self._probe
        if probe is not None and probe.nonces[0] == nonce and relay in probe.relays:
            probe.nacks[relay] = None
            self._life.heard_at = turn.now
        else:
            turn.drop(Drop.UNASKED)

    def relay_acked(self, nonce: int, turn: Turn) -> bool:
        """A relay reached the target of our probe; False if that was no probe."""
        if self._probe is None or self._probe.nonces[0] != nonce:
            return False
        self._probe_succeeded(self._probe, Outcome.RELAYED, turn)
        return True

    def acked(self, nonce: int, turn: Turn) -> None:
        """One of these pings was answered."""
        if self._probe is not None and nonce in self._probe.nonces:
            self._probe_succeeded(self._probe, Outcome.ANSWERED, turn)

    def stall(self, turn: Turn) -> None:
        """This node stood still: the probe under way proves nothing, so repeat it."""
        self._health.worse()
        if self._probe is not None and self._probe.voids < VOIDS_MAX:
            self._repeat(self._probe, self._probe.voids + 1, turn)

    def cut_off(self, is_cut_off: bool, turn: Turn) -> bool:
        """Whether this node has no way to anybody; True if it has one again."""
        was, self._life.cut_off = self._life.cut_off, is_cut_off
        if is_cut_off and not was:
            self._cut_off_at = turn.now
        elif was and not is_cut_off:
            self._suspecting.stall(self._cut_off_at, turn)
            self.restart(turn)
            return True
        return False

    def restart(self, turn: Turn) -> None:
        """What this node has sent, or its answers, went nowhere: repeat the probe under way."""
        if self._probe is not None:
            self._repeat(self._probe, self._probe.voids, turn)

    def _repeat(self, probe: _Probe, voids: int, turn: Turn) -> None:
        self._pinger.give_up(probe.nonces)
        self._note(probe, Outcome.VOID, turn)
        self._start_probe(probe.target, voids, turn)

    def _start_probe(self, target: MemberView, voids: int, turn: Turn) -> None:
        factor = self._health.factor
        timeout = self._pinger.timeout(target.name)
        patience = self._settings.probe_patience * self._settings.probe_interval
        verdict_at = turn.now + patience * factor
        nonce = self._pinger.ping(target, Purpose.PROBE, turn)
        self._probe = _Probe(target, [nonce], turn.now, verdict_at, voids)
        self._timers.set(Timer.PROBE_TIMEOUT, turn.now + timeout)
        self._timers.set(Timer.PROBE_VERDICT, verdict_at)

    def _probe_succeeded(self, probe: _Probe, outcome: Outcome, turn: Turn) -> None:
        self._note(probe, outcome, turn)
        self._probe = None
        self._health.better()
        self._timers.cancel(Timer.PROBE_TIMEOUT)
        self._timers.cancel(Timer.PROBE_VERDICT)

    def _note(self, probe: _Probe, outcome: Outcome, turn: Turn) -> None:
        turn.tally.probes[outcome.value] += 1
        self._life.contacts.probed(probe.target.name, probe.seen(outcome, turn.now))

    def under_way(self, name: str, now: float) -> Probed | None:
        """The probe of a member, if it is the one under way."""
        probe = self._probe
        if probe is None or probe.target.name != name:
            return None
        return probe.seen(Outcome.OPEN, now)

    def _next_target(self) -> MemberView | None:
        members = self._members
        if not members.live:
            return None
        if self._settings.probe_order == "ring":
            return members.get(self._rounds.target(members.own.name, members.live))
        while True:
            if not self._order:
                self._order = list(members.live)
                self._rng.shuffle(self._order)
            view = members.get(self._order.pop())
            if view is not None and view.status <= Status.SUSPECT:
                return view

    # --- failed members ----------------------------------------------------------------------

    def contact(self, turn: Turn) -> Address | None:
        """Ping one failed member, so that a healed network is noticed from either side; one that
        only an earlier life knew, and that is yet to prove where it is, is returned instead.

        All nodes together contact each failed member about once per `contact_interval`. They all
        begin when it fails, so pauses differ widely: else they would go on together, too.
        """
        down = self._members.down
        if not down:
            return None
        mean = self._settings.contact_interval * self._members.live_count / len(down)
        wait = mean * 2 * self._rng.random()
        self._timers.set(Timer.CONTACT, turn.now + max(0.02, wait))
        view = self._members.held(self._rng.choice(down))
        if not self._members.is_proven(view.address):
            return view.address
        self._pinger.ping(view, Purpose.CONTACT, turn)
        return None
