"""The configuration, read again while the node runs (SIGHUP, `systemctl reload`).

Flags and variables stay as they were at the start; the file may say something else. A file that is
no configuration is refused as a whole: the node goes on with what it had, which is an alarm until
a good one is read. Of a good one everything is taken that a running node can change
(`config.options.RELOADS`), and the rest is named.

So are the other files that it names: the keyring once the configuration is taken, for that says
which, each of the others for itself. One that is no good, or whose disk hangs, keeps none of the
others from being taken.

Asked for in a leave, none is read. How one is: `rereading`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, Generic, TypeVar, cast

from gossipd.config.config import Config
from gossipd.config.endpoint import Endpoint
from gossipd.config.layers import Invalid, Layers
from gossipd.config.options import Key, keys
from gossipd.core import Effect, Node, Settings
from gossipd.daemon import logs, notify
from gossipd.daemon.given import keyring_of
from gossipd.daemon.lines import fields as said
from gossipd.daemon.rereading import Reading
from gossipd.daemon.sealing import Seals
from gossipd.daemon.seeds import Seeds
from gossipd.daemon.troubles import Trouble, Troubles
from gossipd.sealing.keyring import Keyring

log = logging.getLogger("gossipd")

T = TypeVar("T")

_OF_SETTINGS = {field.name for field in fields(Settings)}


@dataclass(frozen=True, slots=True)
class Beside(Generic[T]):
    """A file that is read again with the configuration, and for itself: whether one of them is
    good does not matter to the other."""

    name: str
    """What is in it, for people."""

    path: str
    read: Callable[[], T]
    """Called in a thread; raises `ValueError`, whose text names the file."""

    take: Callable[[T], None]
    """Has the node go on with that."""


class Reload:
    """Keeps the configuration of one node."""

    def __init__(
        self,
        config: Config,
        layers: Layers,
        node: Node,
        seeds: Seeds,
        seals: Seals,
        troubles: Troubles,
        allow: Callable[[Sequence[str]], None],
        perform: Callable[[Sequence[Effect]], None],
        files: Sequence[Beside[Any]] = (),
    ) -> None:
        self._config = config
        """What the node runs with at present."""
        self._layers = layers
        self._node = node
        self._seeds = seeds
        self._seals = seals
        self._troubles = troubles
        self._allow = allow
        self._perform = perform
        self._configuration = self._reading(
            "configuration", layers.path, lambda: layers.load().config, self._heed
        )
        self._keyring = self._reading("keyring", None, self._read_keyring, self._heed_keyring)
        self._files = [
            self._reading(file.name, file.path, file.read, partial(self._heed_file, file))
            for file in files
        ]

    def asked(self) -> None:
        """By a signal, in the middle of anything."""
        asyncio.get_running_loop().call_soon_threadsafe(self._signalled)

    def begin(self) -> None:
        """Read the configuration again."""
        if self._node.leaving:
            log.info("reload: this node is leaving, nothing is read again")
            return
        if not self._is_under_way:
            notify.reloading()
        for reading in (self._configuration, *self._files):
            reading.begin()

    def stop(self) -> None:
        """Whatever is being read is not waited for."""
        for reading in self._all:
            reading.stop()

    def _signalled(self) -> None:
        log.info("asked by SIGHUP to read the configuration again")
        self.begin()

    def _reading(
        self,
        name: str,
        path: str | None,
        read: Callable[[], T],
        heed: Callable[[T | Exception], None],
    ) -> Reading[T]:
        def take_heed(outcome: T | Exception) -> None:
            if not self._node.leaving:
                heed(outcome)

        patience = self._config.disk_timeout
        return Reading(name, path, read, take_heed, patience, self._troubles, self._ended)

    @property
    def _all(self) -> list[Reading[Any]]:
        return [self._configuration, self._keyring, *self._files]

    @property
    def _is_under_way(self) -> bool:
        return any(reading.is_under_way for reading in self._all)

    def _ended(self) -> None:
        if not self._is_under_way and not self._node.leaving:
            notify.ready()  # the manager of one that leaves has been told that it ends

    def _heed(self, outcome: Config | Exception) -> None:
        if isinstance(outcome, Config):
            self._troubles.end(Trouble.RELOAD)
            self._take(outcome)
            self._keyring.path = self._config.keyring or "the keyring"
            self._keyring.begin()
            return
        problems = outcome.problems if isinstance(outcome, Invalid) else (str(outcome),)
        for problem in problems:
            log.error("reload: %s", problem)
        more = len(problems) - 1
        others = f", and {more} more" if more else ""
        text = f"the configuration cannot be read again: {problems[0]}{others}"
        self._troubles.begin(Trouble.RELOAD, f"{text}; this node goes on with what it had")

    def _heed_file(self, file: Beside[T], outcome: T | Exception) -> None:
        if not self._is_bad(file.name, outcome):
            file.take(cast(T, outcome))
            log.info("reload: read the %s again: %s", file.name, file.path)

    def _read_keyring(self) -> Keyring | None:
        return keyring_of(self._config)

    def _heed_keyring(self, outcome: Keyring | Exception | None) -> None:
        if not self._is_bad("keyring", outcome):
            self._seals.change(cast(Keyring | None, outcome), self._config.sealing)

    def _is_bad(self, name: str, outcome: object) -> bool:
        """Whether it cannot be taken, which is told."""
        if isinstance(outcome, Exception):
            text = f"the {name} cannot be read again: {outcome}"
            log.error("reload: %s", text)
            text += "; this node goes on with what it had"
            self._troubles.begin(Trouble.RELOAD_FILE, text, name)
            return True
        self._troubles.end(Trouble.RELOAD_FILE, name)
        return False

    def _take(self, config: Config) -> None:
        taken: list[str] = []
        left: list[str] = []
        values: dict[str, Any] = {}
        for key, was, wanted in _differences(self._config, config):
            extra = said(option=key.name)
            cause = _why_not(key, was, wanted)
            if cause is None:
                values[key.name] = wanted
                taken.append(key.name)
                text = f"{key.name} is {_shown(wanted)} from now on, no longer {_shown(was)}"
                log.info("%s", text, extra=extra)
            else:
                left.append(key.name)
                text = f"{key.name} stays {_shown(was)}, though {_shown(wanted)} is wanted"
                log.warning("%s: %s", text, cause, extra=extra)
        self._apply(values)
        log.info(
            "reload: read the configuration again: %d changed, %d cannot change%s",
            len(taken),
            len(left),
            "" if self._layers.path else "; there is no file (--config)",
            extra=said(changed=tuple(taken), stays=tuple(left), file=self._layers.path),
        )

    def _apply(self, values: dict[str, Any]) -> None:
        before = self._config
        plain = {name: value for name, value in values.items() if name not in _OF_SETTINGS}
        settings = {name: value for name, value in values.items() if name in _OF_SETTINGS}
        grown = replace(before.settings, **settings)
        now = self._config = replace(before, **plain, settings=grown)
        if settings:
            self._node.grow(now.settings)
        if "log_level" in values or "log_format" in values:
            logs.show(now.log_level, now.log_format)
        if "tag" in values:
            tags = tuple(sorted(now.tags.items()))
            self._perform(self._node.retag(tags, time.monotonic()))
        if "allow" in values:
            self._allow(now.allow)
            self._seeds.hurry()
        for seed in before.join:
            if seed not in now.join:
                self._seeds.give_up(Endpoint.parse_peer(seed))
        for seed in now.join:
            if seed not in before.join:
                self._seeds.keep(Endpoint.parse_peer(seed))


def _differences(before: Config, after: Config) -> Iterator[tuple[Key, object, object]]:
    """Options with the value that holds and another one that is wanted."""
    for key in keys():
        was, wanted = key.of(before), key.of(after)
        if was != wanted:
            yield key, was, wanted


def _why_not(key: Key, was: Any, wanted: Any) -> str | None:
    """Why a running node cannot take a value; None if it can."""
    if key.reloads == "no":
        return "that needs a new start"
    if key.reloads == "upwards" and wanted < was:
        return "while a node runs it can only grow, so that needs a new start"
    return None


def _shown(value: object) -> str:
    if value is None:
        return "unset"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "empty"
    return str(value).lower() if isinstance(value, bool) else str(value)
