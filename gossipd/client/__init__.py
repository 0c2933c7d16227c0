"""Asking a running daemon over HTTP: one request, one connection, one deadline.

What comes of it is an `Answer`, `NoAnswerError` (nobody answered), `RefusedError` (a daemon
answered and did not do it) or `StrangerError` (what answered is no gossipd, so nobody knows what
became of the request). Knows nothing of the command line. Light to import, for it is most of what
a client command does.
"""

from gossipd.client.answers import (
    NUMBER,
    NUMBER_OR_NONE,
    Answer,
    AskingError,
    NoAnswerError,
    RefusedError,
    StrangerError,
    UnresolvedError,
    UntrustedError,
    is_doubtful,
)
from gossipd.client.credentials import Credentials
from gossipd.client.requests import Client

__all__ = [
    "NUMBER",
    "NUMBER_OR_NONE",
    "Answer",
    "AskingError",
    "Client",
    "Credentials",
    "NoAnswerError",
    "RefusedError",
    "StrangerError",
    "UnresolvedError",
    "UntrustedError",
    "is_doubtful",
]
