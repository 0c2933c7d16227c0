"""The protocol, pure: no sockets, clocks, logging or global randomness (see README.md)."""

from .drops import Drop
from .effects import (
    BecameReady,
    Copies,
    Dropped,
    Effect,
    Incremented,
    JoinDoubtful,
    Joined,
    Learned,
    Left,
    MemberChanged,
    NameLost,
    Refuted,
    SaveWanted,
    Send,
    Stalled,
)
from .frame import Frame, TagFrame
from .identity import Address, Stream, increment_id, parse_increment_id
from .image import Image, StreamImage
from .messages import MemberView, Status
from .node import Node
from .saving import Changes
from .settings import Profile, Settings, SettingsError
from .tail import TailEntry
from .writer import Accepted, Batch, LogFull, OutOfRange

__all__ = [
    "Accepted",
    "Address",
    "Batch",
    "BecameReady",
    "Changes",
    "Copies",
    "Drop",
    "Dropped",
    "Effect",
    "Frame",
    "Image",
    "Incremented",
    "JoinDoubtful",
    "Joined",
    "Learned",
    "Left",
    "LogFull",
    "MemberChanged",
    "MemberView",
    "NameLost",
    "Node",
    "OutOfRange",
    "Profile",
    "Refuted",
    "SaveWanted",
    "Send",
    "Settings",
    "SettingsError",
    "Stalled",
    "Status",
    "Stream",
    "StreamImage",
    "TagFrame",
    "TailEntry",
    "increment_id",
    "parse_increment_id",
]
