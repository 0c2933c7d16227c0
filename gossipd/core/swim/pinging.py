"""Pings and their answers: what is sent to whom, how long to wait, what an answer tells by itself.

SWIM 3.1 (ping, ping-req, ack) with Lifeguard's nacks: own pings, what relays are asked to ping,
and what this node pings for others. Whom to ping when, and what silence means, is not known here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import InitVar, dataclass
from itertools import islice

from gossipd.core.gossip.amplification import AmplificationLimit
from gossipd.core.means import Means
from gossipd.core.timers import Timer
from gossipd.core.turn import Turn
from gossipd.core.wire.drops import Drop
from gossipd.core.wire.messages import Ack, MemberView, Nack, Ping, PingReq, RelayedAck, Status

from .circle import some_of
from .contacts import Contacts
from .health import Health
from .members import MemberTable
from .pings import IN_FLIGHT_MAX, RELAYED_MAX, Flight, Purpose, Relayed, RoundTrips
from .questions import Questions
from .showing import Showing

NACK_AT = 0.8
"""The part of the time given to a relay after which it says that the target is silent."""

RECENT = 3
"""Intervals of probes, before the newest word of anybody: from who has spoken in these relays are
drawn. Where many members died at once, those who did not are soon the only ones. And somebody who
speaks all the time in order to be asked, as it tells what is not so, is one of several."""

RECENT_MAX = 64
"""Members that are looked at for that."""


@dataclass(eq=False, repr=False)
class Pinger:
    """Sends pings for those who decide, and answers those of others."""

    means: InitVar[Means]
    _members: MemberTable
    _questions: Questions
    _round_trips: RoundTrips
    _health: Health
    _showing: Showing
    _amplification: AmplificationLimit
    _contacts: Contacts

    def __post_init__(self, means: Means) -> None:
        self._settings, self._rng, self._timers = means

    def ping(self, target: MemberView, purpose: Purpose, turn: Turn, *said: MemberView) -> int:
        """Ping a member, and tell it these views; the nonce."""
        flight = Flight(target.name, purpose, turn.now)
        nonce = self._questions.ask(flight, IN_FLIGHT_MAX, turn.now)
        self._send(target, nonce, turn, *said, by_itself=True)
        return nonce

    def ask(self, name: str, turn: Turn) -> None:
        """Ping a member at once, for what it shows in its answer."""
        self.ping(self._members.held(name), Purpose.CONTACT, turn)

    def timeout(self, name: str) -> float:
        """Seconds to wait for a member's ack."""
        return self._round_trips.timeout(name) * self._health.factor

    def ask_relays(
        self, target: MemberView, nonce: int, wait: float, turn: Turn
    ) -> tuple[str, ...]:
        """Ask members to ping `target` within `wait` seconds and to tell; those that were."""
        relays = self._relays(target.name)
        ask = PingReq(nonce, target.name, target.address, max(1, int(wait * 1000)))
        for name in relays:
            turn.send(ask, self._members.held(name).address, name)
        return tuple(relays)

    def _relays(self, target: str) -> list[str]:
        """Members that spoke not long ago; if they are too few, any."""
        count = self._settings.indirect_probes
        latest = self._contacts.latest(RECENT * self._settings.probe_interval)
        recent = [name for name in islice(latest, RECENT_MAX) if self._lives(name)]
        relays = some_of(self._rng, [name for name in recent if name != target], count)
        if len(relays) < count:
            drawn = some_of(self._rng, self._members.live, 2 * count + 1)
            relays += [name for name in drawn if name != target and name not in relays]
        return relays[:count]

    def _lives(self, name: str) -> bool:
        view = self._members.get(name)
        return view is not None and view.status is Status.ALIVE

    def answered(self, nonce: int, sender: str, turn: Turn) -> Flight | None:
        """An ack came: the ping to that very member which it answers, if there is one."""
        flight = self._questions.get(Flight, nonce)
        if flight is None or flight.target != sender:
            return None
        self._questions.take(Flight, nonce)
        if flight.purpose is Purpose.PROBE:
            # Also when a relay was faster: or a link that became slow would never be known.
            self._round_trips.sample(sender, turn.now - flight.sent_at)
            turn.tally.round_trips.add(turn.now - flight.sent_at)
        elif isinstance(flight, Relayed):
            self._timers.cancel(Timer.RELAY_NACK, str(nonce))
            turn.send(RelayedAck(flight.asked), flight.asker)
        return flight

    def give_up(self, nonces: Iterable[int]) -> None:
        """No answer to these pings is waited for any more."""
        for nonce in nonces:
            self._questions.take(Flight, nonce)

    def forget(self, name: str) -> None:
        """A member lives no more: drop what its answers told."""
        self._showing.by.pop(name, None)
        self._round_trips.forget(name)

    # --- as the one who is asked -------------------------------------------------------------

    def pinged(self, ping: Ping, sender: str, turn: Turn) -> bool:
        """Answer a member; False if it takes this node for another one."""
        own = self._members.own
        if ping.target != own.name:
            turn.drop(Drop.MISDIRECTED)
            return False
        views = (own,) if own.status is Status.LEFT else ()
        turn.send(Ack(ping.nonce, self._showing.own), turn.reply_to, sender, views)
        return True

    # --- as a relay for others ---------------------------------------------------------------

    def relay(self, ask: PingReq, turn: Turn) -> None:
        """Ping a member for somebody; a target not held here is a nack at once."""
        view = self._members.get(ask.target)
        if view is None or view.address != ask.address:
            turn.send(Nack(ask.nonce), turn.reply_to)
            return
        if view.status > Status.SUSPECT:
            self._amplification.received(view.address, turn.size)
        flight = Relayed(ask.target, Purpose.RELAY, turn.now, turn.reply_to, ask.nonce)
        nonce = self._questions.ask(flight, RELAYED_MAX, turn.now)
        longest = self._settings.probe_interval * self._settings.health_max
        wait = NACK_AT * min(ask.timeout_ms / 1000, longest)
        self._timers.set(Timer.RELAY_NACK, turn.now + wait, str(nonce))
        self._send(view, nonce, turn)

    def relay_expired(self, nonce: int, turn: Turn) -> None:
        """The target did not answer: tell who asked that this relay lives."""
        flight = self._questions.take(Relayed, nonce)
        if flight is not None:  # else there was no room for it
            turn.send(Nack(flight.asked), flight.asker)

    def _send(
        self,
        target: MemberView,
        nonce: int,
        turn: Turn,
        *said: MemberView,
        by_itself: bool = False,
    ) -> None:
        ping = Ping(nonce, target.name, self._showing.own)
        turn.send(ping, target.address, target.name, said, by_itself=by_itself)
