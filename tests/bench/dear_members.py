"""What costs most of membership: probes, joins, introductions, what is said of others."""

from __future__ import annotations

from collections.abc import Iterator

from gossipd.core import MemberView, Status
from gossipd.core.wire.messages import (
    Ack,
    Cookie,
    Gossip,
    Hello,
    Join,
    Message,
    Nack,
    Ping,
    PingReq,
    Refusal,
    Refuse,
    RelayedAck,
    Shown,
    Standing,
    Welcome,
)
from tests.bench.victim import (
    PEER,
    SAMPLES,
    Case,
    Victim,
    member,
)


def pings(size: int) -> float:
    """Who shows something else each time."""
    victim = Victim(size)
    shown = Shown(1, 1, True)
    return victim.cost([victim.says(Ping(1, "own", shown))] * SAMPLES)


def views(size: int) -> float:
    """Members that are new."""
    victim = Victim(size)

    def datagrams() -> Iterator[bytes]:
        for _ in range(SAMPLES):
            new = [
                MemberView(f"n{victim.rng.random()}", ("10.9.0.1", 1), 1, 0, Status.ALIVE)
                for _ in range(25)
            ]
            yield victim.says(Gossip(), views=new)

    return victim.cost(datagrams())


def joins(size: int) -> float:
    victim = Victim(size)

    def datagrams() -> Iterator[bytes]:
        for number in range(SAMPLES):
            join = Join(number, ("10.9.0.2", 1), (), b"", Standing.NEWCOMER)
            yield victim.says(join, name=f"j{number}")

    return victim.cost(datagrams())


# --- probes --------------------------------------------------------------------------------------


def acks(size: int) -> float:
    """Answers to pings, each of which shows something else."""
    victim = Victim(size)
    victim.node.join([PEER], victim.now)

    def datagrams() -> Iterator[bytes]:
        for number in range(SAMPLES):
            victim.waits(0.5)
            nonces = [ping.nonce for ping in victim.asked(Ping)] or [number]
            shown = Shown(victim.rng.getrandbits(64), victim.rng.getrandbits(64), True, number)
            yield victim.says(Ack(nonces[-1], shown))

    return victim.cost(datagrams())


def relayed(message: Message, size: int) -> float:
    """What a relay says, or is asked."""
    victim = Victim(size)
    return victim.cost([victim.says(message)] * SAMPLES)


def ping_reqs(size: int) -> float:
    ask = member(size // 2)
    return relayed(PingReq(1, ask.name, ask.address, 1_000), size)


def relayed_acks(size: int) -> float:
    return relayed(RelayedAck(1), size)


def nacks(size: int) -> float:
    return relayed(Nack(1), size)


# --- what is said of others ----------------------------------------------------------------------


def ghosts(size: int) -> float:
    """Members that are made up, when many were: they live no more, so that they prove nothing."""
    victim = Victim()
    return victim.cost(
        victim.says(Gossip(), views=[_ghost(number + at, Status.FAILED) for at in range(25)])
        for number in range(0, max(size, 25 * SAMPLES), 25)
    )


def living_ghosts(size: int) -> float:
    """The same of such as are said to live: each is asked whether it does."""
    victim = Victim()
    return victim.cost(
        victim.says(Gossip(), views=[_ghost(number + at, Status.ALIVE) for at in range(25)])
        for number in range(0, max(size, 25 * SAMPLES), 25)
    )


def _ghost(number: int, status: Status) -> MemberView:
    address = (f"10.{2 + (number >> 16)}.{number >> 8 & 255}.{number & 255}", 1)
    return MemberView(f"g{number}", address, 1, 0, status, (), int(status > Status.SUSPECT))


def suspects(size: int) -> float:
    """Live members are suspected, many at once."""
    victim = Victim(size)
    return victim.cost(
        victim.says(
            Gossip(),
            views=[
                member(at % size, Status.SUSPECT)._replace(accusers=("peer",))
                for at in range(number, number + 20)
            ],
        )
        for number in range(0, 20 * SAMPLES, 20)
    )


# --- introductions -------------------------------------------------------------------------------


def hellos(size: int) -> float:
    """One more member proves where it is, to a node that gossips with many."""
    victim = Victim(size)
    names = [f"new{number}" for number in range(SAMPLES)]
    views = [MemberView(name, PEER, 1, 0, Status.ALIVE) for name in names]

    def datagrams() -> Iterator[bytes]:
        for view in views:
            victim.hears(victim.says(Gossip(), views=[view] * 5))
            victim.waits(3.0)
            nonce = max(hello.nonce for hello in victim.asked(Hello))
            yield victim.says(Hello(0, nonce), name=view.name)

    return victim.cost(datagrams())


def answered_joins(size: int, answer: type[Cookie | Welcome | Refuse]) -> float:
    """Answers of one that this node asks to take it in."""
    victim = Victim(size)

    def datagrams() -> Iterator[bytes]:
        for number in range(SAMPLES):
            victim.waits(0.1)
            victim.effects += victim.node.join([PEER], victim.now)
            nonce = victim.asked(Join)[-1].nonce
            views = [member(at) for at in range(20)]
            if answer is Welcome:
                yield victim.says(Welcome(nonce, Shown(number, number, True)), views=views)
            elif answer is Cookie:
                yield victim.says(Cookie(nonce, bytes(16), ("10.9.0.9", 1 + number)))
            else:
                holder = (f"10.9.0.{number}", 1)
                yield victim.says(Refuse(nonce, Refusal.NAME_TAKEN, holder, 2, Standing.HOLDER))

    return victim.cost(datagrams())


def welcomes(size: int) -> float:
    return answered_joins(size, Welcome)


def cookies(size: int) -> float:
    return answered_joins(size, Cookie)


def refusals(size: int) -> float:
    return answered_joins(size, Refuse)


CASES = (
    Case("Ping", "members", 1_900, pings),
    Case("Ack", "members", 1_900, acks),
    Case("PingReq", "members", 1_900, ping_reqs),
    Case("RelayedAck", "members", 1_900, relayed_acks),
    Case("Nack", "members", 1_900, nacks),
    Case("Gossip", "members, and 25 new ones", 1_900, views),
    Case("Gossip", "dead ghosts", 1_800, ghosts),
    Case("Gossip", "living ghosts", 1_800, living_ghosts),
    Case("Gossip", "members, of whom 20 are suspected", 1_900, suspects),
    Case("Hello", "members, and one that proves itself", 1_900, hellos),
    Case("Join", "members", 1_900, joins),
    Case("Cookie", "members", 1_900, cookies),
    Case("Welcome", "members", 1_900, welcomes),
    Case("Refuse", "members", 1_900, refusals),
)
