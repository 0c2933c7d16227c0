"""Where something listens: a host and a port, as people write them.

One syntax everywhere: `host:port`, IPv6 in brackets, an empty host for "all addresses" where that
makes sense. Nothing is resolved here; a host is a name or an address, checked for its form only.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

GOSSIP_PORT = 7946
API_PORT = 7947
PORT_MAX = 65535
HOST_SIZE_MAX = 253

LOCALHOST = "localhost"
"""For the API: both loopback addresses, whatever a resolver makes of the name."""

LOOPBACK = "127.0.0.1"
LOOPBACKS = (LOOPBACK, "::1")
"""Those two."""

ANYWHERE = ("0.0.0.0", "::")
"""What a socket is bound to that takes all addresses of its host."""

_SCHEME_PORTS = {"http": 80, "https": 443}

_OF_URLS = (("@", "a user's name"), ("/", "a path"), ("?", "a query"), ("#", "a fragment"))
"""What people copy from the address of a page, and no endpoint has."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    host: str
    """A name, an IPv4 or an IPv6 address (without brackets); empty: all addresses."""

    port: int
    """0 to 65,535; 0: any free one."""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str, default_port: int | None = None) -> Endpoint:
        """`[HOST]:PORT`; without a default the port must be given. Raises ValueError."""
        host, port = _split(text)
        if port is None and default_port is None:
            raise ValueError(f'{text!r} has no port; expected HOST:PORT or ":PORT"')
        return cls(host, default_port or 0 if port is None else _port(port, text))

    @classmethod
    def parse_peer(cls, text: str, default_port: int | None = GOSSIP_PORT) -> Endpoint:
        """`HOST[:PORT]` of something to talk to: host not empty, port not 0. Raises ValueError."""
        endpoint = cls.parse(text, default_port)
        if not endpoint.host:
            raise ValueError(f"{text!r} has no host; expected HOST:PORT")
        if not endpoint.port:
            raise ValueError(f"{text!r} has port 0; expected 1 to {PORT_MAX}")
        return endpoint


@dataclass(frozen=True, slots=True)
class Https(Endpoint):
    """One that is asked by TLS."""

    def __str__(self) -> str:
        return f"https://{Endpoint(self.host, self.port)}"


def _split(text: str) -> tuple[str, str | None]:
    scheme, is_url, _ = text.partition("://")
    if is_url:
        raise ValueError(f"{text!r} is a URL; expected HOST:PORT without {scheme + '://'!r}")
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or not _is_ipv6(host) or (rest and not rest.startswith(":")):
            raise ValueError(f"{text!r} is not an IPv6 address in brackets, as in [::1]:7946")
        if is_link_local(host) and "%" not in host:
            raise ValueError(
                f"{text!r} has no zone, and a link-local address says nothing without one, as in "
                "[fe80::1%eth0]:7946"
            )
        return host, rest[1:] if rest else None
    for sign, what in _OF_URLS:
        if sign in text:
            shown = text.rpartition("@")[2]  # before it there may be a token
            raise ValueError(f"{shown!r} has {what}; expected HOST:PORT alone")
    if text.count(":") > 1:
        raise ValueError(f"{text!r}: write an IPv6 address in brackets, as in [::1]:7946")
    host, colon, port = text.partition(":")
    if not colon and host.isascii() and host.isdigit():
        raise ValueError(f"{text!r} is not HOST:PORT; a port alone is {':' + text!r}")
    if not (host or colon) or not _is_host(host):
        raise ValueError(f"{text!r} is not HOST:PORT")
    return host, port if colon else None


def _port(digits: str, text: str) -> int:
    if not (
        digits.isascii() and digits.isdigit() and len(digits) <= 5 and int(digits) <= PORT_MAX
    ):
        raise ValueError(f"{text!r} has no valid port; expected 0 to {PORT_MAX}")
    return int(digits)


def _is_host(host: str) -> bool:
    if host and set(host) <= set("0123456789."):
        return _is_address(socket.AF_INET, host)
    return len(host) <= HOST_SIZE_MAX and all(sign.isalnum() or sign in "-._" for sign in host)


def is_link_local(host: str) -> bool:
    """Whether it is an IPv6 address of one link, which means something only where that link is
    known. (IPv4 hosts take 169.254.0.0/16 to be on the only link that they have.)"""
    return ":" in host and IPv6Address(host).is_link_local


def parse_origin(text: str) -> str:
    """The origin of a web page as browsers write it: scheme, host, and a port unless it is that
    of the scheme; or `*`. Raises ValueError."""
    scheme, _, rest = text.lower().partition("://")
    if text == "*":
        return text
    if scheme not in _SCHEME_PORTS or not rest.isascii():
        raise ValueError(f"{text!r} is no origin, as https://app.example.org")
    endpoint = Endpoint.parse_peer(rest, _SCHEME_PORTS[scheme])
    host = str(Endpoint(endpoint.host, 0)).removesuffix(":0")
    default = endpoint.port == _SCHEME_PORTS[scheme]
    return f"{scheme}://{host}" if default else f"{scheme}://{endpoint}"


def is_loopback(host: str) -> bool:
    """Whether it is an address that only its own host reaches; a name is not looked up."""
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def is_reachable(host: str) -> bool:
    """Whether what listens there is reached from other hosts; a name is not looked up."""
    try:
        return not host or not ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _is_ipv6(host: str) -> bool:
    address, percent, zone = host.partition("%")
    return _is_address(socket.AF_INET6, address) and (
        not percent or (bool(zone) and all(sign.isalnum() or sign in "-._" for sign in zone))
    )


def _is_address(family: socket.AddressFamily, address: str) -> bool:
    try:
        socket.inet_pton(family, address)
    except (OSError, UnicodeError):
        return False
    return True
