"""Sockets that a service manager has opened and passes to this process: sd_listen_fds(3).

It keeps them open whatever becomes of the process, so what arrives while one process ends and the
next one starts waits in them. Only the process that they are meant for has them: not what it
starts.
"""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

FIRST = 3
"""The descriptor of the first one."""

_DIGITS_MAX = 9
"""Of how many there are: of more, the first that is not there ends the process anyway."""


class Passed(NamedTuple):
    descriptor: int
    name: str
    """As in `FileDescriptorName=`, by default the name of the unit."""


_passed: list[Passed] = []


def begin() -> None:
    """Take what this process is given, before it opens or starts anything. Ends the process where
    that is not there."""
    pid, count = os.environ.pop("LISTEN_PID", ""), os.environ.pop("LISTEN_FDS", "")
    names = os.environ.pop("LISTEN_FDNAMES", "").split(":")
    if pid != str(os.getpid()) or not count.isdecimal():
        return
    for number in range(int(count[:_DIGITS_MAX])):
        descriptor, name = FIRST + number, names[number] if number < len(names) else ""
        try:
            os.set_inheritable(descriptor, False)
        except OSError as error:
            # What is opened later would have its number, and be taken for it.
            sys.exit(
                f"gossipd: {count} sockets are passed, but not as {descriptor}: {error.strerror}"
            )
        _passed.append(Passed(descriptor, name))


def take() -> list[Passed]:
    """What was passed, to whoever asks first."""
    taken = list(_passed)
    _passed.clear()
    return taken


def close() -> None:
    """In a process that this one has forked: what was passed is not for it."""
    for passed in take():
        os.close(passed.descriptor)
