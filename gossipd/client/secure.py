"""TLS around a client's connection: the daemon has to prove that it is the host that was asked.

What goes wrong is said in words. Imported only where https is asked for.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from functools import cache

from gossipd.client.connecting import Deadline
from gossipd.client.credentials import Credentials

_UNKNOWN_CA = "shows a certificate of no CA that is known here: name its file with --cacert"
_NO_TLS = "speaks no TLS: ask for it without https://"

_VERDICTS = {
    9: "shows a certificate that is not valid yet: is a clock wrong?",
    10: "shows a certificate that has expired",
    18: _UNKNOWN_CA,
    19: _UNKNOWN_CA,
    20: _UNKNOWN_CA,
    21: _UNKNOWN_CA,
    62: "shows a certificate for another name",
    64: "shows a certificate for another address",
}
"""By X509_V_ERR_… of OpenSSL."""

_REASONS = {
    "WRONG_VERSION_NUMBER": _NO_TLS,
    "RECORD_LAYER_FAILURE": _NO_TLS,
    "PACKET_LENGTH_TOO_LONG": _NO_TLS,
    "TLSV1_ALERT_PROTOCOL_VERSION": _NO_TLS,
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "asks for a client's certificate: name it with --cert",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "refuses: does it ask for a client's certificate (--cert)?",
    "TLSV1_ALERT_UNKNOWN_CA": "does not know the CA of this client's certificate (--cert)",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "says that this client's certificate has expired (--cert)",
    "SSLV3_ALERT_BAD_CERTIFICATE": "does not take this client's certificate (--cert)",
}


class UnusableError(Exception):
    """A file that was named is of no use; the text says why."""


def secured(
    connection: socket.socket, host: str, credentials: Credentials, deadline: Deadline
) -> ssl.SSLSocket:
    """The same, once the handshake is done. Raises `UnusableError`, and OSError."""
    connection.settimeout(deadline.left())
    name, _, _zone = host.partition("%")
    return context(credentials).wrap_socket(connection, server_hostname=name)


def said(error: OSError) -> str | None:
    """What went wrong with TLS; None where it is something else."""
    if isinstance(error, ssl.SSLCertVerificationError):
        told = f"shows a certificate that is refused: {error.verify_message}"
        return _VERDICTS.get(error.verify_code, told)
    if isinstance(error, ssl.SSLEOFError) or not isinstance(error, ssl.SSLError):
        return None
    reason = error.reason or str(error)
    return _REASONS.get(reason, f"does not agree on TLS: {reason.lower().replace('_', ' ')}")


@cache
def context(credentials: Credentials) -> ssl.SSLContext:
    """What a client trusts, and shows. Raises `UnusableError`."""
    path = credentials.cacert
    try:
        made = ssl.create_default_context(cafile=path or None)
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        # From Python 3.13 on that would refuse what `openssl x509` makes by itself.
        made.verify_flags &= ~ssl.VerifyFlags.VERIFY_X509_STRICT
        if path := credentials.cert:
            made.load_cert_chain(path, credentials.key or path, password=_refuse(credentials))
    except ssl.SSLError as error:
        if error.reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"):
            why = f"{credentials.key or path} is not its key"
        else:
            why = "no certificate in it, or no key (PEM)"
            if path == credentials.cert and not credentials.key:
                why += ": name the file of its key with --cert-key"
        raise UnusableError(f"{path}: {why}") from None
    except OSError as error:
        other = f" (or {credentials.key})" if path and credentials.key else ""
        raise UnusableError(f"{path}{other}: {error.strerror or error}") from None
    return made


def _refuse(credentials: Credentials) -> Callable[[], str]:
    def refuse() -> str:
        raise UnusableError(f"{credentials.key or credentials.cert}: is encrypted; decrypt it")

    return refuse
