"""The protocol, pure: no sockets, clocks, logging or global randomness (see README.md)."""

from .drops import Drop
from .effects import (
    BecameReady,
    ClustersMet,
    Copies,
    Dropped,
    Effect,
    FoundItself,
    Incremented,
    JoinDoubtful,
    Joined,
    KeysWanted,
    Learned,
    Left,
    MemberChanged,
    NameLost,
    NotAlone,
    Refuted,
    SaveWanted,
    Send,
    SpeaksElsewhere,
    Stalled,
)
from .frame import Frame, TagFrame
from .identity import Address, Stream, increment_id, key_time, parse_increment_id
from .image import Image, StreamImage
from .judge import CatchingUp, Duplicate, KeyExpired, KeyReused, KeysFull
from .keys import KeyedEvent
from .messages import AGE_TICK, Correction, Double, KeyRecord, MemberView, Status
from .node import Node
from .saving import Changes
from .settings import Profile, Settings, SettingsError
from .sources import Put, PutConflicts, PutRefused, PutTaken, source_stream
from .tail import TailEntry
from .writer import Accepted, Batch, LogFull, OutOfRange, Stored

__all__ = [
    "AGE_TICK",
    "Accepted",
    "Address",
    "Batch",
    "BecameReady",
    "CatchingUp",
    "Changes",
    "ClustersMet",
    "Copies",
    "Correction",
    "Double",
    "Drop",
    "Dropped",
    "Duplicate",
    "Effect",
    "FoundItself",
    "Frame",
    "Image",
    "Incremented",
    "JoinDoubtful",
    "Joined",
    "KeyExpired",
    "KeyRecord",
    "KeyReused",
    "KeyedEvent",
    "KeysFull",
    "KeysWanted",
    "Learned",
    "Left",
    "LogFull",
    "MemberChanged",
    "MemberView",
    "NameLost",
    "Node",
    "NotAlone",
    "OutOfRange",
    "Profile",
    "Put",
    "PutConflicts",
    "PutRefused",
    "PutTaken",
    "Refuted",
    "SaveWanted",
    "Send",
    "Settings",
    "SettingsError",
    "SpeaksElsewhere",
    "Stalled",
    "Status",
    "Stored",
    "Stream",
    "StreamImage",
    "TagFrame",
    "TailEntry",
    "increment_id",
    "key_time",
    "parse_increment_id",
    "source_stream",
]
