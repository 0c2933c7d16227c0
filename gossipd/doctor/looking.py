"""What is seen of this host: what its kernel grants and has dropped, and how its disk answers.

The disk is tried by a process of its own: who waits for a disk that hangs cannot be ended, and the
command must end all the same. What it writes has no name, and is gone with that process.
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from gossipd.config.endpoint import Endpoint

BLOCK = 4096
SYNCS = 3


@dataclass(slots=True)
class Disk:
    """What a directory is for who writes to it."""

    directory: str
    error: str = ""
    """Why nothing can be written; empty: it can."""

    code: int = 0
    """The number of that error."""

    free: int = 0
    """Bytes that are free for users other than root."""

    size: int = 0
    sync: float = 0.0
    """Seconds that a write took until it was on the disk, the median of a few."""


class DiskTrial:
    """A trial that runs; begun before there are threads, since it forks."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._result, writing = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                nothing = os.open(os.devnull, os.O_RDWR)
                for stream in range(3):  # whoever reads ours must not wait for the disk
                    os.dup2(nothing, stream)
                os.write(writing, json.dumps(asdict(_try(directory))).encode())
            finally:
                os._exit(0)
        os.close(writing)

    def end(self, timeout: float) -> Disk | None:
        """What came of it; None: the disk has not answered in time."""
        ready, _, _ = select.select([self._result], [], [], timeout)
        said = os.read(self._result, 65536) if ready else b""
        os.close(self._result)
        with suppress(ChildProcessError):
            os.waitpid(self._pid, 0 if ready else os.WNOHANG)
        return Disk(**json.loads(said)) if said else None


def _try(directory: str) -> Disk:
    disk = Disk(directory)
    try:
        room = os.statvfs(directory)
        disk.free, disk.size = room.f_bavail * room.f_frsize, room.f_blocks * room.f_frsize
        file = os.open(directory, os.O_TMPFILE | os.O_RDWR, 0o600)
        disk.sync = sorted(_sync(file) for _ in range(SYNCS))[SYNCS // 2]
    except OSError as error:
        disk.error, disk.code = error.strerror or str(error), error.errno or 0
    return disk


def _sync(file: int) -> float:
    began = time.perf_counter()
    os.write(file, b"\0" * BLOCK)
    os.fdatasync(file)
    return time.perf_counter() - began


def receive_buffer_max() -> int | None:
    """What the kernel grants at most (net.core.rmem_max); None where it does not tell."""
    with suppress(OSError, ValueError):
        return int(Path("/proc/sys/net/core/rmem_max").read_text())
    return None


def kernel_drops(address: Endpoint) -> int:
    """Datagrams for which the buffer of the socket at an address, or at all of this host with that
    port, had no room since it exists."""
    drops = dict.fromkeys((_ANY4, _ANY6, _written(address.host)), 0)
    for table in ("/proc/net/udp", "/proc/net/udp6"):
        with suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                words = line.split()
                place, _, port = words[1].rpartition(":")
                if place in drops and int(port, 16) == address.port:
                    drops[place] += int(words[-1])
    return drops[_written(address.host)] or drops[_ANY6] or drops[_ANY4]


_ANY4, _ANY6 = "0" * 8, "0" * 32


def _written(host: str) -> str:
    """An address as /proc writes it: words of 4 bytes in the order of this machine."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    packed = socket.inet_pton(family, host.partition("%")[0])
    words = struct.unpack(f"={len(packed) // 4}I", packed)
    return "".join(f"{word:08X}" for word in words)
