"""The certificate of the API: read with its key, checked, and watched for its end.

What is wrong with a pair is told by the file. TLS 1.2 and later are spoken, with forward secrecy.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from gossipd.config.secrets import read_secret
from gossipd.config.spans import span
from gossipd.daemon.troubles import Trouble, Troubles
from gossipd.sideport.tls import Tls

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2; those of 1.3 are all good."""

FILE_SIZE_MAX = 1024 * 1024
"""Bytes of a chain of certificates."""

SOON = 14 * 86_400.0
"""Seconds before its end from which on a certificate is warned of, ..."""

SOON_PART = 0.25
"""... but not before so much of its life is left: some live for days."""

LOOK_INTERVAL = 600.0
"""Seconds between two looks at the end."""

_WORDS = {
    "KEY_VALUES_MISMATCH": "is not the key of this certificate",
    "KEY_TYPE_MISMATCH": "is not the key of this certificate",
    "EE_KEY_TOO_SMALL": "is the key of a certificate that is too weak: RSA needs 2048 bits",
}


class Certificate(NamedTuple):
    """One that can be used."""

    context: ssl.SSLContext
    path: str
    ends_at: float
    """Seconds since the epoch: of the one in the file that ends first."""
    lifetime: float
    """Seconds."""
    cas: frozenset[bytes] = frozenset()
    """What stands in the file of the CAs of clients, in pieces, each with one of them."""


def load_certificate(cert: str, key: str | None, client_ca: str | None) -> Certificate:
    """Read it; the key may stand in the same file. Raises `ValueError`, whose text names the
    file."""
    key = key or cert
    read_secret(key)
    begin, end = _validity(cert)
    cas = b"" if client_ca is None else _content(client_ca)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_ciphers(CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(cert, key, password=_refuse_password(key))
    except ssl.SSLError as error:
        raise ValueError(
            f"{key}: {_WORDS.get(error.reason or '', 'no key in it (PEM)')}"
        ) from None
    except OSError as error:
        raise ValueError(f"{cert}: {error.strerror or error}") from None
    if client_ca is not None:
        try:
            context.load_verify_locations(cadata=cas.decode("ascii", "ignore"))
        except (ssl.SSLError, ValueError):
            raise ValueError(f"{client_ca}: no certificate in it (PEM)") from None
        context.verify_mode = ssl.CERT_REQUIRED
    pieces = frozenset(map(bytes.strip, cas.split(b"-----END")))
    return Certificate(context, cert, end, end - begin, pieces)


def _content(path: str) -> bytes:
    """Raises `ValueError`."""
    try:
        with Path(path).open("rb") as file:
            return file.read(FILE_SIZE_MAX)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror or error}") from None


def _validity(path: str) -> tuple[float, float]:
    """From when until when a chain is valid. Raises `ValueError`."""
    from cryptography.x509 import load_pem_x509_certificates  # 10 MiB, and seldom needed

    content = _content(path)
    try:
        found = load_pem_x509_certificates(content)
    except ValueError:
        raise ValueError(f"{path}: no certificate in it (PEM)") from None
    first = min(found, key=lambda each: each.not_valid_after_utc)
    return first.not_valid_before_utc.timestamp(), first.not_valid_after_utc.timestamp()


def _refuse_password(path: str) -> Callable[[], str]:
    def refuse() -> str:
        raise ValueError(
            f"{path}: is encrypted, and nobody is there to be asked for a password; "
            f"run: openssl pkey -in {path} -out FILE"
        )

    return refuse


class Certificates:
    """The certificate that a node shows at present."""

    def __init__(self, tls: Tls, troubles: Troubles, distrust: Callable[[], None]) -> None:
        """`distrust`: has who came before come again."""
        self._tls = tls
        self._troubles = troubles
        self._distrust = distrust
        self._cas = frozenset[bytes]()
        self._timer: asyncio.TimerHandle | None = None

    def take(self, certificate: Certificate) -> None:
        """Show this one from now on to who comes."""
        self._tls.context = certificate.context
        self._tls.ends_at = certificate.ends_at
        self.stop()
        self._look(certificate)
        before, self._cas = self._cas, certificate.cas
        if before - certificate.cas:
            self._distrust()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look(self, certificate: Certificate) -> None:
        self._timer = asyncio.get_running_loop().call_later(LOOK_INTERVAL, self._look, certificate)
        text = what_is_wrong(certificate, time.time())
        if text is None:
            self._troubles.end(Trouble.CERTIFICATE)
        else:
            self._troubles.begin(Trouble.CERTIFICATE, text)


def what_is_wrong(certificate: Certificate, now: float) -> str | None:
    """With when it ends; None: nothing."""
    left = certificate.ends_at - now
    date = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(certificate.ends_at))
    if left <= 0:
        return f"the API's certificate {certificate.path} has expired ({date})"
    if left < min(SOON, SOON_PART * certificate.lifetime):
        return f"the API's certificate {certificate.path} expires in {span(left)} ({date})"
    return None
