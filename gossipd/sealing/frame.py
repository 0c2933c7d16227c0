"""The frame with secrets: nobody else reads a datagram, makes one, or has one taken twice.

    2 bytes magic · version · flags: sealed · 4 bytes cluster hash
    4 bytes fingerprint of the secret · 16 bytes salt · 4 bytes counter · 8 random bytes
    ciphertext · 16 bytes tag

AES-256-GCM over the body; all before it is authenticated with it. What an observer sees: that it
is gossipd, a hash of the cluster's name, which secret, which process, how many datagrams that has
sent, and how long a body is, to `PADDING` bytes.

**Nonces.** GCM fails when a nonce comes twice under one key (NIST SP 800-38D, section 8). Were
they random, with one key for all, the standard would allow 2^32 datagrams (8.3) in the whole
cluster for as long as the secret is used: 1,000 nodes that send 600 a second are there after two
hours. So no two processes share a key: each draws a salt when it starts, the key is blake2b of
salt and cluster under the secret, and the nonce is a counter (8.2.1). Two salts of 16 random bytes
are equal with odds of n^2 / 2^129, that is 2^-49 for 2^40 starts. After 2^32 datagrams (50 days at
1,000 a second) a sender draws another salt, so its counter has no end. One key has then sealed
2^39 blocks at most, which leaves odds of 2^-51 to tell what it gives from noise. The random bytes
behind the counter are for a process that goes on twice from one copy of its memory, as virtual
machines do from a snapshot: they keep its nonces apart.

**Receivers** derive a key, or have it in a cache, by fingerprint and salt. Only a key that has
opened something goes into it, so that strangers do not fill it; what it has no room for is derived
again. Each key has a window: a counter that has come, or is too far behind the largest one to
know, is refused (RFC 4303, 3.4.3). So replays are cheap to refuse, and counted. The protocol does
not rest on it: a node that has restarted remembers no window, and takes the old for what is known.
Who goes on from a snapshot counts on from there and is refused: so a node that hears that it is
blamed draws another salt (`renew`). What comes back to its sender is opened like all else: the
core finds by it that an address is its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import blake2b

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gossipd.core import Drop
from gossipd.core.settings import DATAGRAM_SIZE_MAX
from gossipd.core.wire.frame import SEALED, head_of, why_not

from .keyring import FINGERPRINT_SIZE, Keyring, Secret

SALT_SIZE, COUNTER_SIZE, RANDOM_SIZE, TAG_SIZE = 16, 4, 8, 16

SENDERS_MAX = 4096
"""Keys of others in the cache, some 3 KiB each; in larger clusters each datagram of a sender that
is not in it costs 5 microseconds more."""

WINDOW = 4096
"""How far behind the largest counter of a sender one may be, in datagrams that it has sent to
anybody: seconds of a busy one."""

PADDING = 32
"""Bodies are made multiples of so many bytes, as far as there is room: 5 sizes where nothing is
counted and 21 where much is, for 7 to 9 % more bytes. 64 would leave 3 and 11, for 11 to 15 %."""

COUNTERS = 1 << 8 * COUNTER_SIZE
"""Datagrams under one salt."""

_PERSON = b"gossipd datagram"
_HEAD = 8
_NAMED = _HEAD + FINGERPRINT_SIZE
_SALTED = _NAMED + SALT_SIZE
_COUNTED = _SALTED + COUNTER_SIZE
_HEADER = _COUNTED + RANDOM_SIZE
_WINDOW_BITS = (1 << WINDOW) - 1


class _Key:
    """What one process seals with, under one salt."""

    __slots__ = ("_aead", "_came", "_largest")

    def __init__(self, secret: Secret, salt: bytes, cluster: bytes) -> None:
        derived = blake2b(salt + cluster, key=secret.value, digest_size=32, person=_PERSON)
        self._aead = AESGCM(derived.digest())
        self._largest = -1
        self._came = 0
        """One bit for each counter of the window, the largest one's is the lowest."""

    def seal(self, header: bytes, body: bytes) -> bytes:
        return header + self._aead.encrypt(header[_SALTED:], body, header)

    def open(self, data: bytes) -> bytes:
        """Raises `InvalidTag`."""
        header = data[:_HEADER]
        return self._aead.decrypt(header[_SALTED:], data[_HEADER:], header)

    def has_come(self, counter: int) -> bool:
        """Whether it came, or may have come."""
        behind = self._largest - counter
        return behind >= 0 and (behind >= WINDOW or bool(self._came >> behind & 1))

    def note(self, counter: int) -> None:
        ahead = counter - self._largest
        if ahead > 0:
            self._largest = counter
            self._came = (self._came << ahead) & _WINDOW_BITS if ahead < WINDOW else 0
            self._came |= 1
        else:
            self._came |= 1 << -ahead


