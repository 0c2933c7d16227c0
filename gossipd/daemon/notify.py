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

STATUS_MAX = 1000
"""Bytes of a status at most: systemd drops a message of more than 4,096 bytes, whatever else it
says."""


def notify(state: str, *, wait: bool = True) -> bool:
    """Send a state like `READY=1`; several are separated by newlines. `wait`: for a service
    manager that is busy; what is said again and again is not worth that.

    True when the service manager was told, False when there is none or it cannot be reached.
    """
    if not is_heard():
        return False
    address = os.environ[VARIABLE]
    if address.startswith("@"):  # the abstract namespace of Linux
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.settimeout(WAIT_SECONDS if wait else 0.0)
            sender.connect(address)
            sender.send(state.encode())
    except (OSError, ValueError):
        return False
    return True


def is_heard() -> bool:
    """Whether there is a service manager that wants to be told."""
    return os.environ.get(VARIABLE, "").startswith(("/", "@"))


def watchdog_seconds() -> float | None:
    """Within so many seconds the service manager wants to hear `WATCHDOG=1` again and again; None
    where it does not. See sd_watchdog_enabled(3)."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    limit = os.environ.get("WATCHDOG_USEC", "")
    return int(limit) / 1e6 if limit.isdecimal() and int(limit) else None


def ready(status: str | None = None) -> bool:
    """The daemon serves; `status` is the line that `systemctl status` shows, the last one unless
    given."""
    return notify("READY=1" if status is None else f"READY=1\n{status_line(status)}")


def stopping(within: float) -> bool:
    """The daemon has begun to leave, and will be gone in so many seconds."""
    return notify(f"STOPPING=1\n{extension(within)}\n{status_line('leaving the cluster')}")


def extension(seconds: float) -> str:
    """What begins or ends takes longer than the unit may grant: for so many seconds more there is
    no reason to worry."""
    return f"EXTEND_TIMEOUT_USEC={seconds * 1e6:.0f}"


def reloading() -> bool:
    """The daemon has begun to read its configuration again; `ready` tells that it is done."""
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    return notify(f"RELOADING=1\nMONOTONIC_USEC={now}")


def status_line(text: str) -> str:
    """A new line for `systemctl status`."""
    cut = " ".join(text.split()).encode(errors="replace")[:STATUS_MAX]
    return "STATUS=" + cut.decode(errors="ignore")
