"""The one check command: format, lint, types, then all tests with the core's coverage.

Further arguments go to pytest, as in `python -m tests -k decoding`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PYTHON = sys.executable

CHECKS: tuple[tuple[str, ...], ...] = (
    ("ruff", "format", "--check", "."),
    ("ruff", "check", "."),
    ("mypy",),
    ("coverage", "run", "-m", "pytest", "tests/unit", "tests/property", "tests/fuzz"),
    ("coverage", "report", "--fail-under=100"),
    ("pytest", "tests/simulation", "tests/e2e"),
)
"""Each is a module and its arguments. What fails first ends the run. Coverage is asked of the
tests that meet the core through its public inputs: it slows the others down for nothing."""


def main(arguments: list[str]) -> int:
    """Run the checks in order; the exit code of the first that fails."""
    os.chdir(ROOT)
    checks = CHECKS
    if arguments:  # a part of the tests says nothing about coverage
        checks = (*CHECKS[:3], ("pytest", *arguments))
    for check in checks:
        command = [PYTHON, "-m", *check]
        sys.stdout.write(f"$ {' '.join(check)}\n")
        sys.stdout.flush()
        code = subprocess.run(command, check=False).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
