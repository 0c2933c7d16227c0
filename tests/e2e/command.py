"""A `gossipd increment` that is watched while it runs."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

from tests.deadline import DEADLINE
from tests.e2e.node import ROOT, environment


class Command:
    """`gossipd increment` at an address; it has ended when it closes."""

    def __init__(self, api: str, directory: Path, *arguments: str) -> None:
        self._told = directory / "told"
        with self._told.open("wb") as told:
            self._process = subprocess.Popen(
                (sys.executable, "-m", "gossipd", "increment", *arguments),
                cwd=ROOT,
                env=environment(GOSSIPD_API=api),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=told,
            )

    @property
    def told(self) -> list[str]:
        return self._told.read_text().splitlines()

    def says(self, text: str) -> bool:
        return any(text in line for line in self.told)

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGINT)

    def ended(self) -> tuple[int, str]:
        """Its exit code and what it printed."""
        said, _ = self._process.communicate(timeout=40)
        return self._process.returncode, said.decode()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate(timeout=DEADLINE)
