"""Every bound of the side port, with its name: what a client may send, and how slowly."""

from __future__ import annotations

from dataclasses import dataclass

from gossipd.config.bounds import BATCH_SIZE_MAX, CONNECTIONS_MAX, WATCHERS_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    connections_max: int = CONNECTIONS_MAX
    """Connections held at a time; one more takes the place of who has been idle the longest."""

    address_share: float = 0.5
    """Part of these, and of the watchers, that one address may have: an IPv4 address, an IPv6
    network of 64 bits, or by a Unix socket a user. A proxy is one address, too."""

    idle_min: float = 1.0
    """Seconds for which a connection waits for its client before it makes room for another."""

    reserve_max: int = 64
    """Connections held beyond, where all others are busy: each is answered one short question (no
    list, no batch, nothing that waits) and closed. One more is refused."""

    reserve_timeout: float = 2.0
    """Seconds in which that question must have come."""

    refusals_max: int = 256
    """Refused connections that may still be reading their refusal; more are cut at once, so that
    refusing costs a bounded number of descriptors."""

    handshakes_max: int = 256
    """Handshakes of TLS under way at a time; of more the one that has begun first is cut."""

    head_size_max: int = 16 * 1024
    """Bytes of an HTTP head (request line and header fields), and of trailers: beyond, 431."""

    body_size_max: int = 64 * 1024
    """Bytes of an HTTP body: beyond, 413."""

    batch_size_max: int = BATCH_SIZE_MAX
    """Bytes of the body of a batch of increments: beyond, 413. While a batch that is larger than
    `body_size_max` waits for its answer, nothing more is read from its connection."""

    batches_size_max: int = 64 * 1024 * 1024
    """Bytes of the bodies larger than `body_size_max` that all connections together may hold;
    one more is refused (503) before it is read."""

    line_size_max: int = 4096
    """Bytes of a text line: beyond, an error and the end of the connection."""

    request_size_max: int = 64 * 1024
    """Bytes of a command of RESP: beyond, an error and the end of the connection."""

    words_max: int = 1024
    """Words of one, its name included: the same beyond. In memory the shortest take ten times
    their size."""

    pending_max: int = 64
    """Commands of one connection that wait for their answers; beyond, nothing more is read. A
    slice of input is parsed whole, so it may be passed by what 1 KiB holds."""

    head_timeout: float = 10.0
    """Seconds from the first byte of an HTTP head to its last: beyond, 408."""

    body_timeout: float = 30.0
    """Seconds from the end of the head to the end of the body: beyond, 408."""

    idle_timeout: float = 75.0
    """Seconds an HTTP connection is kept between two requests."""

    silent_timeout: float = 10.0
    """Seconds a connection is kept that has said nothing yet, and then from the first byte of its
    first line to the last."""

    text_idle_timeout: float = 3600.0
    """Seconds a text connection is kept between two commands: a human types."""

    send_size_max: int = 128 * 1024
    """Bytes of answers that the kernel holds for a connection (Linux takes it twice). What is made
    for a client who never reads is made in vain, and the kernel would take 4 MiB."""

    flow_size_max: int = 16 * 1024
    """The same of an answer that does not end: what a watcher does not read at once is remembered
    for it, and made for all of them together."""

    unsent_max: int = 4096
    """Bytes of such an answer from which on no more is made while they cannot even be sent: so
    those who never read have soon been told all that they are."""

    write_timeout: float = 30.0
    """Seconds after which it is looked at how much a client took of what waits for it."""

    write_rate_min: float = 1024.0
    """Bytes a second that it must have taken, or it is cut."""

    watchers_max: int = WATCHERS_MAX
    """Watchers (`GET /events`, `watch`) at a time, of one address the share; one more is refused
    (503)."""

    changes_max: int = 16_384
    """Changes that are held for all of them together; who is further behind is dropped."""

    heartbeat_interval: float = 15.0
    """Seconds after which a watcher is told that the node lives."""

    word_timeout: float = 0.25
    """Seconds that a watcher has to take the last word of a node that stops: it lost nothing, as
    it goes on where it was."""

    presence_interval: float = 0.25
    """Seconds between two looks whether a client that waits, and from which nothing is read, is
    still there: some time after twice that what it waits for is given up, once it has closed."""

    linger_timeout: float = 2.0
    """Seconds for which input is still read and thrown away after the last answer, because
    closing over unread input resets the connection, which can destroy the answer."""

    linger_size_max: int = 16 * 1024 * 1024
    """Bytes thrown away at most for that purpose."""

    origins: frozenset[str] = frozenset()
    """Origins of other hosts whose pages may ask, in small letters; `*`: all."""

    names: frozenset[str] = frozenset()
    """Names of the node, in small letters, by which a browser may ask, besides `localhost`: nobody
    else must be able to own them."""

    def share_of(self, most: int) -> int:
        """How many of `most` one address may have."""
        return max(1, int(most * self.address_share))
