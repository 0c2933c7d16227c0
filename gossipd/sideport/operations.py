"""The one table of what can be asked, whatever the client speaks.

A row says how something is called, what may be said along with it, and what is done; from the rows
follow the calls of HTTP, `GET /`, the commands of text and `help`. Adding a call is a row here and
what it does in `service`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple
from uuid import UUID

from gossipd.core import RETRY_AFTER, Counted, Refused, Why
from gossipd.service import Service
from gossipd.sideport import listing
from gossipd.sideport.values import (
    ACK,
    ACK_MEMORY,
    AFTER,
    ANY_COUNTER,
    BY,
    CLIENT,
    COUNTER,
    GIVEN_KEY,
    ID,
    INCLUDING,
    KEY,
    LIMIT,
    LOG_AFTER,
    LOG_LIMIT,
    MEMBER,
    OPTIONAL_COUNTER,
    PEERS,
    PREFIX,
    REQUIRED,
    SEQ,
    TIMEOUT,
    TOTAL,
    Argument,
    wrong,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Operation:
    """A row. `run` gets the node and the arguments, and returns the answer (a mapping, text, an
    iterator of rows), or what is to be awaited for it; it may raise `Refused`."""

    name: str
    summary: str
    run: Callable[..., Any]
    arguments: tuple[Argument, ...] = ()
    http: str = ""
    """Method and path; parts of the path in braces are arguments. Empty: not over HTTP."""

    text: Callable[[Any], str] | None = None
    """The answer, or some rows of it, as lines of text; None: not a command of text."""

    words: tuple[str, ...] = ()
    """The arguments that text gives by their place."""

    anywhere: bool = False
    """HTTP takes its arguments from the query as well as from the body. Of others a GET takes them
    from the query, the rest from the body."""

    rows: bool = False
    """The answer is an iterator of rows, which may be long; of pairs with `pairs`."""

    pairs: bool = False
    counts: bool = False
    """The answer tells counts, which JSON may have as strings."""

    begins: bool = False
    """What is asked for goes on after the answer."""

    shares: bool = False
    """Started beside others of its kind that follow it, rather than when all before are answered.
    `run` also gets whom to call with the answer, unless it returns what is to be awaited."""

    batch: bool = False
    """The arguments are given many times, a line of JSON each; `run` gets a list of `Item`."""

    method: str = field(init=False)
    path: str = field(init=False)

    def __post_init__(self) -> None:
        method, _, path = self.http.partition(" ")
        object.__setattr__(self, "method", method)
        object.__setattr__(self, "path", path)

    @cached_property
    def by_name(self) -> dict[str, Argument]:
        return {argument.name: argument for argument in self.arguments}

    @cached_property
    def defaults(self) -> dict[str, Any]:
        return {argument.name: argument.default for argument in self.arguments}

    @cached_property
    def required(self) -> tuple[str, ...]:
        return tuple(each.name for each in self.arguments if each.default is REQUIRED)

    @cached_property
    def usage(self) -> str:
        """How a line of text asks for it."""
        options = (each for each in self.arguments if each.name not in self.words)
        words = [f"[{word.upper()}]" for word in self.words]
        return " ".join([self.name, *words, *(f"[{each.name}={each.sample}]" for each in options)])

    def validated(self, given: Mapping[str, object]) -> dict[str, Any]:
        """All arguments, of which these were given; raises `Refused`."""
        values = self.defaults.copy()
        for name, value in given.items():
            values[name] = self.by_name[name].check(value)
        for name in self.required:
            if name not in given:
                raise wrong(f"{name} is missing")
        return values

    def is_short(self, given: Mapping[str, object]) -> bool:
        """Whether the answer is short and comes at once."""
        return not (self.rows or self.batch or any(self.by_name[name].waits for name in given))


class Acknowledged(NamedTuple):
    """An increment that was to be answered once `wanted` nodes hold it."""

    done: Counted
    acks: int
    """Nodes known to hold it, the one that was asked included."""

    wanted: int
    memory: bool
    timeout: float


def _increment(
    node: Service,
    answer: Callable[[Counted | Refused], None],
    counter: str,
    by: int,
    key: UUID | None,
    ack: int | None,
    **wish: Any,
) -> Awaitable[object] | None:
    if ack is None:
        node.increment(counter, by, key, answer)
        return None
    started: asyncio.Future[Counted | Refused] = asyncio.get_running_loop().create_future()

    def settle(result: Counted | Refused) -> None:
        if not started.done():
            started.set_result(result)

    node.increment(counter, by, key, settle)
    return _acknowledged(node, started, ack, **wish)


async def _acknowledged(
    node: Service,
    started: asyncio.Future[Counted | Refused],
    ack: int,
    ack_memory: bool,
    timeout: float,  # noqa: ASYNC109 - a client's wish, kept by the daemon
) -> Acknowledged | Refused:
    """The time that the commit takes is a part of the timeout."""
    loop = asyncio.get_running_loop()
    until = loop.time() + timeout
    done = await started
    if isinstance(done, Refused):
        return done
    try:
        left = max(0.0, until - loop.time())
        acks = await node.held(done.id, ack, ack_memory, left)
    except Exception:
        # It counted, and an error would say that it did not.
        log.warning("cannot tell which nodes hold increment %s", done.id, exc_info=True)
        acks = 0
    return Acknowledged(done, acks, ack, ack_memory, timeout)


def _count_line(answer: Counted | Acknowledged) -> str:
    if isinstance(answer, Acknowledged):
        if answer.acks < answer.wanted:
            durably = "" if answer.memory else " durably"
            raise Refused(
                Why.LATE,
                f"counted, but only {answer.acks} of {answer.wanted} nodes hold it{durably} "
                f"after {answer.timeout:g}s",
            )
        answer = answer.done
    return f"{answer.count}\n"


def _count(node: Service, counter: str, after: UUID | None, timeout: float) -> object:
    _complete(node)
    if after is not None:
        return _count_after(node, counter, after, timeout)
    return {"counter": counter, "count": node.count(counter)}


async def _count_after(
    node: Service,
    counter: str,
    after: UUID,
    timeout: float,  # noqa: ASYNC109 - as above
) -> object:
    included = await node.included(after, counter, timeout)
    _complete(node)
    answer = {"counter": counter, "count": node.count(counter)}
    if included:
        return answer
    detail = f"increment {after} has not come to this node within {timeout:g}s"
    without = f"the count without it is {answer['count']}"
    raise Refused(Why.LATE, f"{detail}; {without}", facts=answer)


def _counters(
    node: Service, prefix: str, limit: int | None, after: str
) -> Iterator[tuple[str, int]]:
    _complete(node)
    return islice(node.counters(prefix, after), limit)


def _complete(node: Service) -> None:
    """A count that lacks what the others already have would be a wrong answer."""
    reason = node.incomplete()
    if reason is not None:
        raise Refused(Why.UNAVAILABLE, f"catching up: {reason}", RETRY_AFTER)


def _counted(node: Service, id: UUID, counter: str | None) -> object:  # noqa: A002
    return {"id": id, "counted": node.counted(id, counter)}


async def _event(node: Service, key: tuple[str, UUID]) -> object:
    written, uuid = key
    return {"key": written, **await node.event_of(uuid)}


def _ready(node: Service) -> object:
    reason = node.not_ready()
    if reason is not None:
        raise Refused(Why.UNAVAILABLE, reason, RETRY_AFTER)
    return {"ready": True}


def _join(node: Service, peers: list[str]) -> object:
    node.join(peers)
    return {"joining": peers}


def _leave(node: Service) -> object:
    node.leave()
    return {"leaving": True}


def _forget(node: Service, name: str) -> object:
    node.forget(name)
    return {"forgotten": name}


INCREMENT = Operation(
    name="increment",
    summary="add BY (1), answer the new count; with ack once K nodes hold it",
    http="POST /increment",
    anywhere=True,
    words=("counter", "by"),
    arguments=(COUNTER, BY, KEY, ACK, ACK_MEMORY, TIMEOUT),
    run=_increment,
    text=_count_line,
    counts=True,
    shares=True,
)

OPERATIONS: tuple[Operation, ...] = (
    INCREMENT,
    Operation(
        name="increments",
        summary="add many; a line of JSON each",
        http="POST /increments",
        arguments=(COUNTER, BY, KEY),
        run=lambda node, items: node.increment_all(items),
        counts=True,
        batch=True,
    ),
    Operation(
        name="count",
        summary="the count; with after once ID is in it",
        http="GET /count",
        words=("counter",),
        arguments=(COUNTER, INCLUDING, TIMEOUT),
        run=_count,
        text=lambda answer: f"{answer['count']}\n",
        counts=True,
    ),
    Operation(
        name="counters",
        summary="every counter with its count",
        http="GET /counters",
        arguments=(PREFIX, LIMIT, AFTER),
        run=_counters,
        text=listing.counters,
        rows=True,
        pairs=True,
        counts=True,
    ),
    Operation(
        name="counted",
        summary="whether an increment is counted",
        http="GET /increments/{id}",
        arguments=(ID, OPTIONAL_COUNTER),
        run=_counted,
    ),
    Operation(
        name="event",
        summary="what a key stands for",
        http="GET /increments",
        arguments=(GIVEN_KEY,),
        run=_event,
    ),
    Operation(
        name="source",
        summary="a client's own total",
        http="PUT /sources/{client}/{counter}",
        arguments=(CLIENT, ANY_COUNTER, SEQ, TOTAL),
        run=lambda node, **source: node.put_source(**source),
        counts=True,
    ),
    Operation(
        name="log",
        summary="recent increments, newest first",
        http="GET /log",
        words=("limit",),
        arguments=(PREFIX, LOG_LIMIT, LOG_AFTER),
        run=lambda node, prefix, limit, after: islice(node.log(prefix, after), limit),
        text=listing.events,
        rows=True,
        counts=True,
    ),
    Operation(
        name="health",
        summary="OK while the process lives",
        http="GET /health",
        run=lambda _: "OK\n",
        text=str,
    ),
    Operation(name="ready", summary="whether counts are complete", http="GET /ready", run=_ready),
    Operation(
        name="peers",
        summary="gossip addresses of the other alive members",
        http="GET /peers",
        run=lambda node: node.peers(),
        text=listing.lines,
        rows=True,
    ),
    Operation(
        name="members",
        summary="the members of the cluster",
        http="GET /members",
        arguments=(PREFIX, LIMIT, AFTER),
        run=lambda node, prefix, limit, after: islice(node.members(prefix, after), limit),
        text=listing.members,
        rows=True,
    ),
    Operation(
        name="status",
        summary="this node",
        http="GET /status",
        run=lambda node: node.status(),
        text=listing.fields,
    ),
    Operation(
        name="seeds",
        summary="what became of each seed",
        http="GET /join",
        run=lambda node: node.seeds(),
    ),
    Operation(
        name="join",
        summary="join others",
        http="POST /join",
        arguments=(PEERS,),
        run=_join,
        begins=True,
    ),
    Operation(
        name="leave",
        summary="leave the cluster and stop",
        http="POST /leave",
        run=_leave,
        begins=True,
    ),
    Operation(
        name="forget",
        summary="forget a member that is gone",
        http="POST /forget",
        arguments=(MEMBER,),
        run=_forget,
        begins=True,
    ),
    Operation(name="ping", summary="answers pong", run=lambda _: "pong\n", text=str),
)
