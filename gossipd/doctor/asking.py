"""What a gossip port answers over UDP: to plain questions, as large ones, and to who wants in.

All of it is asked from a socket of its own, which takes part in nothing: a join is never finished,
for its cookie is not sent back; but who sends a cookie belongs to the cluster, and says its name.
With the secrets of the node here all but the first plain question is asked in sealed datagrams, as
those who have secrets answer nothing else. Who cannot read it answers with an empty datagram of
its own, which shows what that is sealed with.

Each question is sent a few times, since datagrams get lost, and what has been answered is not
asked again.
"""

from __future__ import annotations

import errno
import secrets
import select
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gossipd.core import Address, Drop, Frame
from gossipd.core.wire.decoding import decode
from gossipd.core.wire.encoding import pack_body, pack_head
from gossipd.core.wire.frame import QUESTION
from gossipd.core.wire.messages import Cookie, Envelope, Join, Standing
from gossipd.sealing.changing import ChangingFrame
from gossipd.sealing.keyring import Keyring, fingerprint_of

ROUND = 0.22
"""Part of the time of an examination for which answers are waited for; there are three rounds."""

TRIES_AT = (0.0, 0.25, 0.55)
"""When in a round each question is sent, as long as it is not answered."""

SMALL = 64
"""Bytes of a plain question that any path carries."""

_IP_MTU_DISCOVER, _IP_MTU = (10, 23), (14, 24)
"""Linux: the options of IPv4 and of IPv6."""
_DO = 2
"""Never fragment, and say so on the way."""

_UNFIT = (Drop.SEALED, Drop.UNKNOWN_SECRET, b"")
"""What is made of the word of a node that has a secret, or another one, or none."""


@dataclass(slots=True)
class Heard:
    """What was heard of one address."""

    refusal: int = 0
    """The error with which this host, the other one, or one on the way refused; 0: none."""

    is_unsent: bool = False
    """Whether it was this host, which knows no way there."""

    pong_after: float | None = None
    """Seconds until `ping` was answered; None: it was not."""

    larger: bool = False
    """Whether it answers plain questions of any size, as older nodes do not."""

    clock_ahead: float = 0.0
    """Seconds by which its clock is ahead of this host's, where `larger`."""

    version: str = ""

    whole: dict[int, bool] = field(default_factory=dict)
    """Whether datagrams of a size get through both ways as they are; empty: not asked."""

    in_parts: dict[int, bool] = field(default_factory=dict)
    """Of those that do not: whether they do where the kernel may send them in parts."""

    path_mtu: int | None = None
    """What the path carries, as far as the kernel has been told: bytes of a packet."""

    name: str | None = None
    """The member that answers there, if it is of the cluster."""

    generation: int = 0

    seen: str = ""
    """The host that it sees this one as, where that is another than it is."""

    unfit: Drop | None = None
    """Why its answer cannot be read: it has a secret, or none, or another one."""

    seals: str = ""
    """The fingerprint of the secret with which its answer is sealed; empty: it is not."""

    @property
    def is_there(self) -> bool:
        """Whether anything was answered."""
        said = self.larger or self.name is not None or self.unfit is not None
        return self.pong_after is not None or said


@dataclass(slots=True)
class _Question:
    ask: Callable[[], bytes]
    """A datagram: another one each time, as none is taken in twice that is sealed."""
    is_answer: Callable[[bytes], bool]
    """Whether a datagram answers it; takes in what it says."""
    sent_at: list[float] = field(default_factory=list)
    answered: bool = False


def listen(
    address: Any,
    family: int,
    cluster: str,
    sizes: Sequence[int],
    timeout: float,
    keyring: Keyring | None = None,
) -> Heard:
    """Ask at one address of a socket, which is of `cluster` if all is well; are datagrams of these
    sizes carried? Takes two thirds of `timeout` seconds where much gets lost."""
    heard, wait = Heard(), ROUND * timeout
    frame = frame_of(cluster, keyring)
    kind = _Bare() if keyring is None else frame
    try:
        with _socket(address, family) as sock:
            questions = [_ping(heard), _long(heard, kind), _join(heard, sock, frame)]
            _ask(sock, questions, wait, heard)
        if heard.larger:
            _ask_sizes(address, family, sizes, wait, heard, kind)
    except OSError as error:  # no way there, or no such family on this host
        heard.refusal, heard.is_unsent = error.errno or errno.EIO, True
    return heard


class _Bare:
    """What a question is in that is in no datagram of a cluster."""

    overhead = 0
    padding = 1

    def close(self, body: bytes) -> bytes:
        return body

    def open(self, data: bytes) -> bytes | Drop:
        return data

    def peek(self, data: bytes) -> bytes | Drop:
        return data


def _ask_sizes(
    address: Any, family: int, sizes: Sequence[int], wait: float, heard: Heard, frame: Frame
) -> None:
    with _socket(address, family) as whole:
        level, place = _level(family)
        whole.setsockopt(level, _IP_MTU_DISCOVER[place], _DO)
        heard.whole = _sizes(whole, sizes, wait, frame)
        if not all(heard.whole.values()):
            mtu = whole.getsockopt(level, _IP_MTU[place])
            heard.path_mtu = mtu if mtu < max(sizes) + headers(address[0]) else None
    lost = [size for size, carried in heard.whole.items() if not carried]
    if lost:
        with _socket(address, family) as parts:
            heard.in_parts = _sizes(parts, lost, wait, frame)


