"""A client of TLS 1.3 that asks for new keys (RFC 8446 4.6.3), as Python's own cannot: its
records, sealed with what it has logged."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

_UPDATE, _HANDSHAKE = b"\x18\x00\x00\x01\x01", b"\x16"


class Keys:
    """What one client seals with from the end of its handshake on."""

    def __init__(self, log: Path) -> None:
        """`log`: of one connection (`SSLContext.keylog_filename`), by TLS_AES_256_GCM_SHA384."""
        lines = map(str.split, log.read_text().splitlines())
        (secret,) = (words[2] for words in lines if words[0] == "CLIENT_TRAFFIC_SECRET_0")
        self._take(bytes.fromhex(secret))

    def update(self) -> bytes:
        """A record that says: new keys from now on, and I want such of you."""
        said = _UPDATE + _HANDSHAKE
        head = b"\x17\x03\x03" + (len(said) + 16).to_bytes(2, "big")
        record = head + self._key.encrypt(self._nonce, said, head)
        self._take(_expanded(self._secret, b"traffic upd", 48))
        return record

    def _take(self, secret: bytes) -> None:
        self._secret = secret
        self._key = AESGCM(_expanded(secret, b"key", 32))
        self._nonce = _expanded(secret, b"iv", 12)  # of the first record, and there is no other


def _expanded(secret: bytes, label: bytes, size: int) -> bytes:
    label = b"tls13 " + label
    info = size.to_bytes(2, "big") + bytes((len(label),)) + label + b"\0"
    return HKDFExpand(hashes.SHA384(), size, info).derive(secret)
