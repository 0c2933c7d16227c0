"""Each claim of the threat model names tests that exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / ".github/SECURITY.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
CLAIMS = "## What each can do, and what not"


@cache
def functions_of(path: str) -> set[str]:
    """The names of the functions of a file."""
    found = ast.walk(ast.parse((ROOT / path).read_text()))
    return {
        node.name for node in found if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_every_test_that_is_named_exists() -> None:
    named = NAMED.findall(PAGE.read_text())
    assert len(named) > 20
    assert [pair for pair in named if pair[1] not in functions_of(pair[0])] == []


def test_every_claim_names_a_test() -> None:
    _, _, claims = PAGE.read_text().partition(CLAIMS)
    claims, _, _ = claims.partition("\n## ")
    points = re.split(r"\n(?=- |\n)", claims)
    bare = [
        point for point in points if point.strip().startswith("- ") and not NAMED.search(point)
    ]
    assert bare == []


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)", PAGE.read_text())
    assert links
    assert [link for link in links if not (PAGE.parent / link).exists()] == []
