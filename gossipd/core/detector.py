"""The failure detector: one probe per interval, relays for a silent target, second opinions.

SWIM 4.1 (ping, ping-req) over a shuffled round robin (4.3), with Lifeguard's nacks and local
health. A timer that was late is not the peer's fault: a stall voids the probe under way, which is
repeated at once, at most three times in a row.
"""

from __future__ import annotations

from dataclasses import dataclass

from .drops import Drop
from .membership import Membership
from .messages import MemberView, Nack, Ping, PingReq, RelayedAck, Status
from .pings import Flight, Purpose
from .state import State, Turn
from .timers import Timer

VOIDS_MAX = 3
NACK_AT = 0.8
"""The part of the time given to a relay after which it says that the target is silent."""


@dataclass(slots=True)
class _Probe:
    target: str
    nonce: int
    relays: int = 0
    """Relays that were asked."""
    nacks: int = 0
    voids: int = 0


class Detector:
    """Decides whom to ping when, and whom to accuse."""

    def __init__(self, state: State, membership: Membership) -> None:
        self._state = state
        self._membership = membership
        self._order: list[str] = []
        self._probe: _Probe | None = None
        self._opinions: dict[str, int] = {}
        """Pings sent to a suspect of somebody else's, by name."""

    def start(self, turn: Turn) -> None:
        """Begin to probe, at a random phase so that nodes started together do not march."""
        interval = self._state.settings.probe_interval
        self._state.timers.set(Timer.PROBE, turn.now + interval * self._state.rng.random())

    # --- the probe ---------------------------------------------------------------------------

    def next_probe(self, turn: Turn) -> None:
        """Probe the next member, unless a stretched probe is still under way."""
        interval = self._state.settings.probe_interval
        self._state.timers.set(Timer.PROBE, turn.now + interval)
        if self._probe is None:
            target = self._next_target()
            if target is not None:
                self._start_probe(target, 0, turn)

    def probe_unanswered(self, turn: Turn) -> None:
        """The direct ping was not answered in time: ask relays, and ping once more."""
        probe = self._probe
        verdict_at = self._state.timers.at(Timer.PROBE_VERDICT)
        view = self._state.members.get(probe.target) if probe else None
        if probe is None or view is None or verdict_at is None:
            return
        relays = self._state.sample(
            [name for name in self._state.members.live if name != probe.target],
            self._state.settings.indirect_probes,
        )
        probe.relays = len(relays)
        self.ask_relays(relays, view, probe.nonce, verdict_at - turn.now, turn)
        turn.send(Ping(probe.nonce, probe.target, self._state.shown), view.address, probe.target)

    def ask_relays(
        self, relays: list[str], target: MemberView, nonce: int, wait: float, turn: Turn
    ) -> None:
        """Ask members to ping `target` within `wait` seconds and to tell."""
        ask = PingReq(nonce, target.name, target.address, max(1, int(wait * 1000)))
        for name in relays:
            view = self._state.members.get(name)
            if view is not None:
                turn.send(ask, view.address, name)

    def probe_failed(self, turn: Turn) -> None:
        """Nothing came back in the whole time: accuse, and note silent relays."""
        probe, self._probe = self._probe, None
        if probe is None:
            return
        self._state.pings.answer(probe.nonce)
        self._state.health.worse(probe.relays - min(probe.nacks, probe.relays))
        self._membership.accuse(probe.target, turn)

    def relay_nacked(self, nonce: int, turn: Turn) -> None:
        """A relay lives, the target did not answer it."""
        if self._probe is not None and self._probe.nonce == nonce:
            self._probe.nacks += 1
        else:
            turn.drop(Drop.UNASKED)

    def relay_acked(self, nonce: int) -> bool:
        """A relay reached the target of our probe; False if that was no probe."""
        if self._probe is None or self._probe.nonce != nonce:
            return False
        self._state.pings.answer(nonce)
        self._probe_succeeded()
        return True

    def acked(self, nonce: int, flight: Flight, turn: Turn) -> None:
        """One of our pings was answered by its target."""
        match flight.purpose:
            case Purpose.PROBE:
                self._state.round_trips.sample(flight.target, turn.now - flight.sent_at)
                if self._probe is not None and self._probe.nonce == nonce:
                    self._probe_succeeded()
            case Purpose.CORROBORATE:
                self._opinions.pop(flight.target, None)
                self._state.timers.cancel(Timer.CORROBORATE, flight.target)
            case Purpose.RELAY:
                self._state.timers.cancel(Timer.RELAY_NACK, str(nonce))
                if flight.asker is not None:
                    turn.send(RelayedAck(flight.asked), flight.asker)
            case Purpose.CONTACT | Purpose.NAME_CHECK:
                pass

    def stall(self, turn: Turn) -> None:
        """This node stood still: the probe under way proves nothing, so repeat it."""
        self._state.health.worse()
        probe = self._probe
        if probe is not None and probe.voids < VOIDS_MAX:
            self._state.pings.answer(probe.nonce)
            self._start_probe(probe.target, probe.voids + 1, turn)

    def _start_probe(self, target: str, voids: int, turn: Turn) -> None:
        state = self._state
        view = state.members.get(target)
        self._probe = None
        if view is None or view.status > Status.SUSPECT:
            return
        nonce = state.pings.start(Flight(target, Purpose.PROBE, turn.now))
        self._probe = _Probe(target, nonce, voids=voids)
        factor = state.health.factor
        timeout = state.round_trips.timeout(target) * factor
        state.timers.set(Timer.PROBE_TIMEOUT, turn.now + timeout)
        state.timers.set(Timer.PROBE_VERDICT, turn.now + state.settings.probe_interval * factor)
        turn.send(Ping(nonce, target, state.shown), view.address, target)

    def _probe_succeeded(self) -> None:
        self._probe = None
        self._state.health.better()
        self._state.timers.cancel(Timer.PROBE_TIMEOUT)
        self._state.timers.cancel(Timer.PROBE_VERDICT)

    def _next_target(self) -> str | None:
        live = self._state.members.live
        if not live:
            return None
        while True:
            if not self._order:
                self._order = list(live)
                self._state.rng.shuffle(self._order)
            name = self._order.pop()
            view = self._state.members.get(name)
            if view is not None and view.status <= Status.SUSPECT:
                return name

    # --- second opinions on somebody else's suspect ------------------------------------------

    def corroborate(self, name: str, turn: Turn) -> None:
        """Ping a suspect; when all pings stayed unanswered, agree with the accuser."""
        state = self._state
        view = state.members.get(name)
        sent = self._opinions.pop(name, 0)
        if view is None or view.status is not Status.SUSPECT:
            return
        if sent >= state.settings.corroboration_pings:
            self._membership.accuse(name, turn)
            return
        self._opinions[name] = sent + 1
        nonce = state.pings.start(Flight(name, Purpose.CORROBORATE, turn.now))
        wait = state.round_trips.timeout(name) * state.health.factor
        state.timers.set(Timer.CORROBORATE, turn.now + wait, name)
        turn.send(Ping(nonce, name, state.shown), view.address, name)

    # --- as a relay for others ---------------------------------------------------------------

    def relay(self, ask: PingReq, turn: Turn) -> None:
        """Ping a member for somebody; a target not held here is a nack at once."""
        state = self._state
        view = state.members.get(ask.target)
        if view is None or view.address != ask.address:
            turn.send(Nack(ask.nonce), turn.source)
            return
        flight = Flight(ask.target, Purpose.RELAY, turn.now, turn.source, ask.nonce)
        nonce = state.pings.start(flight)
        state.timers.set(Timer.RELAY_NACK, turn.now + NACK_AT * ask.timeout_ms / 1000, str(nonce))
        turn.send(Ping(nonce, ask.target, state.shown), view.address, ask.target)

    def relay_expired(self, nonce: int, turn: Turn) -> None:
        """The target did not answer: tell who asked that this relay lives."""
        flight = self._state.pings.answer(nonce)
        if flight is not None and flight.asker is not None:
            turn.send(Nack(flight.asked), flight.asker)

    # --- failed members ----------------------------------------------------------------------

    def contact(self, turn: Turn) -> None:
        """Ping one failed member, so that a healed network is noticed from either side.

        All nodes together contact each failed member about once per `contact_interval`.
        """
        state = self._state
        down = state.members.down
        if not down:
            return
        mean = state.settings.contact_interval * state.members.live_count / len(down)
        wait = mean * (0.5 + state.rng.random())
        state.timers.set(Timer.CONTACT, turn.now + max(0.02, wait))
        name = state.rng.choice(down)
        view = state.members.get(name)
        assert view is not None
        nonce = state.pings.start(Flight(name, Purpose.CONTACT, turn.now))
        turn.send(Ping(nonce, name, state.shown), view.address, name)
