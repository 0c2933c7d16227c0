"""Which part answers which message, and whose deadline each timer is.

It knows nothing of how they do it, but for what several parts have to say to one message.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from gossipd.core.swim.pings import Purpose
from gossipd.core.swim.plausible import Word
from gossipd.core.wire.drops import Drop
from gossipd.core.wire.messages import (
    Ack,
    Cookie,
    Digest,
    DigestAsk,
    Envelope,
    Gossip,
    Held,
    Hello,
    Hold,
    Join,
    MemberMessage,
    MembersAsk,
    MembersPage,
    MemberView,
    Nack,
    Pages,
    PassAsk,
    Ping,
    PingReq,
    Refuse,
    RelayedAck,
    Shown,
    Status,
    Welcome,
)

from .parts import Parts
from .state import State
from .timers import Key, Timer
from .turn import Turn

EXPIRE_INTERVAL, EXPIRE_PAUSE = 60.0, 0.02
"""Seconds between two looks for members to forget, and between two parts of one."""


class Dispatch:
    """Hands messages and deadlines to the parts of one node."""

    def __init__(self, state: State, parts: Parts) -> None:
        self._state = state
        self._parts = p = parts
        self.plain: dict[Timer, Callable[[Turn], object]] = {
            Timer.PROBE: p.detector.next_probe,
            Timer.PROBE_TIMEOUT: p.detector.probe_unanswered,
            Timer.PROBE_VERDICT: p.detector.probe_failed,
            Timer.GOSSIP: p.gossiping.round,
            Timer.PULL: p.repair.unanswered,
            Timer.MEMBER_PULL: p.member_repair.unanswered,
            Timer.CONTACT: self._contact,
            Timer.RIVAL: p.joining.ask_rivals,
            Timer.READY: p.readiness.waited,
            Timer.LEAVE: p.leaving.step,
            Timer.HOLD: p.copies.go_on,
            Timer.HELD: p.holding.go_on,
            Timer.EXPIRE: self._expire,
            Timer.KEYS: p.retention.drop,
            Timer.ANSWER: p.slices.go_on,
            Timer.SAVE: p.storing.want,
            Timer.REOPEN: lambda _: p.committing.reopen(),
            Timer.INCLUDED: lambda _: None,  # it is looked after every input
            Timer.AMEND: p.committing.go_on,
            Timer.DRAIN: p.committing.drained_too_long,
            Timer.DOUBLES: lambda turn: turn.learn(state.log.catch_up()),
        }
        """Those of which there is one."""
        self.about: dict[Timer, Callable[[str, Turn], object]] = {
            Timer.RELAY_NACK: lambda nonce, turn: p.pinger.relay_expired(int(nonce), turn),
            Timer.SUSPICION: p.membership.suspicion_ended,
            Timer.CORROBORATE: p.opinions.corroborate,
            Timer.RUMOUR: p.opinions.look_into_rumour,
            Timer.NAME_CHECK: p.admission.name_vacant,
            Timer.COPIES: lambda token, turn: p.copies.expired(int(token), turn),
            Timer.AFTER: lambda token, turn: p.reads.expired(int(token), turn),
            Timer.INTRODUCE: p.introducing.due,
        }
        """Those that are about a member, a question or a token, one each."""

    def receive(self, envelope: Envelope, turn: Turn) -> None:
        """A datagram has come."""
        message, turn.speaker = envelope.message, envelope.sender
        if self._state.plausible.is_absurd(envelope.generation, envelope.incarnation, Word.OWN):
            turn.drop(Drop.ABSURD)
            return
        parts, sender = self._parts, envelope.sender
        if isinstance(message, Join) and parts.joining.came_back(sender, message, turn):
            return
        if parts.senders.is_own(envelope, turn.source):
            turn.drop(Drop.OWN)
        elif isinstance(message, Join):
            self._receive_join(envelope, message, turn)
        elif isinstance(message, Cookie | Welcome | Refuse):
            # Before namesakes: the holder of this node's name answers its join like anybody.
            self._receive_answer_to_join(envelope, message, turn)
        elif sender == self._state.members.own.name:
            parts.senders.namesake_spoke(envelope, turn)
        elif parts.senders.is_member(envelope, turn):
            for group in envelope.groups:
                parts.gossiping.heard(group, turn)
            self._dispatch(message, envelope, turn)
        elif isinstance(message, Hello):
            parts.introducing.heard(envelope, message, turn)
        else:
            self._receive_from_stranger(envelope, turn)

    def fire(self, key: Key, turn: Turn) -> None:
        """A deadline has passed."""
        timer, about = key
        if timer in self.plain:
            self.plain[timer](turn)
        else:
            self.about[timer](about, turn)

    def _receive_from_stranger(self, envelope: Envelope, turn: Turn) -> None:
        """What it says is not used, but it may prove where it is."""
        message = envelope.message
        turn.drop(Drop.STRANGER)
        if self._parts.introducing.challenge(envelope, turn):
            return
        nonce = message.nonce if isinstance(message, Ping) else 0
        if isinstance(message, Ping) and message.target == self._state.members.own.name:
            self._parts.readiness.called(turn)
        self._parts.admission.challenge(envelope.sender, nonce, turn.reply_to, turn)

    def _receive_join(self, envelope: Envelope, join: Join, turn: Turn) -> None:
        if self._state.life.leaving:
            turn.drop(Drop.STRANGER)
            return
        newcomer = MemberView(
            envelope.sender,
            join.address,
            envelope.generation,
            envelope.incarnation,
            Status.ALIVE,
            join.tags,
        )
        self._parts.admission.asked(join, newcomer, turn)

    def _receive_answer_to_join(
        self, envelope: Envelope, message: Cookie | Welcome | Refuse, turn: Turn
    ) -> None:
        parts, sender = self._parts, envelope.sender
        match message:
            case Cookie(nonce):
                answers = self._answered(nonce, sender, turn)
                parts.meeting.asks(sender, turn.now)
                parts.joining.cookie_came(message, sender, answers, turn)
            case Refuse():
                parts.joining.refused(message, sender, envelope.generation, turn)
            case Welcome(_, shown):
                address = parts.joining.welcomed(message, sender, turn)
                if address is not None:
                    parts.meeting.welcomed(sender, shown)
                    parts.senders.found(envelope, address, turn)
                    urgent = not self._state.life.ready or parts.meeting.peer == sender
                    self._show(shown, sender, turn, urgent)
            case _:
                assert_never(message)

    def _dispatch(self, message: MemberMessage, envelope: Envelope, turn: Turn) -> None:  # noqa: C901  a table
        parts, sender = self._parts, envelope.sender
        match message:
            case Ping():
                if parts.pinger.pinged(message, sender, turn):
                    self._show(message.shown, sender, turn, answers=False)
            case Ack(nonce, shown):
                answers = self._answered(nonce, sender, turn)
                if answers:
                    parts.rival.acked(turn.now)
                else:
                    turn.drop(Drop.UNASKED)
                self._show(shown, sender, turn, answers=answers)
            case PingReq():
                parts.pinger.relay(message, turn)
            case RelayedAck(nonce):
                if not (
                    parts.detector.relay_acked(nonce, turn)
                    or parts.admission.check_relayed(nonce, turn)
                ):
                    turn.drop(Drop.UNASKED)
            case Nack(nonce):
                parts.detector.relay_nacked(nonce, sender, turn)
            case Gossip():
                pass
            case DigestAsk():
                if self._may_ask_for_much(sender, turn):
                    parts.serving.digest_asked(message, turn)
            case Digest():
                parts.repair.digest_came(message, turn)
            case PassAsk():
                if self._may_ask_for_much(sender, turn):
                    parts.serving.passes_asked(message, sender, turn)
            case Pages():
                parts.repair.pages_came(message, turn)
            case MembersAsk():
                if self._may_ask_for_much(sender, turn):
                    parts.serving.members_asked(message, sender, turn)
            case MembersPage():
                parts.member_repair.page_came(message, turn)
            case Hold():
                parts.holding.asked(message, sender, turn)
            case Held():
                if not parts.copies.held(message, sender, turn):
                    parts.leaving.held(message, sender, turn)
            case Hello():
                parts.introducing.heard(envelope, message, turn)
            case _:
                assert_never(message)

    def _may_ask_for_much(self, sender: str, turn: Turn) -> bool:
        """Whether long answers go to where a member is held: if it lives and has proven to be
        there."""
        if self._state.members.has_proven(sender, turn.reply_to) and self._is_live(sender):
            return True
        turn.drop(Drop.UNPROVEN)
        return False

    def _is_live(self, name: str) -> bool:
        view = self._state.members.get(name)
        return view is not None and view.status <= Status.SUSPECT

    def _answered(self, nonce: int, sender: str, turn: Turn) -> bool:
        """An ack came; False unless it answers a ping to that very member."""
        parts = self._parts
        flight = parts.pinger.answered(nonce, sender, turn)
        if flight is None:
            return False
        self._state.life.contacts.answered(sender, turn.now)
        match flight.purpose:
            case Purpose.PROBE:
                parts.detector.acked(nonce, turn)
            case Purpose.CORROBORATE:
                parts.opinions.suspect_answered(sender)
            case Purpose.RUMOUR:
                parts.opinions.rumour_answered(sender, turn)
            case Purpose.NAME_CHECK:
                parts.admission.name_answered(sender, turn)
            case Purpose.RELAY | Purpose.CONTACT:
                pass
            case _:
                assert_never(flight.purpose)
        return True

    def _show(
        self, shown: Shown, sender: str, turn: Turn, urgent: bool = False, *, answers: bool = True
    ) -> None:
        """A member showed its state: repair what differs. `answers`: to a question of this node;
        only that may make it ready."""
        state = self._state
        if not self._is_live(sender):
            return
        state.showing.by[sender] = shown
        state.rounds.hear(shown.round)
        if answers:
            self._parts.readiness.shown(shown, sender, turn)
        else:
            self._parts.readiness.said(shown, sender, turn)
        if shown.log != state.log.fingerprint:
            self._parts.repair.want(sender, turn, urgent)
        if shown.members == state.members.fingerprint:
            self._parts.member_repair.same()
        else:
            self._parts.member_repair.want(sender, turn, urgent)

    def _contact(self, turn: Turn) -> None:
        silent = self._parts.detector.contact(turn)
        if silent is not None:
            self._parts.joining.ask([silent], turn)

    def _expire(self, turn: Turn) -> None:
        timers = self._state.means.timers
        timers.set(Timer.EXPIRE, turn.now + EXPIRE_INTERVAL)  # whatever raises
        if self._parts.membership.expire(turn):
            timers.set(Timer.EXPIRE, turn.now + EXPIRE_PAUSE)
