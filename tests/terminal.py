"""What a program writes to a terminal: all of it, which one read need not give."""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from typing import Literal

from tests.deadline import DEADLINE


def on_a_terminal(
    command: Sequence[str | bytes],
    stream: Literal["stdout", "stderr"] = "stdout",
    **options: object,
) -> tuple[int, str]:
    """The exit code, and what came on that stream; `options` are those of `Popen`."""
    ours, theirs = pty.openpty()
    try:
        with subprocess.Popen(command, **{stream: theirs}, **options) as process:  # type: ignore[call-overload]
            os.close(theirs)
            shown = b""
            with suppress(OSError):  # nobody has it open any more
                while data := os.read(ours, 65536):
                    shown += data
            return process.wait(DEADLINE), shown.decode()
    finally:
        os.close(ours)
