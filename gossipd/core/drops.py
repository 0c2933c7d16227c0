"""Why a datagram, or a part of one, was not used: the closed list of reasons."""

from __future__ import annotations

from enum import Enum


class Drop(Enum):
    """A reason; its value is the explanation."""

    TOO_LARGE = "larger than any datagram may be"
    TOO_SHORT = "shorter than a header"
    MAGIC = "not a gossipd datagram"
    VERSION = "a version of the wire that is not spoken here"
    FOREIGN = "another cluster's"
    TAG = "damaged, or of another cluster with the same hash"
    MALFORMED = "its body is not what its kind prescribes"
    UNKNOWN_KIND = "a kind of message that is not known here"
    UNKNOWN_FIELD = "some of its fields or records are not known here; the rest was used"
    OWN = "sent by this very process"
    STRANGER = "its sender is not a member and has to join first"
    UNASKED = "an answer to a question that is not open"
    UNPROVEN = "a question with a long answer of somebody who has not proven its address here"
    MISDIRECTED = "meant for a member of another name"
    LIMITED = "an answer larger than a stranger may be sent"
    ABSURD = "a generation or incarnation that no clock allows"
    FALSE_CLAIM = "it claims more of a stream than anybody has shown"
    NOT_OURS = "it tells of increments of this very process that it has not made"
    MEMBERS_FULL = "the member table is full"
    STREAMS_FULL = "the log holds as many streams or registers as it may"
    KEYS_FULL = "as many idempotency keys are held as may be"
    CROWDED = "keys that name more events than are looked at at once; the rest comes again"
    TOO_MUCH = "more that is new than its sender may tell in a second; it is asked for later"
    BUSY = "more than its sender's share of this node's time"
