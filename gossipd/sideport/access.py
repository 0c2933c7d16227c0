"""Who may do what: tokens are shown, and rights follow.

A token is known by its SHA-256 alone, and looked up by it. How long that takes may tell whether a
digest is like one that is known; but whoever guesses cannot choose digests, so he learns nothing
that brings him nearer to a token. (Comparing tokens themselves, byte for byte, would lead him to
one.) What was known under a token is forgotten with it: whenever tokens change, so is each request
that is remembered with its token in it, and connections look again.

Who shows a wrong token is told so and has to connect again, which costs him more than the node. He
is not made to wait: that would keep a connection, of which others need one.
"""

from __future__ import annotations

import base64
import binascii
import re

from gossipd.config.tokens import Grant, Grants, Right, digest_of
from gossipd.core import Refused, Why
from gossipd.sideport.memo import Meaning, Memo

UNAUTHORIZED, FORBIDDEN = 401, 403

EVERYTHING, NOTHING = Grant(Right.ADMIN), Grant(Right.NONE)

GONE = "its token is not valid any more"

_WRONG = "WRONGPASS"
_BY_BEARER = b'WWW-Authenticate: Bearer realm="gossipd"\r\n'
_BY_BASIC = b'WWW-Authenticate: Basic realm="gossipd", charset="UTF-8"\r\n'
_BEARER = re.compile(rb"bearer +(\S+)", re.IGNORECASE)
_BASIC = re.compile(rb"basic +(\S+)", re.IGNORECASE)


class Denied(Refused):
    """What a client may not do."""

    def __init__(self, status: int, detail: str, code: str) -> None:
        """`status`: that of HTTP; `code`: the word that clients of Redis know."""
        super().__init__(Why.WRONG, detail)
        self.status = status
        self.code = code
        self.call = ""
        """What it is about, where that is known."""
        self.headers = _BY_BEARER + _BY_BASIC if status == UNAUTHORIZED else b""

    def asks_no_visitor(self) -> None:
        """A script gets it. For Basic a browser would ask its visitor, again for each request."""
        self.headers = self.headers.replace(_BY_BASIC, b"")


def is_basic(authorization: bytes) -> bool:
    """Whether a token is shown in the way in which browsers do it by themselves."""
    return _BASIC.match(authorization) is not None


def wrong_token() -> Denied:
    return Denied(UNAUTHORIZED, "no such token", _WRONG)


def is_wrong_token(refused: Refused) -> bool:
    """Whether a client has to connect again before it may try another one."""
    return isinstance(refused, Denied) and refused.code == _WRONG


def within(name: str | None, prefix: str) -> str:
    """A counter, if a token for counters that begin so is good for it. Raises `Denied`."""
    if name is None or not name.startswith(prefix):
        detail = f"this token is for counters alone that begin with {prefix!r}"
        raise Denied(FORBIDDEN, detail, "NOPERM")
    return name


def all_within(names: frozenset[str] | None, prefix: str) -> frozenset[str] | None:
    """The same of several; none are all that begin so."""
    return None if names is None else frozenset(within(name, prefix) for name in names)


def narrowed(beginning: str | None, prefix: str) -> str | None:
    """The beginning of counters, if such a token is good for some of them: that of these. Raises
    `Denied`."""
    if beginning is None:
        return None
    return prefix if prefix.startswith(beginning) else within(beginning, prefix)


def check(grant: Grant, right: Right, hint: str) -> None:
    """Raises `Denied` where more is needed. `hint`: how a token is shown."""
    if grant.right >= right:
        return
    if grant.right is Right.NONE:
        raise Denied(UNAUTHORIZED, f"a token is needed: {hint}", "NOAUTH")
    has, needs = grant.right.name.lower(), right.name.lower()
    raise Denied(FORBIDDEN, f"this needs a token for {needs}, and yours is for {has}", "NOPERM")


class Access:
    """Of the connections of some listeners."""

    def __init__(self, grants: Grants | None = None) -> None:
        """None: no tokens are asked, everybody may do all."""
        self._grants = grants
        self.requests = Memo[Meaning]()
        """What these say again and again over HTTP, each with the token that it shows."""

    @property
    def is_open(self) -> bool:
        return self._grants is None

    @property
    def of_strangers(self) -> Grant:
        """What those may do who show no token."""
        return EVERYTHING if self._grants is None else NOTHING

    def change(self, grants: Grants) -> bool:
        """These hold from now on; whether others did before."""
        if grants == self._grants:
            return False
        self._grants = grants
        self.requests.forget()
        return True

    def of(self, token: bytes) -> Grant:
        """What a token gives. Raises `Denied`."""
        if self._grants is None:
            return EVERYTHING
        grant = self._grants.get(digest_of(token))
        if grant is None:
            raise wrong_token()
        return grant

    def now(self, grant: Grant) -> Grant | None:
        """What the token gives at present that gave this; None where it is gone."""
        if self._grants is None or not grant.digest:
            return self.of_strangers
        return self._grants.get(grant.digest)

    def which(self, grant: Grant) -> str:
        """The token that gives it, for people; empty where none was needed."""
        if self._grants is None or grant.digest not in self._grants:
            return ""
        return f" with token {[*self._grants].index(grant.digest) + 1} of the file"

    def of_header(self, authorization: bytes | None) -> Grant:
        """What a header field `Authorization` gives. Raises `Denied`."""
        if authorization is None or self._grants is None:
            return self.of_strangers
        if found := _BEARER.fullmatch(authorization):
            return self.of(found[1])
        if found := _BASIC.fullmatch(authorization):
            try:
                pair = base64.b64decode(found[1], validate=True)
            except binascii.Error:
                raise wrong_token() from None
            return self.of(pair.partition(b":")[2])
        raise wrong_token()


class Visitor:
    """The client of a connection that stays who it is until it says otherwise."""

    __slots__ = ("_access", "grant", "is_bounded")

    def __init__(self, access: Access) -> None:
        self._access = access
        self.forget()

    def forget(self) -> None:
        """It is nobody again."""
        self._become(self._access.of_strangers)

    def show(self, token: bytes) -> None:
        """Raises `Denied`."""
        self._become(self._access.of(token))

    def stays(self) -> bool:
        """Tokens have changed: whether it is still welcome."""
        now = self._access.now(self.grant)
        if now is not None:
            self._become(now)
        return now is not None

    def may(self, right: Right, counter: str) -> bool:
        return self.grant.right >= right and counter.startswith(self.grant.prefix)

    def _become(self, grant: Grant) -> None:
        self.grant = grant
        self.is_bounded = grant.is_bounded
        """It may not even do all that is remembered for all: to count and to read counters."""
