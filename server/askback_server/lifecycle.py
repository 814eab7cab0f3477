"""Starts, runs and drains a replica (docs/design.md 10.14)."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
from collections.abc import Coroutine
from typing import TYPE_CHECKING

from askback_server import descriptors
from askback_server.addresses import address
from askback_server.bootstrap import build
from askback_server.config.by_name import retention_words
from askback_server.config.settings import Config, mask_password
from askback_server.listening import cannot_listen, check_listen
from askback_server.metrics.meter import Meter
from askback_server.ports.clock import Clock
from askback_server.sessions.ageing import Ageing
from askback_server.sessions.drain import drain_streams
from askback_server.sessions.replica import Replica
from askback_server.storage.database import Database
from askback_server.storage.file_lock import FileLock, serve_alone
from askback_server.storage.migrate import upgrade
from askback_server.structured_logs import announce
from askback_server.transport.certificates import Certificates
from askback_server.transport.server import Server
from askback_server.transport.tokens import NoAuthentication, TokenFile

if TYPE_CHECKING:
    from askback._metrics.exposition import Exposition
    from askback_server.web_page import WebPage

_log = logging.getLogger("askback.server")

SCRIPTED_HUMAN = "human"
"""In test mode without authentication the user of this name is an admin and sees every prompt."""


class Service:
    """One replica from start to stop. Tests use `async with Service(config) as service:`."""

    def __init__(self, config: Config, clock: Clock | None = None) -> None:
        self.config = config
        self._clock = clock
        self._database: Database | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._server: Server | None = None
        self._replica: Replica | None = None
        self._exposition: Exposition | None = None
        self._file_lock: FileLock | None = None
        self._page: WebPage | None = None
        self.port = self.health_port = self.metrics_port = self.web_port = 0
        self.web_address = ""
        """Where browsers find the page; empty without one."""
        self.failed = asyncio.Event()
        """Set when a task that must run has ended."""

    @property
    def replica(self) -> Replica:
        """The parts of the running replica."""
        assert self._replica is not None
        return self._replica

    async def start(self) -> None:
        """Migrate if it is configured, connect, start all tasks, listen, and become ready.

        Raises StorageUnavailable, CannotListen, BadTokenFile, BadCertificates.
        """
        config = self.config
        self._file_lock = serve_alone(config.db, config.name)
        try:
            await self._start(config)
        except BaseException:
            self._release_file()
            raise

    async def _start(self, config: Config) -> None:
        for flag, listen in self._addresses:
            check_listen(listen, flag)
        if config.migrate or config.db.startswith("sqlite"):
            await asyncio.to_thread(upgrade, config.db)
        authenticator = _authenticator(config)
        if config.test_mode and self._clock is None:  # with its own clock it runs inside a test
            _log.warning("test mode: scripted humans may answer here; do not use this server for real work")
        certificates = None
        if config.tls_cert:
            certificates = Certificates(config.tls_cert, config.tls_key, config.tls_client_ca)
        meter = Meter() if config.metrics_listen else None
        self._database = await Database.open(config.db, self._clock)
        try:
            self._replica = replica = await build(
                config, self._database, self._clock, meter, authenticator.roster
            )
            self._server = Server(
                replica,
                authenticator,
                streams_per_connection=config.streams_per_connection,
                stream_age=config.stream_age,
            )
            self._listen(self._server, certificates)
            if config.web:
                self._page = _page(config, self._server)
            if meter is not None:
                self._expose(meter, replica, self._server, self._database)
            self._run("engine", replica.engine.run())
            self._run("feed", replica.feed.run())
            self._run("wake-ups", replica.feed.wakeups.run(replica.feed.receive))
            self._run("horizon", replica.horizon.run())
            self._run("timers", replica.timers.run())
            self._run("dispatch", replica.dispatcher.run())
            self._run("keeper", replica.keeper.run())
            self._run("presence", replica.presence.run())
            self._run("sign-outs", replica.sign_outs.run())
            self._run("people", replica.directory.run())
            self._run("rules", replica.rules.run())
            self._run("policy", replica.policy.run())
            self._run("absences", replica.absences.run())
            self._run("sweep", replica.sweep.run())
            ageing = Ageing(replica.streams, config.stream_age, replica.clock.monotonic)
            self._run("ageing", ageing.run())
            self._run("descriptors", descriptors.watch())
            await self._server.start()
            if self._page is not None:
                await self._page.start(self._part_ended)
                if self._exposition is not None:
                    self._exposition.add(self._page.collector())
                self.web_port, self.web_address = self._page.port, self._page.address
            await self._server.set_ready(True)
        except BaseException:
            await self._end()
            raise
        _log.info("retention of ended jobs and their answers: %s", retention_words(replica.limits))
        _log.info("askback is ready", extra=self._description(replica))

    @property
    def _addresses(self) -> list[tuple[str, str]]:
        """The addresses to listen on, each with the flag of its setting."""
        config = self.config
        found = [
            ("--listen", config.listen),
            ("--health-listen", config.health_listen),
            ("--metrics-listen", config.metrics_listen),
            ("--web", config.web),
        ]
        return [(flag, listen) for flag, listen in found if listen]

    def _listen(self, server: Server, certificates: Certificates | None) -> None:
        """Bind the ports for calls and for health checks. Raises CannotListen."""
        config = self.config
        flag, listen = "--listen", config.listen
        try:
            self.port = server.listen(listen, certificates)
            if config.health_listen:
                flag, listen = "--health-listen", config.health_listen
                self.health_port = server.listen_health(listen)
        except RuntimeError as error:
            raise cannot_listen(listen, flag, error) from None

    def _description(self, replica: Replica) -> dict[str, object]:
        """The fields of the log line of a ready replica."""
        config = self.config
        fields = {
            "listen": f"{config.host}:{self.port}",
            "replica": replica.replica,
            "db": mask_password(config.db),
            "tls": ("mutual" if config.tls_client_ca else "server") if config.tls_cert else "off",
        }
        ports: dict[str, object] = {"health_port": self.health_port, "metrics_port": self.metrics_port}
        ports["web"] = self.web_address
        return {**fields, **{name: port for name, port in ports.items() if port}}

    def _expose(self, meter: Meter, replica: Replica, server: Server, database: Database) -> None:
        # Imported here, because without metrics the library need not be installed.
        from askback._metrics.exposition import Exposition
        from askback_server.metrics.collector import ReplicaCollector

        listen = self.config.metrics_listen
        collector = ReplicaCollector(replica, server, database.census, meter)
        try:
            self._exposition = Exposition(*address(listen), collector)
        except OSError as error:
            raise cannot_listen(listen, "--metrics-listen", error) from None
        self.metrics_port = self._exposition.port

    def _run(self, name: str, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work, name=f"askback-{name}")
        task.add_done_callback(self._part_ended)
        self._tasks[name] = task

    def _part_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            _log.critical("%s ended", task.get_name(), exc_info=task.exception())
            self.failed.set()

    async def stop(self) -> None:
        """Drain: become not ready, reject new calls, move streams, finish commands, close the database.

        The health status changes first, because grpc rejects new connections as soon as its server stops. The
        ports for health checks and metrics respond until the end.
        """
        config, server, replica = self.config, self._server, self._replica
        assert server is not None
        assert replica is not None
        _log.info("draining", extra={"streams": len(replica.streams)})
        with contextlib.suppress(TimeoutError):
            # A blocked health watcher must not delay the drain.
            await asyncio.wait_for(server.set_ready(False), 2)
        replica.dispatcher.pause()
        await asyncio.sleep(config.drain_wait)
        if self._page is not None:
            # Before the streams that it has open here: its pages get the replies that they wait for.
            await self._page.stop()
        # New calls go to other replicas from now on. Running calls have the grace to finish.
        stopping = asyncio.create_task(server.stop(config.drain_spread + config.drain_grace))
        await drain_streams(replica.streams, config.drain_spread, config.drain_grace)
        # Short calls remain, and health watchers, which never end on their own.
        done: set[asyncio.Task[None]] = set()
        for _ in range(max(1, round(config.drain_grace))):
            done, _ = await asyncio.wait({stopping}, timeout=min(1.0, config.drain_grace))
            if done or replica.engine.idle:
                break
        if not done:
            await server.stop(0)
        await stopping
        await replica.engine.drain()
        await self._end()
        _log.info("stopped")

    async def _end(self) -> None:
        left = list(reversed(self._tasks.values()))
        while left:
            for task in left:
                task.cancel()
            # Cancel again after a second: a library may swallow a cancel, and the stop must finish.
            await asyncio.wait(left, timeout=1)
            left = [task for task in left if not task.done()]
        self._tasks.clear()
        if self._page is not None:
            await self._page.stop()
            self._page.close()
            self._page = None
        if self._server is not None:
            await self._server.stop(0)  # it runs if a later step of the start has failed
        if self._replica is not None:
            self._replica.engine.close()
        if self._exposition is not None:
            await self._exposition.close()  # before the database, which it reads
            self._exposition = None
        if self._database is not None:
            await self._database.close()
            self._database = None
        self._release_file()
        if self._server is not None:
            await self._server.close()

    def _release_file(self) -> None:
        if self._file_lock is not None:
            self._file_lock.release()
            self._file_lock = None

    async def __aenter__(self) -> Service:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


def _page(config: Config, server: Server) -> WebPage:
    # Imported here, because without a page the web libraries need not be installed.
    from askback_server.web_page import WebPage

    page = WebPage(config)
    page.connect(server)
    return page


def _authenticator(config: Config) -> NoAuthentication | TokenFile:
    if not config.auth:
        return NoAuthentication(frozenset({SCRIPTED_HUMAN}) if config.test_mode else frozenset())
    tokens = TokenFile(config.auth)
    if tokens.has_certificates and not config.tls_client_ca:
        text = "%s has entries with a certificate, and without --tls-client-ca no client can present one"
        _log.warning(text, config.auth)
    return tokens


async def run_until_signal(config: Config) -> int:
    """Serve until SIGTERM or SIGINT, then drain. Returns the exit code."""
    descriptors.raise_limit()
    service = Service(config)
    await service.start()
    # Exclude the objects of the start from garbage collection: with 10,000 streams it is 2.6 times faster.
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    loop = asyncio.get_running_loop()
    signalled = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled.set)
    announce(config.log_format, f"{config.host}:{service.port}", service.web_address)
    waits = [asyncio.ensure_future(signalled.wait()), asyncio.ensure_future(service.failed.wait())]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    await service.stop()
    return 1 if service.failed.is_set() else 0
