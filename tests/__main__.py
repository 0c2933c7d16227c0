"""The one check command: format, lint, types, then all tests with the core's coverage.

Further arguments go to pytest, as in `python -m tests -k codec`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PYTHON = sys.executable

CHECKS = (
    ("ruff", "format", "--check", "."),
    ("ruff", "check", "."),
    ("mypy",),
    ("coverage", "run", "-m", "pytest"),
    ("coverage", "report", "--fail-under=100"),
)
"""Each is a module and its arguments. What fails first ends the run."""


def main(arguments: list[str]) -> int:
    """Run the checks in order; the exit code of the first that fails."""
    os.chdir(ROOT)
    for check in CHECKS:
        command = [PYTHON, "-m", *check]
        if "pytest" in check:
            command += arguments
        elif arguments and check[0] == "coverage":
            continue  # a part of the tests says nothing about coverage
        sys.stdout.write(f"$ {' '.join(check)}\n")
        sys.stdout.flush()
        code = subprocess.run(command, check=False).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
