"""What is seen of one address: its gossip port over UDP, and the API beside it, if it is open."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from gossipd.client import AskingError, Client, Credentials, NoAnswerError
from gossipd.config.endpoint import PORT_MAX, Endpoint, Https
from gossipd.config.unix import ApiAddress
from gossipd.doctor.asking import Heard, listen
from gossipd.sealing.keyring import Keyring

API_PART = 0.25
"""Part of the time of an examination for a question to an API."""

Row = dict[str, Any]
"""What a node answers as an object."""


def row_in(value: object) -> Row:
    """A part of such an answer; empty where it is not there, or no object."""
    return value if isinstance(value, dict) else {}


@dataclass(slots=True)
class Api:
    """What the API at an address answers."""

    endpoint: Endpoint
    status: Row = field(default_factory=dict)
    """Empty: it did not answer."""

    error: str = ""
    is_there: bool = False
    """Whether the host has said anything over TCP, and be it a refusal."""

    hangs: bool = False
    """Whether it takes connections, and says nothing."""

    of_us: Row = field(default_factory=dict)
    """What that node tells of the local one (`/explain`)."""


@dataclass(slots=True)
class Visit:
    """All that was seen of one address."""

    about: str
    """How it is called here: a name, or what the user typed."""

    address: Endpoint
    began_at: float
    """Seconds since the epoch."""

    heard: Heard
    api: Api
    own_host: str = ""
    """The address of this host that faces it."""

    of_it: Row = field(default_factory=dict)
    """What the local node tells of the member there (`/explain`); empty: nothing."""


def visit(
    about: str,
    address: Endpoint,
    cluster: str,
    own_name: str,
    sizes: Sequence[int],
    timeout: float,
    tls: Credentials | None = None,
    keyring: Keyring | None = None,
) -> Visit:
    """Ask everything there is to ask at an address; takes most of `timeout` seconds where it is
    silent. `tls`: its API is asked by https."""
    family, place = _place(address)
    made = Endpoint if tls is None else Https
    beside_it = made(address.host, min(address.port + 1, PORT_MAX))
    with ThreadPoolExecutor(1) as beside:
        api: Future[Api] = beside.submit(_api, beside_it, own_name, API_PART * timeout, tls)
        began_at = time.time()
        heard = listen(place, family, cluster, sizes, timeout, keyring)
        return Visit(about, address, began_at, heard, api.result(), _facing(place, family))


def answered(
    api: ApiAddress,
    path: str,
    timeout: float,
    credentials: Credentials | None = None,
    **query: object,
) -> Any:
    """What a node answers to a question. Raises `AskingError`. `credentials`: for the node that
    the user has named, and none other: whoever is at the address of a member would have them."""
    return Client(api, timeout, credentials or Credentials()).get(path, **query).data


def hangs(error: AskingError) -> bool:
    """Whether somebody takes connections, and says nothing."""
    return error.reason.startswith("no answer within")


def _api(endpoint: Endpoint, own_name: str, timeout: float, tls: Credentials | None) -> Api:
    api = Api(endpoint)
    try:
        status = answered(endpoint, "/status", timeout, tls)
    except NoAnswerError as error:
        api.error, api.hangs = error.reason, hangs(error)
        api.is_there = api.hangs or "refused" in error.reason
    except AskingError as error:
        api.error, api.is_there = error.reason, True
    else:
        api.status, api.is_there = status if isinstance(status, dict) else {}, True
        with suppress(AskingError):
            if own_name:
                api.of_us = answered(endpoint, "/explain", timeout, tls, name=own_name)
    return api


def _place(address: Endpoint) -> tuple[int, Any]:
    """An address as sockets take it."""
    flags = socket.AI_NUMERICHOST
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_DGRAM, flags=flags)
    family, _, _, _, place = found[0]
    return family, place


def _facing(place: Any, family: int) -> str:
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect(place)
        return str(sock.getsockname()[0])
    return ""
