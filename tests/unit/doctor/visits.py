"""Visits of an address that tests make up."""

from __future__ import annotations

from typing import Any

from gossipd.config.endpoint import Endpoint
from gossipd.doctor.asking import Heard
from gossipd.doctor.visiting import Api, Row, Visit
from gossipd.version import full_version

HERE, THERE = Endpoint("10.0.0.1", 7946), Endpoint("10.0.0.2", 7946)
NOW = 1_700_000_000.0
"""When all of it is seen; see `conftest`."""


def well(**figures: Any) -> Heard:
    """Of a member that answers everything."""
    sizes = {640: True, 900: True, 1200: True, 1400: True}
    usual = {"pong_after": 0.001, "larger": True, "version": full_version(), "whole": sizes}
    return Heard(**{**usual, "name": "b", "generation": 5, **figures})


def visited(heard: Heard, of_it: Row | None = None, about: str = "b", **api: Any) -> Visit:
    there = Api(Endpoint(THERE.host, 7947), **api)
    return Visit(about, THERE, NOW, heard, there, HERE.host, of_it or {})


def probe(outcome: str, ago: float) -> Row:
    return {"outcome": outcome, "at": NOW - ago}