class SealedFrame:
    """Seals with the first secret of a keyring, and opens with all of them."""

    overhead = _HEADER + TAG_SIZE
    padding = PADDING

    def __init__(
        self,
        cluster: str,
        keyring: Keyring,
        urandom: Callable[[int], bytes] = os.urandom,
        counter: int = 0,
    ) -> None:
        """`urandom` gives what is random, in production the system's; `counter` is where the first
        salt begins."""
        self._cluster = cluster.encode()
        self._head = head_of(cluster, SEALED)
        self._urandom = urandom
        self._secrets: dict[bytes, Secret] = {}
        self._own: Secret | None = None
        self._keys: dict[bytes, _Key] = {}
        """By fingerprint and salt; those that were used last are at the end."""
        self.change(keyring)
        self._counter = counter

    def change(self, keyring: Keyring) -> None:
        """Other secrets hold from now on; of those that stay nothing is forgotten."""
        self._secrets = {secret.id: secret for secret in keyring.secrets}
        self._keys = {
            name: key
            for name, key in self._keys.items()
            if name[:FINGERPRINT_SIZE] in self._secrets
        }
        if self._own != keyring.secrets[0]:
            self._own = keyring.secrets[0]
            self.renew()

    def renew(self) -> None:
        """Seal under another salt from now on."""
        assert self._own is not None
        salt = self._urandom(SALT_SIZE)
        self._counter = 0
        self._key = _Key(self._own, salt, self._cluster)
        self._prefix = self._head + self._own.id + salt

    def close(self, body: bytes) -> bytes:
        if self._counter == COUNTERS:
            self.renew()
        count = self._counter.to_bytes(COUNTER_SIZE)
        header = self._prefix + count + self._urandom(RANDOM_SIZE)
        self._counter += 1
        return self._key.seal(header, body)

    def open(self, data: bytes) -> bytes | Drop:
        key = self._key_of(data)
        if isinstance(key, Drop):
            return key
        body = _opened(key, data)
        if isinstance(body, bytes):
            key.note(_counter(data))
            name = data[_HEAD:_SALTED]
            self._keys.pop(name, None)
            self._keys[name] = key
            if len(self._keys) > SENDERS_MAX:
                del self._keys[next(iter(self._keys))]
        return body

    def peek(self, data: bytes) -> bytes | Drop:
        key = self._key_of(data)
        return key if isinstance(key, Drop) else _opened(key, data)

    def refusal(self, data: bytes) -> Drop | None:
        """Why a datagram will not be opened, as far as no key has to be made to find out."""
        key = self._known(data)
        found = _opened(key, data) if isinstance(key, _Key) else key
        return found if isinstance(found, Drop) else None

    def _key_of(self, data: bytes) -> _Key | Drop:
        """What may open a datagram."""
        key = self._known(data)
        if isinstance(key, Secret):
            return _Key(key, data[_NAMED:_SALTED], self._cluster)
        return key

    def _known(self, data: bytes) -> _Key | Secret | Drop:
        """The same, or the secret of which a key is to be derived."""
        if len(data) > DATAGRAM_SIZE_MAX:
            return Drop.TOO_LARGE
        if data[:_HEAD] != self._head:
            return why_not(data, self._head)
        if len(data) < self.overhead:
            return Drop.TOO_SHORT
        key = self._keys.get(data[_HEAD:_SALTED])
        if key is None:
            return self._secrets.get(data[_HEAD:_NAMED], Drop.UNKNOWN_SECRET)
        return Drop.REPLAYED if key.has_come(_counter(data)) else key


def _counter(data: bytes) -> int:
    return int.from_bytes(data[_SALTED:_COUNTED])


def _opened(key: _Key, data: bytes) -> bytes | Drop:
    try:
        return key.open(data)
    except InvalidTag:
        return Drop.FORGED
