"""The own address: where others are told to reach this node, looked at for as long as it runs.

With `--advertise ADDRESS`, or bound to one address, it is fixed; `--advertise NAME` is resolved
again and again. Else it is automatic, and evidence decides, the best first:

1. An address that this host has no more is given up, and so is loopback where anybody can be
   reached outside.
2. One at which members answer stays: their answers go there.
3. Where nobody answers, what peers see of this node decides if it is an address of this host, so
   that nobody's word can move it elsewhere.
4. Else most routes to live members and seeds do. Loopback counts only where nothing else does.

It is looked at when interfaces, routes, seeds or members change, when joins fail, and when answers
do not come. Whether this host has a way to any member at all follows from the same look.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from gossipd.config.config import Config
from gossipd.config.endpoint import ANYWHERE, LOOPBACK, Endpoint, is_link_local, is_loopback
from gossipd.core import Address, Effect, JoinDoubtful, Node
from gossipd.daemon.alone import Alone
from gossipd.daemon.lines import fields
from gossipd.daemon.reports import address_text
from gossipd.daemon.resolving import Resolver, literal
from gossipd.daemon.routes import Routes, Watch
from gossipd.daemon.seeds import SLOW_AFTER, Seeds
from gossipd.daemon.sight import TOLD_AFTER, Sight
from gossipd.daemon.troubles import Trouble, Troubles
from gossipd.daemon.udp import Udp

log = logging.getLogger(__name__)

RESOLVED_SOON = 0.5
"""Seconds that the start waits for `--advertise NAME`, so that it is right from the first word on
where a resolver is at hand."""

RESOLVE_EVERY = 30.0
"""Seconds until such a name is looked up again."""

RESOLVE_FAILED = 2.0
"""The same while that fails."""

RESOLVE_PAUSE = 1.0
"""The same at least."""

SOON = 0.05
"""Seconds that a look waits for further changes."""

LOOK_EVERY = 30.0
"""Seconds between two looks at routes that nothing asks for."""

TRIAL_AGAIN = 5.0
"""Seconds between two trials of an address at which nobody answers."""

TARGETS_MAX = 16
"""Seeds, and live members, whose routes are asked for: each is a question to the kernel."""

HEARD_PROBES = 3.0
"""Probe intervals for which one answer shows that the address is right."""


def most(hosts: Sequence[str], present: str) -> str:
    """The one that most routes begin at; `present` if there are several, else the first one."""
    votes = Counter(hosts)
    best = max(votes.values())
    tied = [host for host in votes if votes[host] == best]
    return present if present in tied else tied[0]


async def first_address(
    bound: Address, advertise: Endpoint | None, targets: Sequence[Address], routes: Routes
) -> Address:
    """What a node advertises before it has heard anybody."""
    if advertise is not None:
        with suppress(OSError, TimeoutError):  # it is tried again, and told of then
            async with asyncio.timeout(RESOLVED_SOON):
                return _best(literal(advertise) or await Resolver().resolve(advertise))[0]
    if bound[0] not in ANYWHERE:
        return bound
    hosts = _outside_first(
        routes.towards(target) for target in targets if not _is_itself(target, bound[1], routes)
    )
    host = most(hosts, "") if hosts else routes.outward()
    return host or LOOPBACK, bound[1]


def _outside_first(hosts: Iterable[str | None]) -> list[str]:
    """What routes begin at; loopback only where there is nothing else."""
    found = [host for host in hosts if host is not None]
    return [host for host in found if not is_loopback(host)] or found


def _is_itself(target: Address, port: int, routes: Routes) -> bool:
    """Whether a socket of this port, bound to all addresses of the host, would hear itself."""
    return target[1] == port and routes.has(target[0])


def _best(found: Sequence[Address]) -> list[Address]:
    """Those of the addresses of a name that others can be told; what other hosts can reach comes
    first. Raises `OSError` where there is none."""
    told = [each for each in found if not is_link_local(each[0])]
    if not told:
        raise OSError(errno.EADDRNOTAVAIL, "it has only link-local addresses")
    return sorted(told, key=lambda each: is_loopback(each[0]))


class Advertising:
    """Keeps the own address of one node right."""

    def __init__(
        self,
        node: Node,
        config: Config,
        udp: Udp,
        seeds: Seeds,
        troubles: Troubles,
        alone: Alone,
        perform: Callable[[Sequence[Effect]], None],
    ) -> None:
        self._node = node
        self._settings = config.settings
        self._bound = udp.address
        self._advertise = config.advertise
        self._routes = Routes(udp.socket)
        self._seeds = seeds
        self._troubles = troubles
        self._alone = alone
        self._perform = perform
        self._loop = asyncio.get_running_loop()
        self._is_automatic = self._bound[0] in ANYWHERE and self._advertise is None
        self._since = time.monotonic()
        """When the present address was taken."""
        self._moved_at = self._tried_at = self._looked_at = float("-inf")
        self._sight = Sight(node, troubles)
        self._way_lost: str | None = None
        """Why this host has no way to anybody."""
        self._watch: Watch | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._resolving: asyncio.Task[None] | None = None
        self._resolve_again = asyncio.Event()

    # --- inputs ------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to look."""
        watch = Watch(self._network_changed)
        try:
            watch.start()
            self._watch = watch
        except OSError as error:
            log.info("the kernel does not tell when addresses change: %s", error)
        if self._advertise is not None and not literal(self._advertise):
            self._resolving = self._loop.create_task(self._resolve(self._advertise))

    async def stop(self) -> None:
        """End all looking."""
        for timer in self._timers.values():
            timer.cancel()
        if self._watch is not None:
            self._watch.stop()
        if self._resolving is not None:
            self._resolving.cancel()
            await asyncio.gather(self._resolving, return_exceptions=True)

    def doubted(self, effect: JoinDoubtful) -> None:
        """A peer sees this node elsewhere than it advertises. Who sees it on loopback is on this
        host, where all its addresses are one."""
        if self._is_automatic and is_loopback(effect.seen[0]):
            return
        self._sight.saw(effect.seen, time.monotonic())
        self._later("look", 0.0, self.look)
        self._later("tell", TOLD_AFTER + SOON, self.look)

    def answered(self) -> None:
        """Somebody may have answered: then it does not matter where others see this node."""
        if self._sight.seen is not None and self._is_heard():
            self._sight.over()
            self._later("look", 0.0, self.look)

    def members_changed(self) -> None:
        """Somebody has come or gone, to whom the ways may be others."""
        if not self._is_heard() or is_loopback(self._node.own.address[0]):
            self._later("look", SOON, self.look)

    def look(self) -> None:
        """Look at all ways, and follow them."""
        self._looked_at = time.monotonic()
        live = self._node.live_addresses(TARGETS_MAX)
        earlier = [view.address for view in self._node.earlier[:TARGETS_MAX]]
        seeds = self._other_seeds()
        if not (live or earlier or self._node.failed_count or self._asks_seeds(seeds)):
            self._sight.over()
        ways = {target: self._routes.towards(target) for target in (*live, *earlier, *seeds)}
        lost = self._find_lost([ways[target] for target in live or earlier or seeds])
        is_gone = self._is_automatic and not self._routes.has(self._node.own.address[0])
        fails = not is_gone and self._fails(bool(live))
        if self._is_automatic:
            self._follow(_outside_first(ways.values()), bool(live), fails)
        self._way_is(lost)  # afterwards, as members are asked then: they are told where it is
        self._judge_time(seeds)
        if not (self._is_heard() or self._can_follow()):
            self._sight.tell(self._looked_at)

    @property
    def cause(self) -> str | None:
        """Why nobody may answer, as far as it can be seen from here."""
        return self._way_lost or self._sight.cause

    # --- deciding ----------------------------------------------------------------------------

    def _other_seeds(self) -> list[Address]:
        """Addresses of seeds that may be somebody else's; not those of one link, to which there
        may be a way that tells no address."""
        own, port = self._node.own.address, self._bound[1]
        others = (each for each in self._seeds.addresses if each != own)
        seeds = [each for each in others if not is_link_local(each[0])][:TARGETS_MAX]
        if self._bound[0] not in ANYWHERE:
            return seeds
        return [seed for seed in seeds if not _is_itself(seed, port, self._routes)]

    def _asks_seeds(self, others: Sequence[Address]) -> bool:
        """Whether any seed is asked; `others`: those that are not of one link."""
        return bool(others) or any(is_link_local(each[0]) for each in self._seeds.addresses)

    def _find_lost(self, ways: Sequence[str | None]) -> str | None:
        """Why this host has no way to any of those who count; None where it has one."""
        if self._bound[0] not in ANYWHERE and not self._routes.has(self._bound[0]):
            return f"this host has no address {self._bound[0]}"
        if ways and not any(ways):
            return "this host has no route to any other"
        return None

    def _way_is(self, lost: str | None) -> None:
        """Whether this host has a way to anybody: the core is told once that changes."""
        before, self._way_lost = self._way_lost, lost
        if (lost is None) == (before is None):
            return
        self._perform(self._node.cut_off(lost is not None, time.monotonic()))
        if lost is None:
            log.info("cleared: %s", before)
            self._seeds.hurry()
        else:
            log.warning("%s", lost)

    def _fails(self, has_members: bool) -> bool:
        """Whether nobody answers where the present address says; members are asked from time to
        time, and may take a round trip."""
        if self._is_heard() or not has_members:
            return not has_members
        now = time.monotonic()
        if now - self._tried_at >= TRIAL_AGAIN:
            self._tried_at = now
            self._resolve_again.set()
            self._perform(self._node.ask_members(now))
            self._later("trial", self._settings.probe_timeout, self.look)
            return False
        return now - self._tried_at >= self._settings.probe_timeout

    def _is_heard(self) -> bool:
        """Whether some member has answered at the present address a moment ago."""
        heard_at = self._node.heard_at
        enough = HEARD_PROBES * self._settings.probe_interval
        return heard_at >= self._since and time.monotonic() - heard_at < enough

    def _follow(self, hosts: Sequence[str], live: bool, fails: bool) -> None:
        """Take the address that evidence is for; `hosts`: where the ways to others begin; `live`:
        whether there are members."""
        host = self._node.own.address[0]
        inside = is_loopback(host)
        better: str | None = None
        if not self._routes.has(host) or (inside and hosts and not is_loopback(hosts[0])):
            better = most(hosts, host) if hosts else self._routes.outward()
        elif not hosts:
            better = self._routes.outward() if inside and not self._seeds.addresses else None
        elif fails and time.monotonic() - self._moved_at >= TRIAL_AGAIN:
            better = self._seen_at() or most(hosts, host)
            if not live and is_loopback(better):
                better = None  # seeds of this host hear it at any of its addresses
        if better is not None and better != host:
            self._move((better, self._bound[1]))

    def _seen_at(self) -> str | None:
        """Where a peer has seen this node, if that can be true."""
        seen = self._sight.seen
        if seen is None or is_loopback(seen[0]):
            return None
        return seen[0] if self._routes.has(seen[0]) else None

    def _can_follow(self) -> bool:
        """Whether this node takes the address at which it is seen by itself, sooner or later."""
        return self._is_automatic and self._seen_at() not in (None, self._node.own.address[0])

    def _move(self, address: Address) -> None:
        before, after = address_text(self._node.own.address), address_text(address)
        # Nobody outside could have known it on loopback: that it goes out is how it begins.
        level = logging.INFO if is_loopback(self._node.own.address[0]) else logging.WARNING
        extra = fields(address=after, was=before)
        log.log(level, "advertising %s from now on, no longer %s", after, before, extra=extra)
        self._since = self._moved_at = time.monotonic()
        self._tried_at = float("-inf")
        self._sight.over()
        self._perform(self._node.readdress(address, self._since))
        self._seeds.hurry()

    def _judge_time(self, seeds: Sequence[Address]) -> None:
        """Waiting alone proves nothing where no seed can answer, or where those that do cannot
        take this node in."""
        own = self._node.own.address
        if self._way_lost is not None:
            self._alone.forbid("address", self._way_lost)
        elif is_loopback(own[0]) and any(not is_loopback(seed[0]) for seed in seeds):
            text = f"this node advertises {address_text(own)}, which other hosts cannot reach"
            self._alone.forbid("address", text)
        elif self._sight.cause is not None and not self._is_heard():
            self._alone.forbid("address", self._sight.cause)
        else:
            self._alone.permit("address")

    # --- time --------------------------------------------------------------------------------

    def _network_changed(self) -> None:
        self._resolve_again.set()
        self.look()

    def tick(self, now: float) -> None:
        """About a second has passed: look where nobody answers, where the kernel does not tell of
        changes, or where it is time."""
        self.answered()
        is_time = self._watch is None or now - self._looked_at >= LOOK_EVERY
        if is_time or not self._is_heard():
            self.look()

    def _later(self, name: str, seconds: float, act: Callable[[], None]) -> None:
        """Do something once, however often it is asked for until then."""
        if name not in self._timers:
            self._timers[name] = self._loop.call_later(seconds, self._act, name, act)

    def _act(self, name: str, act: Callable[[], None]) -> None:
        del self._timers[name]
        act()

    async def _resolve(self, name: Endpoint) -> None:
        """Follow the name that the operator advertises."""
        resolver = Resolver()
        while True:
            self._resolve_again.clear()
            wait = RESOLVE_EVERY
            slow = self._loop.call_later(SLOW_AFTER, self._unresolved, "no resolver has answered")
            try:
                found = _best(await resolver.resolve(name))
            except OSError as error:
                wait = RESOLVE_FAILED
                self._unresolved(error.strerror or str(error))
            else:
                self._troubles.end(Trouble.ADVERTISE)
                if self._node.own.address not in found:
                    self._move(found[0])
            finally:
                slow.cancel()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._resolve_again.wait()
            await asyncio.sleep(RESOLVE_PAUSE)

    def _unresolved(self, reason: str) -> None:
        own = address_text(self._node.own.address)
        text = f"cannot resolve --advertise {self._advertise}: {reason}"
        self._troubles.begin(Trouble.ADVERTISE, f"{text}; advertising {own} until it can be")
