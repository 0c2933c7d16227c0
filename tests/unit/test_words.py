"""Texts keep to what is here: no document is cited that a reader does not have, and whatever has a
name says what it is."""

from __future__ import annotations

import ast
import inspect
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import click
import pytest

from gossipd.cli import gossipd
from gossipd.config.file import render
from gossipd.core import Drop
from gossipd.core.timers import Timer
from gossipd.core.wire.messages import Message

from .test_readme import (
    DOCUMENTS,
    PACKAGE,
    PROTOCOL,
    ROOT,
    headings,
    rows,
    section,
)

FOLDERS = "gossipd", "tests", "configs", "systemd", ".ci"

SOURCES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for folder in FOLDERS
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in {".py", ".toml", ".service", ".md"} and path != Path(__file__)
}
"""Every text but this one, by its path."""

FORMER = "side port", "figure", "takes nothing", "made a mistake"
"""What once stood for the API, a setting, a disk that cannot be written, and an internal error."""


def test_every_document_cited_is_here() -> None:
    cited = [
        (name, path, heading)
        for name, text in SOURCES.items()
        for path, heading in re.findall(r"([\w/.-]*\w\.md)\b(?:#([\w-]+))?", text)
        if name not in DOCUMENTS
    ]
    assert len([heading for _, _, heading in cited if heading]) > 5
    for name, path, heading in cited:
        places = os.path.normpath(Path(name).parent / path), path
        found = [place for place in places if (ROOT / place).is_file()]
        assert found, f"{name} cites {path}"
        assert not heading or heading in headings(DOCUMENTS[found[0]]), f"{name}: {path}#{heading}"


def test_no_text_speaks_of_a_design_that_is_not_here() -> None:
    speaking = {
        f"{name}: {found}"
        for name, text in (SOURCES | DOCUMENTS).items()
        for found in re.findall(r"\b[Dd]esign[’']?s?,?\s+section|\b[Tt]he\s+design\b", text)
    }
    assert speaking == set()


def test_every_invariant_that_a_check_names_is_in_the_table() -> None:
    told = {row[0] for row in rows(PROTOCOL) if re.fullmatch(r"[IQ]\d+", row[0])}
    named = {
        invariant
        for name, text in SOURCES.items()
        if name.endswith(".py")
        for invariant in re.findall(r"\b[IQ]\d{1,2}\b", text)
    }
    assert len(told) == 19
    assert named == told


@pytest.mark.parametrize("message", get_args(Message))
def test_every_message_says_what_it_is(message: type) -> None:
    doc = message.__doc__ or ""
    # Without a text of its own a dataclass has its signature.
    assert not doc.startswith(f"{message.__name__}(")
    assert len(doc.split()) > 3


def test_every_timer_says_what_it_is() -> None:
    assert set(described(Timer)) == {timer.name for timer in Timer}


def test_every_message_explained_is_one_of_the_program() -> None:
    explained = {
        " ".join(message.split())
        for bold in re.findall(r"\*\*(.*?)\*\*", section(PACKAGE, "What the log says"), re.DOTALL)
        for message in re.findall(r"`([^`]+)`", bold)
    }
    assert len(explained) > 20
    said = "\n".join((*SAID, *(drop.name.lower() for drop in Drop)))
    for message in explained:
        parts = re.split(r"'[A-Za-z]+'|\b[NXY]\b|…", message)
        parts = [part for part in map(str.strip, parts) if " " in part] or [message]
        assert any(part in said for part in parts), message


def test_every_reason_for_which_a_datagram_is_dropped_is_explained() -> None:
    told = {row[0].strip("`"): row[1] for row in rows(section(PACKAGE, "What is dropped"))}
    assert [told.get(drop.name.lower()) for drop in Drop] == [drop.value for drop in Drop]
    assert len(told) == len(Drop) + 1


@pytest.mark.parametrize("word", FORMER)
def test_what_a_user_reads_has_one_word_for_one_thing(word: str) -> None:
    own = (text for name, text in DOCUMENTS.items() if name != "gossipd/core/README.md")
    for text in (*SAID, *own, *helps(), render()):
        assert word not in re.sub(r"figure\.svg|bench\.figures|configured", "", text), text


def helps() -> Iterator[str]:
    """What `--help` says of every command."""
    outer = click.Context(gossipd, info_name="gossipd")
    for name in gossipd.list_commands(outer):
        command = gossipd.get_command(outer, name)
        assert command is not None
        yield command.get_help(click.Context(command, info_name=name, parent=outer))


def strings(text: str) -> Iterator[str]:
    """What a module may say: its strings but for docstrings, with … for what is filled in."""
    nodes = list(ast.walk(ast.parse(text)))
    docs = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            parts = (part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
            yield "".join(map(str, parts))
        elif (
            isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs
        ):
            yield re.sub(r"%(\.\d)?[sdgf]", "…", node.value)


SAID = [
    said
    for name, text in SOURCES.items()
    if name.startswith("gossipd/") and name.endswith(".py")
    for said in strings(text)
]
"""What the program may say."""


def described(cls: type) -> Iterator[str]:
    """The members of a class that have a docstring below them."""
    (node,) = ast.parse(inspect.getsource(cls)).body
    assert isinstance(node, ast.ClassDef)
    for statement, following in zip(node.body, node.body[1:], strict=False):
        match statement, following:
            case ast.Assign(targets=[ast.Name(id=name)]), ast.Expr(
                value=ast.Constant(value=str())
            ):
                yield name
