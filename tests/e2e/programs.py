"""Programs of Debian packages that some tests need: where one is missing they say so, and skip."""

from __future__ import annotations

import shutil

import pytest


def program(name: str, package: str) -> pytest.MarkDecorator:
    """A test that needs a program of a Debian package."""
    return pytest.mark.skipif(shutil.which(name) is None, reason=f"needs {package}")
