"""Let pytest read the files of some tests, and say nothing unless that fails.

    python -m tests.prepare [arguments of pytest]

What it makes of them stays beside them. In a fresh checkout that takes long, and each process that
runs tests would do it for itself.
"""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from io import StringIO

import pytest


def main(arguments: list[str]) -> int:
    said = StringIO()
    with redirect_stdout(said):
        code = pytest.main(["--collect-only", "-qqq", *arguments])
    if code != pytest.ExitCode.OK:
        print(said.getvalue())
    return int(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
