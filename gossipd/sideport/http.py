"""The HTTP dialect: requests from httptools' callbacks, answers into the pipeline.

Limits are checked as the bytes come in, so that nothing larger than they say is ever held. A
request that breaks the protocol (400, 408, 413, 431) is answered in its turn and ends the
connection, since where the next one would begin is unknown; any other mistake costs one answer.

Nothing is upgraded to (RFC 9110 7.8: who does not want to ignores the field). The parser takes the
rest of such a request for another protocol, body included, so it is given the head once more,
without what asks for the upgrade.

A request that came before is not parsed again (see `memo`).
"""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import httptools

from gossipd.config.tokens import Grant, Right
from gossipd.core import RETRY_AFTER, Refused, Why
from gossipd.sideport import calls, origin
from gossipd.sideport import http_answers as answers
from gossipd.sideport.access import (
    EVERYTHING,
    NOTHING,
    Access,
    Denied,
    check,
    is_basic,
    is_wrong_token,
)
from gossipd.sideport.answered import UNKNOWN, Answers
from gossipd.sideport.batch import answer_batch
from gossipd.sideport.http_answers import CLOSE, KEEP, Framing, Problem, framing_of
from gossipd.sideport.http_head import AUTHORIZATION, FIELD_OVERHEAD, KEPT, KEY, LAST_EVENT, Head
from gossipd.sideport.memo import Meaning
from gossipd.sideport.pipeline import Pipeline, refused
from gossipd.sideport.sse import ServerSentEvents, reads_nothing_else
from gossipd.sideport.validation import shown, wrong
from gossipd.sideport.watch import Wanted

if TYPE_CHECKING:
    from gossipd.sideport.port import SidePort

log = logging.getLogger(__name__)

_VERSIONS = ("1.0", "1.1")
_CONNECT = b"CONNECT"
"""To the parser an upgrade whatever its head says; it ends the connection."""


