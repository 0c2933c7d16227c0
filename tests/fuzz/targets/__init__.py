"""The table of what is fuzzed. Each is imported by name when it is used, so that a fuzzer that
follows branches can look into it."""

from __future__ import annotations

from importlib import import_module

from tests.fuzz.target import Target

TARGETS: dict[str, str] = {
    "datagrams": "datagrams",
    "sealed": "sealed",
    "keyring": "keyring",
    "http": "port",
    "text": "port",
    "resp": "port",
    "guarded": "guarded",
    "tls": "tls",
    "tokens": "tokens",
    "answers": "answers",
    "config": "config",
    "words": "words",
    "database": "database",
    "dumps": "dumps",
}
"""Its name, and the module that has it under this name in capitals."""


def target(name: str) -> Target:
    """One of the table."""
    found = getattr(import_module(f"{__name__}.{TARGETS[name]}"), name.upper())
    assert isinstance(found, Target)
    return found
