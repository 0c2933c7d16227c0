"""Two installations are told apart, though both are of one release."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import gossipd
from gossipd.version import full_version

PACKAGE = Path(gossipd.__file__).parent


def version_of(root: Path) -> str:
    """That of a copy of the package."""
    command = [sys.executable, "-c", "from gossipd.version import full_version as f; print(f())"]
    asked = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    return asked.stdout.strip()


def test_a_copy_is_of_the_same_version_until_a_line_of_it_changes(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "gossipd", ignore=shutil.ignore_patterns("__pycache__"))
    assert version_of(tmp_path) == full_version()
    assert full_version().startswith(f"{gossipd.__version__}+")
    for change in "core/node.py", "sideport/page/page.css":
        before = version_of(tmp_path)
        with (tmp_path / "gossipd" / change).open("a") as file:
            file.write("\n")
        assert version_of(tmp_path) != before


def test_documents_change_no_version(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "gossipd")
    (tmp_path / "gossipd" / "README.md").write_text("other words")
    assert version_of(tmp_path) == full_version()
