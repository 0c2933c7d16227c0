"""The table of the commands of RESP.

What is not in it is refused, with the reason where Redis has it (`refusals`). `QUIT`, `MULTI` and
what follows that are the dialect's.
"""

from __future__ import annotations

from gossipd.config.tokens import Right
from gossipd.sideport.resp import asking, connection, documents
from gossipd.sideport.resp.rows import Command, Given

_COUNTER = Given("counter", "key")
_COUNTERS = Given("counter", "key", multiple=True)
_BY = Given("by", "integer")
_NONE, _READ, _WRITE, _ADMIN = Right
_READS, _COUNTS, _ANY = ("readonly", "fast"), ("write", "denyoom", "fast"), ("fast", "loading")

COMMANDS: dict[str, Command] = {
    "INCR": Command(
        right=_WRITE, arity=2,
        summary="Adds 1 to a counter.", call=asking.incr, given=(_COUNTER,),
        flags=_COUNTS, is_brief=True,
    ),
    "INCRBY": Command(
        right=_WRITE, arity=3,
        summary="Adds a number to a counter.", call=asking.incrby,
        given=(_COUNTER, _BY), flags=_COUNTS, is_brief=True,
    ),
    "DECR": Command(
        right=_WRITE, arity=2,
        summary="Takes 1 from a counter.", call=asking.decr, given=(_COUNTER,),
        flags=_COUNTS, is_brief=True,
    ),
    "DECRBY": Command(
        right=_WRITE, arity=3,
        summary="Takes a number from a counter.", call=asking.decrby,
        given=(_COUNTER, _BY), flags=_COUNTS, is_brief=True,
    ),
    "GOSSIPD.INCRBY": Command(
        right=_WRITE, arity=4,
        summary="Adds a number to a counter, once for each key however often it is sent.",
        call=asking.add_once, given=(_COUNTER, _BY, Given("key")), group="module", flags=_COUNTS,
        is_brief=True,
    ),
    "GET": Command(
        right=_READ, arity=2,
        summary="The count of a counter; nil where nothing was ever added.",
        call=asking.get, given=(_COUNTER,), flags=_READS, is_brief=True,
    ),
    "MGET": Command(
        right=_READ, arity=-2,
        summary="The counts of several counters.", search=asking.mget, given=(_COUNTERS,),
        flags=_READS,
    ),
    "EXISTS": Command(
        right=_READ, arity=-2,
        summary="How many of these counters there are.", search=asking.exists,
        given=(_COUNTERS,), group="generic", flags=_READS,
    ),
    "TYPE": Command(
        right=_READ, arity=2,
        summary="string for a counter, or none.", search=asking.type_of, given=(_COUNTER,),
        group="generic", flags=_READS,
    ),
    "KEYS": Command(
        right=_READ, arity=2,
        summary="The names of all counters that fit a pattern.", search=asking.keys,
        given=(Given("pattern", "pattern"),), group="generic", flags=("readonly",),
    ),
    "SCAN": Command(
        right=_READ, arity=-2,
        summary="The names of the counters, a few at a time.", search=asking.scan,
        given=(
            Given("cursor", "integer"),
            Given("pattern", "pattern", "MATCH", optional=True),
            Given("count", "integer", "COUNT", optional=True),
            Given("type", "string", "TYPE", optional=True),
        ),
        group="generic", since="2.8.0", flags=("readonly",),
    ),
    "DBSIZE": Command(
        right=_READ, arity=1,
        summary="How many counters there are.", run=asking.dbsize, group="server",
        flags=_READS,
    ),
    "WAIT": Command(
        right=_READ, arity=3,
        summary="Waits until so many other nodes hold this connection's last increment.",
        run=asking.wait, given=(Given("nodes", "integer"), Given("milliseconds", "integer")),
        group="generic", since="3.0.0", flags=("blocking",),
    ),
    "PING": Command(
        right=_NONE, arity=-1,
        summary="PONG, or the message.", run=connection.ping,
        given=(Given("message", optional=True),), group="connection", flags=_ANY, is_brief=True,
    ),
    "ECHO": Command(
        right=_READ, arity=2,
        summary="The message.", run=connection.echo, given=(Given("message"),),
        group="connection", flags=_ANY,
    ),
    "HELLO": Command(
        right=_NONE, arity=-1,
        summary="Sets the version of the protocol, 2 or 3.", call=connection.hello,
        given=(Given("protover", "integer", optional=True),), group="connection", since="6.0.0",
        flags=_ANY,
    ),
    "AUTH": Command(
        right=_NONE, arity=-2, summary="Shows a token, as the password of whatever user.",
        call=connection.auth,
        given=(Given("username", optional=True), Given("password")), group="connection",
        flags=_ANY,
    ),
    "SELECT": Command(
        right=_READ, arity=2,
        summary="Selects database 0, the only one.", run=connection.select,
        given=(Given("index", "integer"),), group="connection", flags=_ANY,
    ),
    "CLIENT": Command(
        right=_READ, arity=-2,
        summary="What a client says of itself: ID, INFO, SETNAME, GETNAME, SETINFO.",
        run=connection.client, group="connection", since="2.4.0", flags=_ANY,
    ),
    "RESET": Command(
        right=_NONE, arity=1,
        summary="The connection is as it was at first.", call=connection.reset,
        group="connection", since="6.2.0", flags=_ANY,
    ),
    "QUIT": Command(
        right=_NONE, arity=-1,
        summary="Closes the connection.", run=connection.ping, group="connection",
        flags=_ANY,
    ),
    "INFO": Command(
        right=_READ, arity=-1,
        summary="The state of the node, in sections.", run=connection.info,
        given=(Given("section", optional=True, multiple=True),), group="server", flags=_ANY,
    ),
    "CONFIG": Command(
        right=_READ, arity=-2,
        summary="Some settings, as Redis has them: GET.", run=connection.config,
        group="server", since="2.0.0", flags=("loading",),
    ),
    "COMMAND": Command(
        right=_READ, arity=-1,
        summary="These commands: COUNT, DOCS, INFO, LIST.",
        run=lambda _, words: documents.command(COMMANDS, words), group="server", since="2.8.13",
        flags=("loading",),
    ),
}  # fmt: skip
"""By their names in capitals."""