class HttpDialect:
    """Reads requests and adds their commands to the pipeline. The `on_…` methods are httptools'
    callbacks: they come from within `feed`, and after the end of the connection they do nothing
    more (the parser cannot be stopped within a slice of input)."""

    def __init__(
        self, port: SidePort, pipeline: Pipeline, access: Access, *, brief: bool = False
    ) -> None:
        """`brief`: one short question is answered."""
        self._brief = brief
        self._port = port
        self._pipeline = pipeline
        self._limits = port.limits
        self._parser = httptools.HttpRequestParser(self)
        self._since: float | None = None
        """When the part that is being received (head or body) began; None: no request is."""
        self._silent = 0
        """Bytes taken since the parser last delivered something: what it holds, at most."""
        self._delivered = False
        self._answered = port.answered
        self._access = access
        self._asks = not access.is_open
        """Whether tokens are asked for."""
        self._memo = access.requests
        self._followed: Grant | None = None
        """Under which an answer is given that does not end."""
        self._meaning: Meaning | None = None
        """Of the request that was read last, if it means always the same but for its key, ..."""
        self._key: object = None
        """... which is this one."""
        self._count = 0
        """Requests read so far."""
        self._begin()
        self._declining = False
        """The head came with the wish for an upgrade, and comes again without it."""

    def feed(self, data: bytes, now: float) -> None:
        if self._in_request or self._brief:
            self._read(data, now)
            return
        meaning = self._memo.find(data)
        if meaning is not None:
            self._silent = 0
            self._pipeline.add(meaning.start, meaning.render, meaning.shares)
            return
        count, self._meaning = self._count, None
        self._read(data, now)
        self._remember(data, count)

    def _remember(self, data: bytes, count: int) -> None:
        """If it was one whole request: `count` were read before."""
        if self._meaning is not None and self._count == count + 1 and not self._in_request:
            self._memo.remember(data, self._meaning, self._key)

    def _read(self, data: bytes, now: float) -> None:
        self._delivered = False
        try:
            self._parse(data)
        except httptools.HttpParserError as error:
            if not self._pipeline.closed:
                self._fail(wrong(f"malformed HTTP: {error}"))
        if self._delivered:
            self._silent = 0
        else:
            self._silent += len(data)
            if self._silent > self._limits.head_size_max:
                self._fail_head()
        if not self._in_request:
            self._since = None
        elif self._since is None:
            self._since = now

    def finish(self) -> None:
        if self._in_request:
            self._fail(wrong("malformed HTTP: the request ended early"))
        else:
            self._pipeline.end()

    def expires_at(self, active_at: float) -> float:
        if self._since is None:
            return active_at + self._limits.idle_timeout
        in_body = self._head.is_complete
        return self._since + (self._limits.body_timeout if in_body else self._limits.head_timeout)

    def expire(self) -> None:
        if self._in_request:
            part = "body" if self._head.is_complete else "head"
            self._fail(Problem(408, f"the request's {part} did not arrive in time"))
        else:
            self._pipeline.end()

    def resume(self, now: float) -> None:
        if self._since is not None:
            self._since = now

    def stays(self) -> bool:
        """Each request shows its token, and is judged by it: but one that does not end, and those
        that were judged and have not begun."""
        if self._asks and self._pipeline.has_waiting:
            return False
        return self._followed is None or self._access.now(self._followed) == self._followed

    def end(self) -> None:
        del self._parser  # it holds the callbacks

    def on_message_begin(self) -> None:
        self._in_request = True

    def on_url(self, part: bytes) -> None:
        head = self._head
        head.target += part
        head.size += len(part)
        if head.size > self._limits.head_size_max:
            self._fail_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        head = self._head
        head.size += len(name) + len(value) + FIELD_OVERHEAD
        if head.size > self._limits.head_size_max:
            self._fail_head()
        # A trailer is counted, not heeded.
        if not head.is_complete and (name := name.lower()) in KEPT:
            head.fields.setdefault(name, []).append(value)

    def on_headers_complete(self) -> None:
        head = self._head
        head.is_complete = True
        self._delivered = True
        self._since = None
        if self._pipeline.closed:
            return
        coding, length = head.field(b"transfer-encoding"), head.field(b"content-length") or b"0"
        has_body = length != b"0" or coding is not None
        version = head.version = self._parser.get_http_version()
        if version not in _VERSIONS:
            status = 400 if version < "1.0" else 505  # no version at all is told as 0.9
            self._fail(Problem(status, "only HTTP/1.0 and HTTP/1.1 are spoken here"))
        elif coding is not None and version == "1.0":
            # Whoever passed it on may have seen another end of the body (RFC 9112 6.1).
            self._fail(wrong("malformed HTTP: no Transfer-Encoding in HTTP/1.0 (RFC 9112, 6.1)"))
        elif has_body and self._parser.should_upgrade() and self._parser.get_method() != _CONNECT:
            self._declining = True
        elif coding is not None and coding.lower() != b"chunked":
            # Where another one is the last, nobody knows where the body ends (RFC 9112 6.3).
            status = 501 if coding.lower().endswith(b"chunked") else 400
            self._fail(Problem(status, "the only transfer coding known here is chunked"))
        else:
            if has_body:
                if self._asks:
                    self._check_stranger()
                self._check_body(int(length), int(length))
            expected = head.field(b"expect")
            if expected is not None and not self._pipeline.closed:
                self._expect(expected, has_body)

    def on_body(self, part: bytes) -> None:
        self._delivered = True
        if self._pipeline.closed:
            return
        self._body += part
        self._check_body(len(self._body), self._limits.batch_size_max)

    def on_message_complete(self) -> None:
        self._delivered = True
        if self._declining:
            return
        self._count += 1
        if not self._pipeline.closed:
            self._request()
        self._begin()

    def _parse(self, data: bytes) -> None:
        while data:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = data[int(upgrade.args[0]) :]
                if self._declining:
                    self._declining = False
                    method, keep = self._parser.get_method(), self._parser.should_keep_alive()
                    data = self._head.without_upgrade(method, keep) + data
                    self._begin()
            else:
                return

    def _begin(self) -> None:
        self._head = Head()
        self._body = bytearray()
        self.size = 0
        self._in_request = False

    def _request(self) -> None:
        """A request is complete: hand its command to the pipeline."""
        head = self._head
        method = self._parser.get_method().decode("latin-1")
        keep = self._parser.should_keep_alive() and method != "CONNECT" and not self._brief
        call = UNKNOWN
        try:
            head.check(self._limits, bool(self._body), self._asks)
            grant = self._grant(method) if self._asks else EVERYTHING
            if method == "OPTIONS":
                framing = self._framing(keep, method)
                if head.cors and (allow := calls.allowed(head.target)):
                    more = origin.preflight(allow)
                    framing = replace(framing, connection=more + framing.connection)
                render = partial(answers.options, framing, self._answered.of("http", "options"))
                self._pipeline.add(partial(calls.allowed, head.target), render)
            else:
                request = calls.find(method, head.target, bytes(self._body))
                call = request.operation.name
                rows, flows = request.operation.rows, request.operation.flows
                if (head.version == "1.0" and rows) or (flows and method != "HEAD"):
                    keep = False  # a list may be long, and knows no chunks: its end is the end
                self._add(request, self._framing(keep, method), grant)
        except Exception as failure:
            told = refused(failure)
            call = told.call if isinstance(told, Denied) and call is UNKNOWN else call
            keep = keep and not is_wrong_token(told)
            self._refuse(told, call, self._framing(keep, method))
        if not keep:
            self._pipeline.end()

    def _add(self, request: calls.Request, framing: Framing, grant: Grant) -> None:
        operation, fields, text = request
        head = self._head
        if self._brief and not operation.is_short(fields):
            detail = "too many connections: only short requests are answered"
            raise Refused(Why.UNAVAILABLE, detail, RETRY_AFTER)
        node, has_key = self._port.node, KEY in head.fields
        answered = self._answered.of("http", operation.name)
        render = partial(answers.answer, operation, framing, text, answered)
        if operation.batch:
            if has_key:
                raise wrong("a batch has no key of its own: give each of its lines a key")
            body = bytes(self._body)
            turns, prefix = self._port.turns, grant.prefix
            run = partial(answer_batch, operation, node, turns, body, text, prefix)
            self._pipeline.add(run, render, size=self.size)
            return
        if has_key and operation.shares:
            calls.add_key(fields, head.fields[KEY])
        arguments = operation.validated(fields)
        if grant.prefix:
            arguments = operation.within(arguments, grant.prefix)
        if operation.negotiates:
            accept = head.field(b"accept") or b""
            arguments = {**arguments, "accept": accept.decode("latin-1")}
        start = operation.start(node, arguments)
        if operation.flows:
            self._followed = grant
            self._follow(start()._replace(prefix=grant.prefix), framing, text, answered)
            return
        if operation.right is Right.ADMIN:
            what = " ".join([operation.name, *map(shown, fields.values())])
            log.info("asked to %s by %s%s", what, self._pipeline.client, self._access.which(grant))
        self._pipeline.add(start, render, operation.shares, self.size)
        if framing is KEEP and operation.is_repeated(fields) and b"expect" not in head.fields:
            self._meaning = Meaning(start, render, operation.shares)
            self._key = fields.get("key")

    def _follow(self, wanted: Wanted, framing: Framing, text: bool, answered: Answers) -> None:
        """An answer that does not end by itself; nothing is read behind it."""
        pipeline, watchers = self._pipeline, self._port.watchers
        if not framing.body:
            answered.ok += 1
            pipeline.say(answers.stream_head(framing))
            return
        head = self._head
        last = (head.field(LAST_EVENT) or b"").decode("latin-1")
        events = ServerSentEvents(framing, text, watchers.id_of)
        start = partial(watchers.watch, wanted._replace(last=last), events, pipeline)
        turned_away = events.turned_away if reads_nothing_else(head.field(b"accept")) else None
        pipeline.add(start, partial(answers.flow, framing, answered, turned_away))

    def _check_stranger(self) -> None:
        """Whoever may not ask that is told so before a body is taken."""
        try:
            self._head.check(self._limits, bool(self._body), self._asks)
            self._grant(self._parser.get_method().decode("latin-1"))
        except Refused as told:
            self._fail(told.bare())

    def _grant(self, method: str) -> Grant:
        """What the client may do; raises `Denied` where that is less than it asks for. A token is
        not looked at where none is needed."""
        asked = calls.asked(method, self._head.target)
        right = Right.READ if asked is None else asked.right
        if right is Right.NONE or method == "OPTIONS":
            return NOTHING
        try:
            shown = self._head.field(AUTHORIZATION)
            if self._head.cors and shown is not None and is_basic(shown):
                shown = None  # the visitor's, which the browser shows by itself
            grant = self._access.of_header(shown)
            check(grant, right, "Authorization: Bearer TOKEN")
        except Denied as denied:
            denied.call = UNKNOWN if asked is None else asked.name
            if origin.is_script(self._head.fields):
                denied.asks_no_visitor()
            raise
        return grant

    def _framing(self, keep: bool, method: str) -> Framing:
        framing = framing_of(keep, self._head.version, method)
        return self._for_page(framing) if self._head.cors else framing

    def _for_page(self, framing: Framing) -> Framing:
        """The same, for a page of another origin that may read it."""
        if not self._head.cors:
            return framing
        return replace(framing, connection=self._head.cors + framing.connection)

    def _expect(self, expected: bytes, has_body: bool) -> None:
        if expected.lower() != b"100-continue":
            self._fail(Problem(417, "the only expectation known here is 100-continue"))
        elif has_body and self._head.version == "1.1":
            self._pipeline.say(answers.CONTINUE)

    def _fail_head(self) -> None:
        part = "trailers are" if self._head.is_complete else "head is"
        limit = self._limits.head_size_max
        self._fail(Problem(431, f"the request's {part} larger than {limit} bytes"))

    def _check_body(self, size: int, size_max: int) -> None:
        """Heed the limits of a body that has `size` bytes already and will have `size_max` at
        most."""
        limits = self._limits
        if size <= limits.body_size_max or self._pipeline.closed:
            return
        method = self._parser.get_method().decode("latin-1")
        allowed = limits.body_size_max
        if calls.is_batch(method, self._head.target):
            allowed = limits.batch_size_max
        if size > allowed:
            self._fail(Problem(413, f"the request's body is larger than {allowed} bytes"))
        elif not self.size:
            self.size = size_max
            if self._port.held_size > limits.batches_size_max:
                self.size = 0
                detail = "too many large batches at a time"
                self._fail(Refused(Why.UNAVAILABLE, detail, RETRY_AFTER))

    def _fail(self, refused: Refused) -> None:
        """Answer a broken request and end the connection; what else it sends is thrown away."""
        if not self._pipeline.closed:
            self._refuse(refused, UNKNOWN, self._for_page(CLOSE))
            self._pipeline.end(linger=True)

    def _refuse(self, refused: Refused, call: str, framing: Framing) -> None:
        self._answered.of("http", call).add(answers.status_of(refused))
        self._pipeline.say(answers.problem(refused, framing))
