"""A run of the comparison: starts the systems side by side, and measures them in turns."""

from __future__ import annotations

import os
import tempfile
import time
from collections import deque
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from hosting import Host
from installing import Unavailable, install
from loops import Sizes, Turn
from results import Round, metrics_of
from systems import System
from tests.bench.processes import cpu, machine_busy
from tests.bench.servers import durable_postgres
from tests.support.postgres import PostgresServer
from tests.support.postgres_binaries import PostgresUnavailable

IDLE_SECONDS = 2.0


class Comparison:
    """The running systems of a run. What cannot run is in `skipped`, with the reason."""

    def __init__(self, stack: ExitStack, systems: list[System], environments: Path) -> None:
        self._stack = stack
        self._systems = systems
        self._environments = environments
        self._hosts: dict[str, Host] = {}
        self.skipped: dict[str, str] = {}
        self.postgres_version: str | None = None
        self.load: dict[str, float] = {}
        """CPUs that were used: by the systems while none was measured, and by other processes meanwhile."""

    def start(self) -> None:
        """Install and start all systems. They run side by side to the end."""
        database = self._start_postgres() if any(system.database for system in self._systems) else ""
        for system in self._systems:
            try:
                self._hosts[system.name] = self._start(system, database)
            except Unavailable as error:
                self._skip(system.name, error)

    def _start_postgres(self) -> PostgresServer | str:
        """The PostgreSQL server of all systems; or why there is none."""
        try:
            server = self._stack.enter_context(durable_postgres(True))
        except (PostgresUnavailable, RuntimeError) as error:
            return str(error)
        assert server is not None
        self.postgres_version = str(server.execute("SHOW server_version"))
        return server

    def _start(self, system: System, database: PostgresServer | str) -> Host:
        if system.database and isinstance(database, str):
            raise Unavailable(f"it needs PostgreSQL: {database}")
        python, program = install(system, self._environments)
        url = ""
        if system.database and not isinstance(database, str):
            dsn = database.create_database()
            self._stack.callback(database.drop_database, dsn)
            url = dsn.replace("+asyncpg", "")
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-peers-"))
        host = Host(system.module, python, {"folder": folder, "database": url, "program": program})
        self._stack.callback(host.stop)
        try:
            host.wait_until_started()
        except Unavailable:
            host.stop()
            raise
        print(f"started {system.name}", flush=True)
        return host

    def _skip(self, name: str, error: Unavailable) -> None:
        if (host := self._hosts.pop(name, None)) is not None:
            host.stop()  # it may still be busy, beside all that is measured later
        self.skipped[name] = str(error)
        print(f"skipped {name}: {error}", flush=True)

    def run_rounds(self, count: int, sizes: Sizes) -> list[Round]:
        """Warm all systems up, and measure them round by round. Returns the rounds."""
        for name in [*self._hosts]:
            self._measure(name, sizes.scaled(0.5))
        own = self._used()[0]
        time.sleep(IDLE_SECONDS)
        idle = self._used()[0] - own
        (own, machine), began = self._used(), time.monotonic()
        rounds = [self._run_round(number, sizes) for number in range(count)]
        now, seconds = self._used(), time.monotonic() - began
        others = max(0.0, now[1] - machine - (now[0] - own))
        self.load = {
            "idle_cpus": round(idle / IDLE_SECONDS / 1e6, 2),
            "other_cpus": round(others / seconds / 1e6, 2),
        }
        return rounds

    def _used(self) -> tuple[float, float]:
        """µs of CPU of this process with all that it has started, and of the whole machine."""
        return cpu(os.getpid())[0], machine_busy()

    def _run_round(self, number: int, sizes: Sizes) -> Round:
        """Measure every system twice: in turn, and in the opposite order."""
        found: dict[str, list[Turn]] = {name: [] for name in self._hosts}
        for name in order_of(found, number):
            if name in self._hosts and (turn := self._measure(name, sizes)) is not None:
                found[name].append(turn)
        # Both turns or none: with one, the drift of the machine would be in the ratio.
        complete = {name: turns for name, turns in found.items() if len(turns) == 2}
        for name, turns in complete.items():
            values = ", ".join(f"{metric} {value:,.2f}" for metric, value in metrics_of(turns).items())
            print(f"round {number + 1} {name}: {values}", flush=True)
        return complete

    def _measure(self, name: str, sizes: Sizes) -> Turn | None:
        """Measure a turn. A system that fails is skipped from then on."""
        try:
            return self._hosts[name].measure(sizes)
        except Unavailable as error:
            self._skip(name, error)
            return None


def order_of(names: Iterable[str], number: int) -> list[str]:
    """The order of the turns of a round: A B C, C B A. Each round begins with another system.

    Work of other programs that grows or shrinks steadily within the round meets all systems alike.
    """
    turns = deque(names)
    turns.rotate(-number)
    return [*turns, *reversed(turns)]
