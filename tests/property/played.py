"""What played peers say to a node under test: strategies that hit what it holds and asks.

Values come from small pools, so that names, streams and generations meet. Answers are drawn free
of context and then `aimed` at a question that the node has really asked.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias
from uuid import UUID

from hypothesis import strategies as st

from gossipd.core import Address, MemberView, Status
from gossipd.core.identity import (
    GENERATION_MAX,
    INCARNATION_MAX,
    SEQ_MAX,
    TOTAL_MAX,
)
from gossipd.core.wire.messages import (
    Ack,
    Cookie,
    Digest,
    DigestAsk,
    Held,
    Hold,
    Join,
    MembersAsk,
    MembersPage,
    Message,
    Nack,
    Pages,
    PassAsk,
    Ping,
    PingReq,
    Refuse,
    RelayedAck,
    Welcome,
)
from gossipd.core.wire.records import AGE_WANTED_MAX, END, Group, KeyRecord
from tests.unit.core.talk import WALL

from .strategies import MESSAGES

OWN = MemberView("me", ("10.0.0.1", 7946), 1000, 0, Status.ALIVE)
PEERS: tuple[tuple[str, Address], ...] = (
    ("p0", ("10.0.1.1", 7946)),
    ("p1", ("10.0.1.2", 7946)),
    ("p2", ("2001:db8::3", 1)),
)
STRANGER = ("192.0.2.1", 9)
NAMES = (OWN.name, "p0", "p1", "p2", "x", "y")
ADDRESSES = (OWN.address, *(address for _, address in PEERS), STRANGER)
COUNTERS = ("a", "b", "c" * 128)
STREAMS = tuple((n << 66).to_bytes(10, "big") for n in (0, 1, 2, 255))

Answer: TypeAlias = (
    Ack | RelayedAck | Nack | Cookie | Welcome | Refuse | Digest | Pages | MembersPage | Held
)
Question: TypeAlias = Ping | PingReq | Join | DigestAsk | PassAsk | MembersAsk | Hold

_ANSWERS: dict[type[Question], tuple[type[Message], ...]] = {
    Ping: (Ack,),
    PingReq: (RelayedAck, Nack),
    Join: (Cookie, Welcome, Refuse),
    DigestAsk: (Digest,),
    PassAsk: (Pages,),
    MembersAsk: (MembersPage,),
    Hold: (Held,),
}

_HOMES = {OWN.name: OWN.address, **dict(PEERS)}
_strays = st.sampled_from((None, None, None, *ADDRESSES))
_views = st.builds(
    MemberView,
    st.sampled_from((OWN.name, *NAMES)),
    st.just(STRANGER),
    st.sampled_from((0, 999, *[1000] * 6, 1001, 1002, GENERATION_MAX)),
    st.sampled_from((0, 1, 2, 3, INCARNATION_MAX)),
    st.sampled_from(Status),
    st.sampled_from(((), (("k", "v"),))),
    st.sampled_from((0, 0, 1, 2000, 2**32 - 1)),
    st.lists(st.sampled_from(NAMES), max_size=3, unique=True).map(tuple),
)
views = st.tuples(_views, _strays).map(
    lambda two: two[0]._replace(address=two[1] or _HOMES.get(two[0].name, STRANGER))
)
"""Views of members, mostly at the addresses that are really theirs."""

KEYS = (
    *(UUID(int=number, version=4).bytes for number in (1, 2)),
    *(int(1000 * (WALL + at)).to_bytes(6, "big") + b"\x70" + bytes(9) for at in (100, 140, 900)),
)
"""Idempotency keys; some tell a time: the beginning of a test, soon after it, and later."""

_seqs = st.integers(0, 12) | st.just(SEQ_MAX)
_registers = st.tuples(
    st.sampled_from(COUNTERS),
    st.integers(1, 12) | st.just(SEQ_MAX),
    st.integers(-9, 9) | st.sampled_from((TOTAL_MAX, -TOTAL_MAX)),
)
_said = (
    st.sampled_from(KEYS),
    st.integers(1, 12),
    st.sampled_from(COUNTERS),
    st.sampled_from((1, 1, 5, -2)),
)
_ages = st.sampled_from((0, 0, 10, 5990, 6000, AGE_WANTED_MAX))
groups = st.builds(
    Group,
    st.sampled_from(STREAMS),
    _seqs,
    _seqs,
    st.lists(_registers, max_size=4).map(tuple),
    st.lists(st.builds(KeyRecord, *_said, _ages), max_size=3).map(tuple),
)
several_views = st.lists(views, max_size=4)
several_groups = st.lists(groups, max_size=3)
messages: st.SearchStrategy[Message] = st.one_of(*MESSAGES.values())


def answers(question: Question) -> st.SearchStrategy[Message]:
    """What may answer a question, yet to be `aimed`."""
    return st.one_of(*[MESSAGES[kind] for kind in _ANSWERS[type(question)]])


def aimed(
    answer: Message, question: Question, news: list[Group], told: list[MemberView]
) -> Message:
    """The answer as one to that very question, with what there is to tell in it."""
    assert isinstance(answer, Answer)
    match answer, question:
        case Digest(), DigestAsk(nonce, depth, prefix, _):
            return replace(answer, nonce=nonce, depth=depth, prefix=prefix)
        case Pages(), PassAsk(nonce, items):
            pages = [page for page in answer.pages if page.after < page.upto]
            asked = [
                page._replace(stream=item.stream, start=item.start, after=item.after, upto=END)
                for page, item in zip(pages, items, strict=False)
            ]
            return replace(answer, nonce=nonce, pages=tuple(asked))
        case MembersPage(), MembersAsk(nonce, after, _, _):
            return replace(answer, nonce=nonce, after=after, upto="", views=tuple(told))
        case Held(), Hold(nonce, groups):
            versions = tuple((group.stream, group.to) for group in (*groups, *news))
            return replace(answer, nonce=nonce, versions=versions)
        case _:
            return replace(answer, nonce=question.nonce)