def _sizes(
    sock: socket.socket, sizes: Sequence[int], wait: float, frame: Frame
) -> dict[int, bool]:
    questions = {size: _sized(size, frame) for size in sizes}
    _ask(sock, list(questions.values()), wait, Heard())
    return {size: question.answered for size, question in questions.items()}


def headers(host: str) -> int:
    """Bytes of a packet to an address that are no datagram."""
    return 48 if ":" in host else 28


def _level(family: int) -> tuple[int, int]:
    if family == socket.AF_INET6:
        return socket.IPPROTO_IPV6, 1
    return socket.IPPROTO_IP, 0


def _socket(address: Any, family: int) -> socket.socket:
    """Connected, so that the kernel tells what the other host refuses."""
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


def _ask(sock: socket.socket, questions: Sequence[_Question], wait: float, heard: Heard) -> None:
    """Until all are answered, or `wait` seconds are over, or somebody refuses all."""
    began = time.monotonic()
    waiting = [part * wait for part in TRIES_AT]
    while not all(question.answered for question in questions):
        now = time.monotonic() - began
        if now >= wait:
            return
        if waiting and now >= waiting[0]:
            waiting.pop(0)
            for question in questions:
                if not question.answered and not _send(sock, question, heard):
                    return
        until = waiting[0] if waiting else wait
        ready, _, _ = select.select([sock], [], [], max(0.0, until - now))
        if ready and not _receive(sock, questions, heard):
            return


def _send(sock: socket.socket, question: _Question, heard: Heard) -> bool:
    """False where nothing can be sent at all."""
    question.sent_at.append(time.monotonic())
    try:
        sock.send(question.ask())
    except OSError as error:
        return _goes_on(error, heard)
    return True


def _receive(sock: socket.socket, questions: Sequence[_Question], heard: Heard) -> bool:
    try:
        data = sock.recv(65536)
    except OSError as error:
        return _goes_on(error, heard)
    for question in questions:
        if not question.answered and question.is_answer(data):
            question.answered = True
    return True


def _goes_on(error: OSError, heard: Heard) -> bool:
    """A datagram that is too large for the path says nothing of the smaller ones."""
    if error.errno in (errno.EMSGSIZE, errno.EAGAIN):
        return True
    heard.refusal = error.errno or 0
    return False


def _ping(heard: Heard) -> _Question:
    def is_answer(data: bytes) -> bool:
        if data != b"pong\n":
            return False
        heard.pong_after = time.monotonic() - question.sent_at[-1]
        return True

    question = _Question(lambda: b"ping\n", is_answer)
    return question


def _sized(size: int, frame: Frame) -> _Question:
    """Whose datagram, and that of its answer, is as large as that; but for the seal, where who
    answers moves to a secret and does not seal yet."""
    word = secrets.token_hex(4).encode()
    question = (QUESTION + word + b" ").ljust(size - frame.overhead, b".")

    def is_answer(data: bytes) -> bool:
        said = frame.peek(data) if size - frame.overhead <= len(data) <= size else b""
        return isinstance(said, bytes) and said.startswith(b"pong " + word + b" ")

    return _Question(lambda: frame.close(question), is_answer)


def _long(heard: Heard, frame: Frame) -> _Question:
    sized = _sized(SMALL + frame.overhead, frame)

    def is_answer(data: bytes) -> bool:
        said = frame.peek(data) if sized.is_answer(data) else b""
        words = said.split() if isinstance(said, bytes) else []
        if len(words) < 4 or not words[2].isdigit():
            return False
        travelled = time.monotonic() - question.sent_at[-1]
        heard.clock_ahead = int(words[2]) / 1000 - (time.time() - travelled / 2)
        heard.version = words[3].decode("ascii", "replace")
        return True

    def is_there(data: bytes) -> bool:
        heard.larger = is_answer(data)
        return heard.larger

    question = _Question(sized.ask, is_there)
    return question


def _join(heard: Heard, sock: socket.socket, frame: Frame) -> _Question:
    """A first question of who wants in: it is answered with a cookie, and nobody remembers it."""
    nonce = secrets.randbits(64)
    own: Address = sock.getsockname()[:2]
    join = Join(nonce, own, (), b"", Standing.NEWCOMER)
    head = pack_head(f"doctor-{nonce:016x}", 1, 0, join)

    def is_answer(data: bytes) -> bool:
        body = frame.peek(data)
        if body in _UNFIT:
            heard.unfit = Drop.UNSEALED if body == b"" else Drop(body)
            heard.seals = "" if body == b"" else fingerprint_of(data)
            return True
        said = decode(body) if isinstance(body, bytes) else None
        if not isinstance(said, Envelope) or not isinstance(said.message, Cookie):
            return False
        if said.message.nonce != nonce:
            return False
        heard.name, heard.generation = said.sender, said.generation
        heard.seen = "" if said.message.seen == own else said.message.seen[0]
        return True

    return _Question(lambda: frame.close(pack_body(head, (), ())), is_answer)


def frame_of(cluster: str, keyring: Keyring | None) -> Frame:
    """What a node of the cluster with these secrets reads, and what one reads that still moves to
    them."""
    frame = ChangingFrame(cluster)
    if keyring is not None:
        frame.change(keyring, sends_plain=False, takes_plain=True)
    return frame
