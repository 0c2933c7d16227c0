"""Whose a datagram is that came from an address."""

from __future__ import annotations

from gossipd.core.wire.messages import Gossip

from .talk import FRAME, Peer, Talk


def test_a_datagram_is_that_of_the_member_at_an_address_only_if_it_says_so_itself() -> None:
    """Whoever has seen one on its way can send it in the name of another address."""
    talk = Talk(peers=2)
    one, other, stranger = talk.peer("p0"), talk.peer("p1"), Peer("x", ("10.0.9.9", 7946))
    spoke_from = talk.node.spoke_from
    talk.hear(one, Gossip())
    assert spoke_from(one.address)
    assert not spoke_from(other.address)
    talk.hear(one, Gossip(), source=other.address)
    assert not spoke_from(other.address)
    talk.hear(stranger, Gossip())
    assert not spoke_from(stranger.address)
    talk.hear(one, Gossip())
    for nothing in (FRAME.close(b"ping 1 "), FRAME.close(b""), b""):
        talk.deliver(nothing, one.address)
        assert not spoke_from(one.address)
