"""Networks as people write them (CIDR), and whether an address is in one of a list.

Asking costs a microsecond or two, for it is asked of everything that comes. An IPv4 address that
is written as IPv6 (`::ffff:10.0.0.1`) is the IPv4 address, and a zone (`%eth0`) says nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

MAPPED = "::ffff:"
"""How an IPv4 address begins that is written as IPv6."""


def unmapped(host: str) -> str:
    """An address, IPv4 not written as IPv6. What goes on in hexadecimal behind the same beginning
    (`::ffff:0:102:304`) is one of IPv6."""
    rest = host.removeprefix(MAPPED)
    return host if ":" in rest else rest


def parse_network(text: str) -> str:
    """A network, or an address, which is one of a single host; as it is usually written. Raises
    `ValueError`."""
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"expected a network like 10.0.0.0/8 or fd00::/8: {error}") from None
    if isinstance(network, ipaddress.IPv6Network):
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            raise ValueError(f"{text!r}: write an IPv4 network as such, as in {mapped}/…")
        if network.network_address.scope_id:
            raise ValueError(f"{text!r}: a network has no zone")
    return str(network)


class Networks:
    """A list of networks; `host in networks` for an address as text."""

    def __init__(self, texts: Iterable[str]) -> None:
        """`texts`: as `parse_network` takes them."""
        self._v4: list[tuple[int, int]] = []
        self._v6: list[tuple[int, int]] = []
        """Mask and address of each."""
        for network in map(ipaddress.ip_network, texts):
            listed = self._v4 if network.version == 4 else self._v6
            listed.append((int(network.netmask), int(network.network_address)))

    def __contains__(self, host: str) -> bool:
        host = unmapped(host)
        if ":" in host:
            packed = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
            listed = self._v6
        else:
            packed, listed = socket.inet_aton(host), self._v4
        number = int.from_bytes(packed, "big")
        return any(number & mask == network for mask, network in listed)
