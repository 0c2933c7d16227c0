"""The process: sockets, clock and signals around one core. The only place where siblings meet.

Three phases: open (everything that can fail fails here, in one line and exit 1), serve, stop. One
input at a time goes through the core; its effects are performed at once and one timer is armed for
its next deadline.
"""

from __future__ import annotations

import asyncio
import logging
import random
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from gossipd.config.config import Config
from gossipd.config.endpoint import Endpoint
from gossipd.config.layers import Layers
from gossipd.core import Drop, Effect, Node, Snapshot
from gossipd.daemon import logs
from gossipd.daemon.advertising import Advertising
from gossipd.daemon.alone import Alone
from gossipd.daemon.certificates import Certificates
from gossipd.daemon.counting import Counting
from gossipd.daemon.deadline import Deadline
from gossipd.daemon.dropping import Drops
from gossipd.daemon.ending import Ending
from gossipd.daemon.filling import Filling
from gossipd.daemon.garbage import Garbage
from gossipd.daemon.given import certificate_of, tokens_of
from gossipd.daemon.hearing import Hearing
from gossipd.daemon.inbox import Inbox
from gossipd.daemon.keeping import Keeping
from gossipd.daemon.lines import fields
from gossipd.daemon.manager import Manager
from gossipd.daemon.metrics import Metrics, Sources
from gossipd.daemon.numbers import Numbers
from gossipd.daemon.opening import (
    FILES_BESIDE,
    Opened,
    StartError,
    begin_port,
    close_parts,
    data_dir,
    open_parts,
    open_port,
    port_limits,
)
from gossipd.daemon.performing import Performing
from gossipd.daemon.reload import Beside, Reload
from gossipd.daemon.reports import address_text, standing
from gossipd.daemon.resolving import literal
from gossipd.daemon.retrying import Retrying
from gossipd.daemon.sealing import Seals
from gossipd.daemon.seeds import Seeds
from gossipd.daemon.service import Service
from gossipd.daemon.sifting import Sifting
from gossipd.daemon.telling import Telling
from gossipd.daemon.ticking import Ticking
from gossipd.daemon.troubles import Alarm, Trouble, Troubles
from gossipd.daemon.waits import Waits
from gossipd.process import descriptors, signals
from gossipd.sideport.port import SidePort
from gossipd.sideport.tls import Tls
from gossipd.store import Keeper
from gossipd.version import full_version

log = logging.getLogger("gossipd")


def run(config: Config, layers: Layers, keeper: Keeper | None) -> int:
    """Run a node until it has left; its exit code. `layers`: what the configuration came from, to
    be read again. `keeper`: who has the disk, if it has one."""
    full_version()  # now: its files may be replaced while it runs
    descriptors.allow(config.connections_max + FILES_BESIDE)
    with logs.logging_aside(config.log_level, config.log_format):
        try:
            import uvloop

            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                return runner.run(_run(config, layers, keeper))
        except StartError as error:
            sys.stderr.write(f"gossipd: {error}\n")
        except Exception as error:
            if str(error) == signals.NO_THREAD:
                sys.stderr.write(f"gossipd: {error} {signals.MOST}\n")
            else:
                log.critical("this is a bug in gossipd", exc_info=True)
        return 1


async def _run(config: Config, layers: Layers, keeper: Keeper | None) -> int:
    manager = Manager()
    manager.begin()
    try:
        return await (await Daemon.open(config, keeper, manager)).serve(layers)
    finally:
        manager.end()


