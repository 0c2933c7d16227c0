"""File systems that a test makes for itself: small, on a loop device, frozen when it wants that.

Who waits for a frozen file system cannot be killed, so whatever happens it is thawed at the end,
and then unmounted.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.node import until

MIB = 2**20
TOOLS = ("mkfs.ext4", "losetup", "mount", "umount", "fsfreeze")


def tool(*command: str | Path) -> bool:
    """Whether it succeeds."""
    done = subprocess.run([str(part) for part in command], check=False, capture_output=True)
    return done.returncode == 0


def make_ext4(image: Path, size: int = 8 * MIB) -> str:
    """Make a file system in a file; why that cannot be done here, empty if it can."""
    if os.geteuid() != 0:
        return "mounting needs root"
    if missing := [name for name in TOOLS if shutil.which(name) is None]:
        return f"no {', '.join(missing)}"
    with image.open("wb") as file:
        file.truncate(size)
    return "" if tool("mkfs.ext4", "-q", "-F", image) else "mkfs.ext4 fails"


class Disk:
    """A mounted file system."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._filler = place / "filler"

    @property
    def data(self) -> str:
        """A directory for a node."""
        return str(self.place / "data")

    def freeze(self) -> None:
        """From now on whoever writes waits."""
        assert tool("fsfreeze", "-f", self.place), "it cannot be frozen"

    def thaw(self) -> None:
        """All go on."""
        assert tool("fsfreeze", "-u", self.place), "it is not frozen"

    def fill(self) -> None:
        """Leave no space."""
        with self._filler.open("wb", buffering=0) as file:
            for size in (MIB, 4096):
                try:
                    while file.write(bytes(size)) == size:
                        pass
                except OSError:
                    continue

    def free(self) -> None:
        """There is space again."""
        self._filler.unlink()


@contextmanager
def mounted(folder: Path) -> Iterator[Disk]:
    """A file system of 8 MiB below `folder`; skips the test where there can be none."""
    image, place = folder / "image", folder / "disk"
    place.mkdir()
    if why := make_ext4(image):
        pytest.skip(why)
    if not tool("mount", "-t", "ext4", "-o", "loop", image, place):
        pytest.skip("a file system cannot be mounted here")
    try:
        yield Disk(place)
    finally:
        tool("fsfreeze", "-u", place)
        # What a node has left behind ends when the disk answers.
        until(lambda: tool("umount", place), 10, f"{place} is unmounted")
