"""The one table of what can be asked, whatever the client speaks.

A row says how something is called, what may be said along with it, and what is done; from the rows
follow the calls of HTTP, `GET /`, the commands of text and `help`. Adding a call is a row here and
what it does in `service`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice
from typing import Any
from uuid import UUID

from gossipd.config.tokens import Right
from gossipd.core import RETRY_AFTER, Counted, Refused, Why
from gossipd.daemon.service import Service
from gossipd.sideport import tables as listing
from gossipd.sideport import validation as values
from gossipd.sideport.acknowledging import Acknowledged, acknowledge
from gossipd.sideport.validation import REQUIRED, Argument
from gossipd.sideport.watch import Wanted


@dataclass(frozen=True)
class Operation:
    """A row."""

    name: str
    http: str
    """Method and path; parts of the path in braces are arguments. Empty: not over HTTP."""

    right: Right
    """What whoever asks must be allowed."""

    summary: str
    run: Callable[..., Any]
    """Gets the node and the arguments; returns the answer (a mapping, text, an iterator of rows),
    or what is to be awaited for it; may raise `Refused`."""

    arguments: tuple[Argument, ...] = ()
    text: Callable[[Any], str] | None = None
    """The answer, or some rows of it, as lines of text; None: not a command of text."""

    words: tuple[str, ...] = ()
    """The arguments that text gives by their place."""

    anywhere: bool = False
    """HTTP takes its arguments from the query as well as from the body. Of others a GET takes them
    from the query, the rest from the body."""

    rows: bool = False
    """The answer is an iterator of rows, which may be long; of names and values with `pairs`."""

    pairs: bool = False
    counts: bool = False
    """The answer tells counts, which JSON may have as strings."""

    begins: bool = False
    """What is asked for goes on after the answer."""

    shares: bool = False
    """Started beside others of its kind that follow it, rather than when all before are answered.
    `run` returns what to call with whom to tell the answer, and perhaps with another `key`; that
    returns None, or what is to be awaited for the answer instead."""

    flows: bool = False
    """The answer does not end by itself: `run` returns what is `Wanted`, and `text` makes lines of
    an `Event`."""

    batch: bool = False
    """The arguments are given many times, a line of JSON each; `run` gets a list of `Item`."""

    negotiates: bool = False
    """Over HTTP `run` also gets which formats the client accepts, as `accept`."""

    @cached_property
    def method(self) -> str:
        return self.http.partition(" ")[0]

    @cached_property
    def path(self) -> str:
        return self.http.partition(" ")[2]

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
        more = {each.name for each in self.arguments if each.many}
        words = [f"[{word.upper()}{'…' if word in more else ''}]" for word in self.words]
        return " ".join([self.name, *words, *(f"[{each.name}={each.sample}]" for each in options)])

    def validated(self, given: Mapping[str, object]) -> dict[str, Any]:
        """All arguments, of which these were given; raises `Refused`."""
        if not given and not self.required:
            return self.defaults
        found = self.defaults.copy()
        for name, value in given.items():
            found[name] = self.by_name[name].check(value)
        for name in self.required:
            if name not in given:
                raise values.wrong(f"{name} is missing")
        return found

    def within(self, arguments: dict[str, Any], prefix: str) -> dict[str, Any]:
        """The same of whoever may ask about counters alone that begin so. Raises `Refused`."""
        return arguments | {
            each.name: each.within(arguments[each.name], prefix)
            for each in self.arguments
            if each.within is not None
        }

    def start(self, node: Service, arguments: dict[str, Any]) -> Callable[..., Any]:
        """What does it, as of `Pipeline.add`, with all `arguments`, which are valid."""
        if self.shares:
            start: Callable[..., Any] = self.run(node, **arguments)
            return start
        return partial(self.run, node, **arguments)

    def is_repeated(self, given: Mapping[str, object]) -> bool:
        """Whether clients are likely to ask for the same again, though with another key."""
        return self.name in ("increment", "count") and "after" not in given

    def runs(self, given: Mapping[str, object]) -> bool:
        """Whether some in a row may be started as one."""
        return self.shares and not {"key", "ack"} & given.keys()

    def is_short(self, given: Mapping[str, object]) -> bool:
        """Whether the answer is short and comes at once."""
        return not (
            self.rows
            or self.flows
            or self.batch
            or any(self.by_name[name].waits for name in given)
        )


def _increment(
    node: Service,
    counter: str,
    by: int,
    key: bytes | None,
    ack: int | None,
    ack_memory: bool,
    timeout: float,
) -> Callable[..., object]:
    start: Callable[..., object] = partial(node.increment, counter, by)
    if ack is not None:
        start = partial(acknowledge, node, counter, by, ack, ack_memory, timeout)
    return start if key is None else partial(start, key=key)


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
    if answer.times > 1:
        return "%d\n" * answer.times % tuple(answer.values)
    return f"{answer.value}\n"


def _count(node: Service, counter: str, after: UUID | None, timeout: float) -> object:
    complete(node)
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
    complete(node)
    answer = {"counter": counter, "count": node.count(counter)}
    if included:
        return answer
    detail = f"increment {after} has not come to this node within {timeout:g}s"
    without = f"the count without it is {answer['count']}"
    raise Refused(Why.LATE, f"{detail}; {without}", facts=answer)


def _counters(
    node: Service, prefix: str, limit: int | None, after: str
) -> Iterator[tuple[str, int]]:
    complete(node)
    return islice(node.counters(prefix, after), limit)


def complete(node: Service) -> None:
    """A count that lacks what the others already have would be a wrong answer."""
    reason = node.incomplete()
    if reason is not None:
        raise Refused(Why.UNAVAILABLE, f"catching up: {reason}", RETRY_AFTER)


def _counted(node: Service, id: UUID, counter: str | None) -> object:  # noqa: A002
    return {"id": id, "counted": node.counted(id, counter)}


async def _event(node: Service, key: tuple[str, bytes], prefix: str) -> object:
    written, bits = key
    found = await node.event_of(bits)
    if not str(found["counter"]).startswith(prefix):
        raise Refused(Why.UNKNOWN, f"this key is of no counter that begins with {prefix!r}")
    return {"key": written, **found}


def _watch(_: Service, counter: frozenset[str] | None, members: bool | None) -> Wanted:
    """Who names nothing wants everything."""
    if counter is None:
        return Wanted(members is not False, frozenset() if members else None)
    return Wanted(bool(members), counter)


def _ready(node: Service) -> object:
    reason = node.not_ready()
    if reason is not None:
        raise Refused(Why.UNAVAILABLE, reason, RETRY_AFTER)
    return {"ready": True}


def _join(node: Service, peers: list[str]) -> object:
    node.join(peers)
    return {"joining": peers}


def _reload(node: Service) -> dict[str, object]:
    node.reload()
    return {"reloading": True}


def _leave(node: Service) -> object:
    node.leave()
    return {"leaving": True}


def _forget(node: Service, name: str) -> object:
    node.forget(name)
    return {"forgotten": name}


_NONE, _READ, _WRITE, _ADMIN = Right

INCREMENT = Operation(
    "increment", "POST /increment", _WRITE,
    "add BY (1), answer the new count; with ack once K nodes hold it", _increment,
    (values.COUNTER, values.BY, values.KEY, values.ACK, values.ACK_MEMORY, values.TIMEOUT),
    text=_count_line, words=("counter", "by"), anywhere=True, counts=True, shares=True,
)  # fmt: skip

_PAGE = (values.LIMIT, values.AFTER)

OPERATIONS: tuple[Operation, ...] = (
    INCREMENT,
    Operation(
        "increments", "POST /increments", _WRITE, "add many; a line of JSON each",
        lambda node, items: node.increment_all(items),
        (values.COUNTER, values.BY, values.KEY), counts=True, batch=True,
    ),
    Operation(
        "count", "GET /count", _READ, "the count; with after once ID is in it", _count,
        (values.COUNTER, values.INCLUDING, values.TIMEOUT),
        text=lambda answer: f"{answer['count']}\n", words=("counter",), counts=True,
    ),
    Operation(
        "counters", "GET /counters", _READ, "every counter with its count", _counters,
        (values.PREFIX, *_PAGE),
        text=listing.counters, rows=True, pairs=True, counts=True,
    ),
    Operation(
        "counted", "GET /increments/{id}", _READ, "whether an increment is counted", _counted,
        (values.ID, values.ANY_COUNTER),
    ),
    Operation(
        "event", "GET /increments", _READ, "what a key stands for", _event,
        (values.GIVEN_KEY, values.PREFIX),
    ),
    Operation(
        "source", "PUT /sources/{client}/{counter}", _WRITE, "a client's own total",
        lambda node, **source: node.put_source(**source),
        (values.CLIENT, values.GIVEN_COUNTER, values.SEQ, values.TOTAL), counts=True,
    ),
    Operation(
        "log", "GET /log", _READ, "recent increments, newest first",
        lambda node, prefix, limit, after: islice(node.log(prefix, after), limit),
        (values.PREFIX, values.LOG_LIMIT, values.LOG_AFTER),
        text=listing.events, words=("limit",), rows=True, counts=True,
    ),
    Operation(
        "watch", "GET /events", _READ, "members and counts, then each change, as it happens",
        _watch, (values.WATCHED, values.MEMBERS),
        text=listing.change, words=("counter",), flows=True, counts=True,
    ),
    Operation(
        "health", "GET /health", _NONE, "OK while the process lives", lambda _: "OK\n", text=str
    ),
    Operation("ready", "GET /ready", _NONE, "whether counts are complete", _ready),
    Operation(
        "peers", "GET /peers", _READ, "gossip addresses of the other alive members",
        lambda node: node.peers(), text=listing.lines, rows=True,
    ),
    Operation(
        "members", "GET /members", _READ, "the members of the cluster",
        lambda node, prefix, limit, after: islice(node.members(prefix, after), limit),
        (values.MEMBER_PREFIX, *_PAGE),
        text=listing.members, rows=True,
    ),
    Operation(
        "explain", "GET /explain", _READ, "why a member is in its state",
        lambda node, name: node.explain(name), (values.MEMBER,),
    ),
    Operation(
        "status", "GET /status", _READ, "this node", lambda node: node.status(),
        text=listing.fields,
    ),
    Operation(
        "metrics", "GET /metrics", _READ, "numbers for Prometheus",
        lambda node, counters, accept: node.metrics(counters, accept),
        (values.COUNTERS,), rows=True, negotiates=True,
    ),
    Operation("seeds", "GET /join", _READ, "what became of each seed", lambda node: node.seeds()),
    Operation("join", "POST /join", _ADMIN, "join others", _join, (values.PEERS,), begins=True),
    Operation(
        "reload", "POST /reload", _ADMIN, "read the configuration again, as on SIGHUP", _reload,
        begins=True,
    ),
    Operation("leave", "POST /leave", _ADMIN, "leave the cluster and stop", _leave, begins=True),
    Operation(
        "forget", "POST /forget", _ADMIN, "forget a member that is gone", _forget,
        (values.MEMBER,), begins=True,
    ),
    Operation("ping", "", _NONE, "answers pong", lambda _: "pong\n", text=str),
)  # fmt: skip
