"""The table of what can be asked: each row is whole, and all that follows from the rows does."""

from __future__ import annotations

import inspect

import pytest

from gossipd.config import bounds
from gossipd.core import BY_MAX, Why
from gossipd.sideport.calls import CALLS
from gossipd.sideport.http_answers import STATUS
from gossipd.sideport.operations import OPERATIONS, Operation
from gossipd.sideport.text import COMMANDS
from gossipd.sideport.validation import OPTIONS, REQUIRED

from .fake import Client, FakeBackend

EACH = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)


@EACH
def test_what_is_run_takes_the_arguments_of_its_row(operation: Operation) -> None:
    given = {"items": []} if operation.batch else operation.defaults
    negotiated = {"accept": ""} if operation.negotiates else {}
    inspect.signature(operation.run).bind(FakeBackend(), **given, **negotiated)


@EACH
def test_only_what_text_gives_by_its_place_has_no_sample(operation: Operation) -> None:
    if operation.text is None:
        return
    assert set(operation.words) <= operation.by_name.keys()
    named = [each for each in operation.arguments if each.name not in operation.words]
    assert all(each.sample for each in named), "usage shows it"
    assert {each.name for each in named} <= set(OPTIONS), "a line is read by these"
    assert not operation.required, "no command of text has what must be given"


@EACH
def test_an_answer_of_rows_has_no_other_form(operation: Operation) -> None:
    assert operation.rows or not operation.pairs
    assert not (operation.rows and (operation.shares or operation.begins or operation.batch))


def test_no_two_rows_are_called_the_same() -> None:
    for names in (
        [operation.name for operation in OPERATIONS],
        [operation.http for operation in OPERATIONS if operation.http],
    ):
        assert len(set(names)) == len(names)


def test_defaults_are_allowed() -> None:
    for operation in OPERATIONS:
        for argument in operation.arguments:
            if argument.default not in (REQUIRED, None):
                assert argument.check(argument.default) == argument.default


async def test_the_front_page_and_help_follow_from_the_table(client: Client) -> None:
    page = (await client.request("GET", "/")).body.decode().splitlines()
    for operation in CALLS:
        (line,) = [line for line in page if line.split()[:2] == operation.http.split()]
        assert operation.summary in line
        outside = [each.name for each in operation.arguments if f"{{{each.name}}}" not in line]
        assert line.endswith(": " + ", ".join(outside)) or not outside
    await client.send(b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert (await client.response()).status == 200


async def test_help_follows_from_the_table(client: Client) -> None:
    await client.send(b"help\n")
    shown = await client.lines()
    assert len(shown) == len(COMMANDS)
    for line, command in zip(shown, COMMANDS.values(), strict=True):
        assert line.startswith(command.usage)
        assert line.endswith(command.summary)
    assert shown[0].startswith(
        "increment [COUNTER] [BY] [key=UUID] [ack=K] [ack_memory=true] [timeout=2s]  "
    )


def test_each_reason_has_a_status() -> None:
    assert STATUS.keys() == set(Why)


def test_the_commands_know_the_cores_bound() -> None:
    """They do not import the core, which takes longer than they may."""
    assert bounds.BY_MAX == BY_MAX
