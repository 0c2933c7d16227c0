"""Sockets that a service manager has opened and passes to this process: sd_listen_fds(3).

It keeps them open whatever becomes of the process, so what arrives while one process ends and the
next one starts waits in them. Only the process that they are meant for has them: not what it
starts.
"""

from __future__ import annotations

import os
from typing import NamedTuple

FIRST = 3
"""The descriptor of the first one."""


class Passed(NamedTuple):
    descriptor: int
    name: str
    """As in `FileDescriptorName=`, by default the name of the unit."""


_passed: list[Passed] = []


def begin() -> None:
    """Take what this process is given, before it opens or starts anything."""
    pid, count = os.environ.pop("LISTEN_PID", ""), os.environ.pop("LISTEN_FDS", "")
    names = os.environ.pop("LISTEN_FDNAMES", "").split(":")
    if pid != str(os.getpid()) or not count.isdecimal():
        return
    for number in range(int(count)):
        name = names[number] if number < len(names) else ""
        _passed.append(Passed(FIRST + number, name))
        os.set_inheritable(FIRST + number, False)


def take() -> list[Passed]:
    """What was passed, to whoever asks first."""
    taken = list(_passed)
    _passed.clear()
    return taken


def close() -> None:
    """In a process that this one has forked: what was passed is not for it."""
    for passed in take():
        os.close(passed.descriptor)
