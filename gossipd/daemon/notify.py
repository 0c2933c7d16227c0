"""Telling the service manager how far the daemon is: the sd_notify protocol, a datagram.

Outside a service (`NOTIFY_SOCKET` unset) all of it does nothing; it never raises, for a daemon
must not fail because nobody listens to its state.
"""

from __future__ import annotations

import os
import socket
import time

VARIABLE = "NOTIFY_SOCKET"

WAIT_SECONDS = 1.0
"""For so long a service manager that is busy is waited for."""


def notify(state: str) -> bool:
    """Send a state like `READY=1`; several are separated by newlines.

    True when the service manager was told, False when there is none or it cannot be reached.
    """
    address = os.environ.get(VARIABLE, "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):  # the abstract namespace of Linux
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.settimeout(WAIT_SECONDS)
            sender.connect(address)
            sender.send(state.encode())
    except (OSError, ValueError):
        return False
    return True


def ready(status: str) -> bool:
    """The daemon serves; `status` is the line that `systemctl status` shows."""
    return notify(f"READY=1\n{_status(status)}")


def stopping(status: str = "leaving the cluster") -> bool:
    """The daemon has begun to leave."""
    return notify(f"STOPPING=1\n{_status(status)}")


def reloading() -> bool:
    """The daemon has begun to read its configuration again; `ready` tells that it is done."""
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    return notify(f"RELOADING=1\nMONOTONIC_USEC={now}")


def status(text: str) -> bool:
    """A new line for `systemctl status`."""
    return notify(_status(text))


def _status(text: str) -> str:
    return "STATUS=" + " ".join(text.split())
