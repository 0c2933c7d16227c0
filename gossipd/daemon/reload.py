"""The configuration, read again while the node runs (SIGHUP, `systemctl reload`).

Flags and variables stay as they were at the start; the file may say something else. A file that is
no configuration is refused as a whole: the node goes on with what it had, which is an alarm until
a good one is read. Of a good one everything is taken that a running node can change
(`config.options.RELOADS`), and the rest is named.

So are the secrets of the keyring, also where nothing else can change.

Asked for while it is under way, it is done once more behind; asked for in a leave, not at all.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar

from gossipd.config.config import Config
from gossipd.config.endpoint import Endpoint
from gossipd.config.layers import Invalid, Layers
from gossipd.config.options import Key, keys
from gossipd.core import Effect, Node, Settings
from gossipd.daemon import logs, notify
from gossipd.daemon.lines import fields as said
from gossipd.daemon.sealing import Seals, keyring_of
from gossipd.daemon.seeds import Seeds
from gossipd.daemon.troubles import Trouble, Troubles
from gossipd.sealing.keyring import Keyring, KeyringError

log = logging.getLogger("gossipd")

T = TypeVar("T")

_Read = tuple[Config, Keyring | None]

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

    def load(self) -> Callable[[], None] | Exception:
        """What takes it, or why it cannot be taken. Never raises: an outcome is waited for."""
        try:
            return partial(self.take, self.read())
        except Exception as error:
            if not isinstance(error, ValueError):
                log.exception("this is a bug in gossipd")
            return error


Besides: TypeAlias = list[tuple[Beside[Any], Callable[[], None] | Exception]]


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
        self._files = files
        self._loop = asyncio.get_running_loop()
        self._reads = False
        self._once_more = False
        self._is_over = False
        self._late: asyncio.TimerHandle | None = None
        """Tells that a file is not read for long; None while none is being read."""

    def asked(self) -> None:
        """By a signal, in the middle of anything."""
        self._loop.call_soon_threadsafe(self.begin)

    def begin(self) -> None:
        """Read the configuration again."""
        if self._node.leaving:
            log.info("SIGHUP: this node is leaving, nothing is read again")
        elif self._reads:
            self._once_more = True
        else:
            self._reads = True
            notify.reloading()
            self._read()

    def stop(self) -> None:
        """Whatever is being read is not waited for."""
        self._is_over = True
        self._in_time()

    def _read(self) -> None:
        """The file may be on a disk that hangs, so a thread reads it, for which nobody waits."""
        self._once_more = False
        wait = self._config.disk_timeout
        what = self._layers.path or self._config.keyring or "the configuration"
        text = f"{what} cannot be read again yet: its disk has not answered"
        self._late = self._loop.call_later(wait, self._troubles.begin, Trouble.RELOAD_HANGS, text)
        threading.Thread(target=self._load, name="reload", daemon=True).start()

    def _load(self) -> None:
        outcome: _Read | Exception
        try:
            config = self._layers.load().config
            outcome = config, keyring_of(config)
        except Exception as error:
            outcome = error
        besides = [(file, file.load()) for file in self._files]
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._loaded, outcome, besides)

    def _loaded(self, outcome: _Read | Exception, besides: Besides) -> None:
        self._in_time()
        if self._is_over or self._node.leaving:
            return  # the manager has been told that this node ends
        try:
            self._heed_files(besides)
            self._heed(outcome)
        finally:
            if self._once_more:
                self._read()
            else:
                self._reads = False
                notify.ready()

    def _in_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
            self._troubles.end(Trouble.RELOAD_HANGS)

    def _heed(self, outcome: _Read | Exception) -> None:
        if isinstance(outcome, tuple):
            self._troubles.end(Trouble.RELOAD)
            self._take(*outcome)
        elif isinstance(outcome, Invalid | KeyringError):
            problems = outcome.problems if isinstance(outcome, Invalid) else (str(outcome),)
            for problem in problems:
                log.error("SIGHUP: %s", problem)
            more = len(problems) - 1
            others = f", and {more} more" if more else ""
            text = f"the configuration cannot be read again: {problems[0]}{others}"
            self._troubles.begin(Trouble.RELOAD, f"{text}; this node goes on with what it had")
        else:
            raise outcome

    def _heed_files(self, besides: Besides) -> None:
        for file, found in besides:
            if isinstance(found, Exception):
                text = f"the {file.name} cannot be read again: {found}"
                log.error("SIGHUP: %s", text)
                self._troubles.begin(
                    Trouble.RELOAD_FILE, f"{text}; this node goes on with what it had", file.name
                )
            else:
                self._troubles.end(Trouble.RELOAD_FILE, file.name)
                found()
                log.info("SIGHUP: read the %s again: %s", file.name, file.path)

    def _take(self, config: Config, keyring: Keyring | None) -> None:
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
        self._seals.change(keyring, self._config.sealing)
        log.info(
            "SIGHUP: read the configuration again: %d changed, %d cannot change%s",
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
