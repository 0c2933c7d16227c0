"""What is heard of a gossip port over UDP, of fakes and of what is no gossipd."""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gossipd.core import Drop, Frame, TagFrame
from gossipd.core.wire.decoding import decode
from gossipd.core.wire.encoding import pack_body, pack_head
from gossipd.core.wire.messages import Cookie, Envelope, Join
from gossipd.daemon import plain
from gossipd.doctor.asking import Heard, listen
from gossipd.sealing.changing import ChangingFrame
from gossipd.sealing.frame import SealedFrame
from gossipd.sealing.keyring import Keyring, Secret

FRAME = TagFrame("shop")
SIZES = (640, 1400)

Answer = Callable[[bytes, tuple[str, int]], bytes | None]


@contextmanager
def port(answer: Answer) -> Iterator[tuple[str, int]]:
    """Somebody answers there until the end."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        place = sock.getsockname()

        def serve() -> None:
            while True:
                data, source = sock.recvfrom(65536)
                if data == b"end":
                    return
                said = answer(data, source)
                if said is not None:
                    sock.sendto(said, source)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield place
        finally:
            sock.sendto(b"end", place)
            thread.join()


def heard_of(answer: Answer, cluster: str = "shop") -> Heard:
    with port(answer) as place:
        return listen(place, socket.AF_INET, cluster, SIZES, timeout=6.0)


def plainly(data: bytes, _: tuple[str, int], ahead: float = 0.0) -> bytes | None:
    """As a node answers plain questions."""
    return plain.answer(data, time.time() + ahead)


def cookie(data: bytes, seen: tuple[str, int]) -> bytes | None:
    """As a member answers who wants in."""
    body = FRAME.open(data)
    said = decode(body) if isinstance(body, bytes) else None
    if not isinstance(said, Envelope) or not isinstance(said.message, Join):
        return None
    assert not said.message.cookie, "it never finishes a join"
    answer = Cookie(said.message.nonce, b"c" * 8, seen)
    return FRAME.close(pack_body(pack_head("b", 77, 0, answer), (), ()))


def test_a_member_is_heard_wholly() -> None:
    heard = heard_of(lambda data, source: plainly(data, source, 300.0) or cookie(data, source))
    assert heard.pong_after is not None
    assert (heard.larger, heard.name, heard.generation, heard.seen) == (True, "b", 77, "")
    assert heard.whole == dict.fromkeys(SIZES, True)
    assert 299 < heard.clock_ahead < 301
    assert heard.version


def test_one_behind_a_nat_is_told_where_it_is_seen() -> None:
    heard = heard_of(lambda data, source: plainly(data, source) or cookie(data, ("192.0.2.9", 5)))
    assert (heard.name, heard.seen) == ("b", "192.0.2.9")


def test_an_older_node_and_one_of_another_cluster_answer_less() -> None:
    def old(data: bytes, source: tuple[str, int]) -> bytes | None:
        return plainly(data, source) if data == b"ping\n" else cookie(data, source)

    heard = heard_of(old)
    assert (heard.pong_after is not None, heard.larger, heard.whole) == (True, False, {})
    assert heard.name == "b"
    other = heard_of(
        lambda data, source: plainly(data, source) or cookie(data, source), cluster="bank"
    )
    assert (other.larger, other.name) == (True, None)


def test_answers_of_strangers_are_none() -> None:
    assert heard_of(lambda data, _: data) == Heard()
    assert heard_of(lambda _, __: b"\xff" * 2000) == Heard()
    echoing = heard_of(lambda data, _: data.replace(b"ping", b"pong"))
    assert (echoing.pong_after is not None, echoing.larger) == (True, False)


def test_a_port_at_which_nobody_listens_refuses() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        place = sock.getsockname()
    heard = listen(place, socket.AF_INET, "shop", SIZES, timeout=6.0)
    assert (heard.refusal, heard.is_unsent, heard.is_there) == (111, False, False)


def test_where_this_host_has_no_way_nothing_is_sent() -> None:
    heard = listen(("255.255.255.255", 7946), socket.AF_INET, "shop", SIZES, timeout=6.0)
    assert heard.refusal in (errno.EACCES, errno.ENETUNREACH)  # the latter without a network
    assert (heard.is_unsent, heard.is_there) == (True, False)


def test_what_is_lost_is_asked_again() -> None:
    seen: list[bytes] = []

    def forgetful(data: bytes, source: tuple[str, int]) -> bytes | None:
        seen.append(data)
        return plainly(data, source) or cookie(data, source) if seen.count(data) > 1 else None

    heard = heard_of(forgetful)
    assert (heard.larger, heard.name, heard.whole) == (True, "b", dict.fromkeys(SIZES, True))
    assert max(map(seen.count, seen)) <= 3


# --- secrets -------------------------------------------------------------------------------------

OURS, THEIRS = Keyring((Secret.fresh(),)), Keyring((Secret.fresh(),))


def of_a_node(frame: Frame) -> Answer:
    """As a node answers that reads this, and says nothing to who it cannot read but a word."""

    def answer(data: bytes, source: tuple[str, int]) -> bytes | None:
        if data == b"ping\n":
            return b"pong\n"
        body = frame.open(data)
        if body in (Drop.SEALED, Drop.UNSEALED, Drop.UNKNOWN_SECRET):
            return frame.close(b"")
        if isinstance(body, bytes) and body.startswith(b"ping "):
            said = plain.answer(body, time.time())
            return frame.close(said) if said else None
        said_by = decode(body) if isinstance(body, bytes) else None
        if not isinstance(said_by, Envelope) or not isinstance(said_by.message, Join):
            return None
        cookie_for = Cookie(said_by.message.nonce, b"c" * 8, source)
        return frame.close(pack_body(pack_head("b", 77, 0, cookie_for), (), ()))

    return answer


def asked_with(keyring: Keyring | None, answer: Answer, cluster: str = "shop") -> Heard:
    with port(answer) as place:
        return listen(place, socket.AF_INET, cluster, SIZES, 6.0, keyring)


def test_with_the_same_secret_all_is_heard_and_sealed() -> None:
    heard = asked_with(OURS, of_a_node(SealedFrame("shop", OURS)))
    assert (heard.name, heard.larger, heard.unfit) == ("b", True, None)
    assert heard.whole == dict.fromkeys(SIZES, True)
    assert heard.version
    assert abs(heard.clock_ahead) < 5


def test_another_secret_is_told_by_its_fingerprint() -> None:
    heard = asked_with(OURS, of_a_node(SealedFrame("shop", THEIRS)))
    assert (heard.unfit, heard.seals) == (Drop.UNKNOWN_SECRET, THEIRS.fingerprints[0])
    assert (heard.name, heard.larger) == (None, False)


def test_one_side_may_have_no_secret() -> None:
    without = asked_with(None, of_a_node(SealedFrame("shop", THEIRS)))
    assert (without.unfit, without.seals) == (Drop.SEALED, THEIRS.fingerprints[0])
    plainly_there = asked_with(OURS, of_a_node(TagFrame("shop")))
    assert (plainly_there.unfit, plainly_there.seals) == (Drop.UNSEALED, "")


def test_another_cluster_says_nothing_to_what_is_sealed() -> None:
    heard = asked_with(OURS, of_a_node(SealedFrame("bank", OURS)))
    assert heard.pong_after is not None
    assert (heard.unfit, heard.name, heard.larger) == (None, None, False)


def test_who_moves_to_a_secret_is_read_though_it_does_not_seal_yet() -> None:
    moving = ChangingFrame("shop")
    moving.change(OURS, sends_plain=True, takes_plain=True)
    heard = asked_with(OURS, of_a_node(moving))
    assert (heard.name, heard.unfit, heard.larger) == ("b", None, True)