class Daemon:
    """One running node."""

    def __init__(self, config: Config, opened: Opened, manager: Manager) -> None:
        own = opened.own
        self._config = config
        self._manager = manager
        self._store = store = opened.store
        self._udp = udp = opened.udp
        self._early, self._snapshot = opened.early, opened.snapshot
        self._troubles = Troubles()
        self._seals = Seals(
            config,
            opened.keyring,
            self._troubles,
            udp.send,
            lambda source: self._node.spoke_from(source),
        )
        rng, frame = random.SystemRandom(), self._seals.frame
        durable, timeout, now = not config.in_memory, config.disk_timeout, time.monotonic()
        self._node = Node(
            own, config.settings, frame, rng, now, durable=durable, disk_timeout=timeout
        )
        self._numbers = Numbers()
        self._telling = Telling(self._troubles)
        self._drops = Drops(self._troubles)
        self._sifting = Sifting(self._node, udp, self._seals, self._drops, self._perform)
        self._sifting.allow(config.allow)
        self._filling = Filling(self._node)
        self._garbage = Garbage(self._node, lambda: self._port.connection_count)
        self._keeping = Keeping(
            self._node, store, self._perform, self._troubles, self._numbers, timeout
        )
        self._counting = Counting(self._node, self._keeping.do)
        self._ending = Ending(self._node, config, self._perform)
        self._waits = Waits(self._node, self._perform)
        self._alone = Alone(self._node, self._perform)
        self._seeds = Seeds(
            self._node,
            config.settings,
            self._troubles,
            self._perform,
            self._seeds_changed,
            udp.why_not,
            Retrying(lambda: self._advertising.cause),
        )
        self._advertising = Advertising(
            self._node, config, udp, self._seeds, self._troubles, self._alone, self._perform
        )
        self._performing = self._effects()
        hearing = Hearing(
            self._node, config.settings, self._troubles, lambda: self._advertising.cause
        )
        acts = self._advertising.tick, self._seeds.tick, hearing.look, self._telling.catch_up
        self._ticking = Ticking(*acts, self._look)
        self.service = self._service()
        self._port = SidePort(self.service, port_limits(config, own.name))
        self._data_dir = data_dir(config, own.name)
        busy = partial(self._drops.drop, reason=Drop.BUSY)
        self._inbox = Inbox(self._sifting.receive, self._node, self._sifting.refuse, busy)
        self._deadline = Deadline(
            self._node, udp, self._inbox, config.settings.stall_after, self._deadline_passed
        )
        self._metrics = Metrics(self._sources())
        self._certificates: Certificates | None = None
        """None where the API speaks no TLS."""
        self._guard(opened)

    def _effects(self) -> Performing:
        """Who heeds what the core tells."""
        return Performing(
            self._node,
            self._config.cluster,
            self._udp,
            self._seals,
            self._numbers,
            self._telling,
            self._drops,
            self._keeping,
            self._counting,
            self._ending,
            self._waits,
            self._alone,
            self._seeds,
            self._advertising,
        )

    def _service(self) -> Service:
        """What clients are served with."""
        return Service(
            self._node,
            self._store,
            self._counting,
            self._waits,
            self._keeping.watch,
            self._seeds,
            self._seals,
            self._troubles,
            self._alone,
            self._perform,
            self._ending.begin_leave,
            lambda: self._reload.begin(),
            self._process,
            lambda counters, accept: self._metrics.scrape(counters, accept),
            self._config.cluster,
        )

    # --- phases ------------------------------------------------------------------------------

    @classmethod
    async def open(
        cls, config: Config, keeper: Keeper | None = None, manager: Manager | None = None
    ) -> Daemon:
        """Bind. `keeper`: who has the disk, this process unless given. `manager`: who is told of
        it meanwhile and later. Raises `StartError`."""
        opened = await open_parts(config, keeper)
        try:
            daemon = cls(config, opened, manager or Manager())
            daemon._port.hold()
            await open_port(daemon._port, config, opened.passed)
        except StartError:
            await close_parts(opened.udp, opened.store, config.disk_timeout)
            raise
        if opened.passed:
            daemon._ending.hand_over = daemon._port.hand_over
        if opened.left_behind is not None:
            daemon._troubles.begin(Trouble.LEFT_BEHIND, opened.left_behind)
        return daemon

    async def serve(self, layers: Layers | None = None) -> int:
        """Run until the node has left; its exit code. `layers`: what is read again when that is
        asked for."""
        self._reload = reload = Reload(
            self._config,
            layers or Layers(),
            self._node,
            self._seeds,
            self._seals,
            self._troubles,
            self._sifting.allow,
            self._perform,
            [*self._files()],
        )
        with signals.serving(self._ending.asked, reload.asked):
            code = await self._serve()
            reload.stop()
            await self._stop()
            return code

    def _files(self) -> Iterator[Beside[Any]]:
        """What is read again beside the configuration."""
        config = self._config
        if config.tokens is not None:
            read = partial(tokens_of, config)
            yield Beside("tokens", config.tokens, read, self._port.change_tokens)
        if self._certificates is not None and config.api_cert is not None:
            pair = partial(certificate_of, config)
            yield Beside("certificate", config.api_cert, pair, self._certificates.take)

    def _guard(self, opened: Opened) -> None:
        """The API, from now on."""
        if opened.tokens is not None:
            self._port.change_tokens(opened.tokens)
        if (certificate := opened.certificate) is not None:
            tls = self._port.tls = Tls(certificate.context, self._port.limits.handshakes_max)
            self._certificates = Certificates(tls, self._troubles, self._port.distrust)
            self._certificates.take(certificate)

    async def _serve(self) -> int:
        own = self._node.own
        api = " ".join(self._port.urls)
        log.info(
            "%s serves at %s (cluster %s), data %s, api %s, receive buffer %d KiB",
            own.name,
            address_text(own.address),
            self._config.cluster,
            self._data_dir or "in memory",
            api,
            self._udp.receive_buffer // 1024,
            extra=fields(
                member=own.name,
                address=address_text(own.address),
                cluster=self._config.cluster,
                version=full_version(),
            ),
        )
        self._seals.begin(self._udp.address)
        self._load()
        self._perform(self._node.start(self._is_alone(), time.monotonic()))
        await begin_port(self._port)
        self._udp.receive_with(self._inbox.receive)
        while self._early:
            self._inbox.receive(*self._early.popleft())
        for text in self._config.join:
            self._seeds.keep(Endpoint.parse_peer(text))
        self._advertising.start()
        self._ticking.start()
        self._manager.serves(self._standing, self._due)
        return await self._ending.ended

    def _standing(self) -> str:
        return standing(self._node, self.service.not_ready())

    def _due(self) -> float | None:
        """When the core's timer has to ring."""
        return None if self._ending.ended.done() else self._node.next_timeout

    def _is_alone(self) -> bool:
        """Whether there is nobody to join, as far as can be told without resolving names."""
        own = self._node.own.address
        seeds = [literal(Endpoint.parse_peer(text)) for text in self._config.join]
        return not self._node.knows_others and all(found == [own] for found in seeds)

    def _seeds_changed(self) -> None:
        """Other addresses are known of the seeds, or more of them: what follows from that."""
        if unresolved := self._seeds.unresolved:
            self._alone.forbid("seeds", unresolved)
        else:
            self._alone.permit("seeds")
        self._advertising.look()
        if self._seeds.only_itself:
            self._perform(self._node.nobody_to_join(time.monotonic()))

    def _load(self) -> None:
        """Take in what the lives before have stored."""
        with self._garbage.loading():
            effects = self._node.load(self._snapshot, time.monotonic())
        self._snapshot = Snapshot((), ())
        self._perform(effects)

    async def _stop(self) -> None:
        self._deadline.stop()
        self._ticking.stop()
        await self._advertising.stop()
        await self._seeds.stop()
        self._waits.stop()
        if self._certificates is not None:
            self._certificates.stop()
        if self._keeping.watch.hangs:
            self._ending.hurry()
        await asyncio.gather(
            self._port.stop(self._ending.time_left()),
            self._keeping.drain(self._ending.time_left()),
        )
        try:
            await asyncio.wait_for(self._store.close(), self._ending.time_left())
        except TimeoutError:
            log.warning("the disk has not answered: leaving it as it is")
        self._udp.close()

    # --- the core ----------------------------------------------------------------------------

    def _deadline_passed(self, now: float, late: float) -> None:
        self._numbers.lag.add(late)
        self._node.see_clocks(now, time.time())
        self._perform(self._node.handle_timeout(now))
        self._telling.in_time()

    def _perform(self, effects: Sequence[Effect]) -> None:
        """Each of these, whatever becomes of the others: the core counts on all."""
        left, done = iter(effects), False
        while not done:
            try:
                self._performing.do(left)
                done = True
            except Exception:
                log.exception("this is a bug in gossipd")
        self._port.watchers.look()
        # What is told is written at once, so that who comes as soon as he is answered is read
        # before the next batch is begun.
        self._port.turns.answer()
        self._deadline.set()
        self._ticking.awake(time.monotonic())

    def _look(self, _: float) -> None:
        """At what tells nobody when it changes: how full the log is, lines that were lost,
        garbage."""
        self._filling.look()
        logs.look(self._troubles)
        self._garbage.look()

    def _process(self) -> dict[str, object]:
        """What clients are shown of the process, as it is now."""
        self._look(time.monotonic())
        udp, alarms = self._udp, self._alarms()
        return {
            "data_dir": None if self._data_dir is None else str(self._data_dir),
            "api": self._port.urls,
            "alarms": [alarm.text for alarm in alarms],
            "advice": [alarm.advice for alarm in alarms],
            "sealing": self._seals.report(),
            "udp": {
                "received": udp.received_count,
                "sent": udp.sent_count,
                "sent_bytes": udp.sent_bytes,
                "refused": dict(udp.refusals),
                "receive_buffer": udp.receive_buffer,
                "datagram_size": self._config.settings.datagram_size,
            },
            "files": {"open": descriptors.open_count(), "limit": descriptors.limit()},
            "dropped": {drop.name.lower(): count for drop, count in self._drops.counts.items()},
        }

    def _alarms(self) -> list[Alarm]:
        return self._filling.alarms + self._troubles.alarms

    def _sources(self) -> Sources:
        """Of the numbers that are shown."""
        return Sources(
            self._node,
            self._numbers,
            self._udp,
            self._inbox,
            self._keeping.watch,
            self._waits,
            self._port,
            self._drops,
            self._config.cluster,
            self.service.not_ready,
            self._alarms,
        )
