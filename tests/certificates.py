"""Certificates for tests: an authority, and what it issues, as files."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

PEM, PKCS8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
PLAIN = serialization.NoEncryption()


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    cert: Path
    key: Path

    @property
    def options(self) -> tuple[str, ...]:
        """Of `gossipd run`."""
        return ("--api-cert", str(self.cert), "--api-key", str(self.key))


class Authority:
    """Signs what it is asked for."""

    def __init__(self, directory: Path, name: str = "ca") -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self.cert = directory / f"{name}.pem"
        made = self._builder(self._name, self._key.public_key(), timedelta(days=90))
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self._write(self.cert, made)

    def issue(
        self,
        name: str,
        *hosts: str,
        days: float = 90,
        password: bytes = b"",
        with_rsa: bool = False,
    ) -> Pair:
        """For hosts, or addresses; `days` from now it ends."""
        key = rsa.generate_private_key(65537, 2048) if with_rsa else None
        private = key or ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        made = self._builder(subject, private.public_key(), timedelta(days=days))
        if hosts:
            names = x509.SubjectAlternativeName([_general(host) for host in hosts])
            made = made.add_extension(names, critical=False)
        pair = Pair(self._directory / f"{name}.pem", self._directory / f"{name}.key")
        self._write(pair.cert, made)
        lock = serialization.BestAvailableEncryption(password) if password else PLAIN
        pair.key.touch(0o600)
        pair.key.write_bytes(private.private_bytes(PEM, PKCS8, lock))
        return pair

    def _builder(
        self,
        subject: x509.Name,
        public: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
        lasts: timedelta,
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        began = min(now, now + lasts) - timedelta(days=30)
        return (
            x509.CertificateBuilder(self._name, subject, public, x509.random_serial_number())
            .not_valid_before(began)
            .not_valid_after(now + lasts)
        )

    def _write(self, path: Path, made: x509.CertificateBuilder) -> None:
        path.write_bytes(made.sign(self._key, hashes.SHA256()).public_bytes(PEM))


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
