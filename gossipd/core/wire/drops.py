"""Why a datagram, or a part of one, was not used: the closed list of reasons."""

from __future__ import annotations

from enum import Enum


class Drop(Enum):
    """A reason; its value is the explanation."""

    NOT_ALLOWED = "from an address that allow does not name"
    TOO_LARGE = "larger than any datagram may be"
    TOO_SHORT = "shorter than a header"
    MAGIC = "not a gossipd datagram"
    VERSION = "another version of the protocol"
    FOREIGN = "another cluster's"
    TAG = "damaged, or of another cluster with the same hash"
    SEALED = "sealed, and this node has no secret"
    UNSEALED = "not sealed, and this node has a secret"
    UNKNOWN_SECRET = "sealed with a secret that this node does not have"
    FORGED = "damaged or forged: it does not open with the secret that it names"
    REPLAYED = "it has come before, or is much older than others of its sender that have come"
    MALFORMED = "its body is malformed: is its sender another version of gossipd?"
    UNKNOWN_KIND = "an unknown kind of message: is its sender a newer gossipd?"
    UNKNOWN_FIELD = "some of its fields or records are unknown; the rest was used"
    OWN = "sent by this process itself"
    STRANGER = "its sender is not a member and has to join first"
    UNASKED = "an answer that nobody waits for"
    UNPROVEN = "its sender asks for a long answer and has not proven its address"
    MISDIRECTED = "meant for a member of another name"
    LIMITED = "its answer is larger than an unproven address may be sent"
    ABSURD = "a generation or incarnation that no clock allows"
    FALSE_CLAIM = "it claims more increments than anybody has shown"
    NOT_OURS = "it tells of increments of this process that it never made"
    MEMBERS_FULL = "the member table is full"
    STREAMS_FULL = "the log holds as many streams or registers as it may"
    KEYS_FULL = "as many idempotency keys are held as may be"
    CROWDED = "its keys name too many events to look at at once; the rest comes again"
    TOO_MUCH = "its sender tells more that is new than it may in a second; the rest is asked for"
    BUSY = "its sender sends more than its share"
