"""Injects faults. Kind, target and duration are drawn from the seed; each fault is recorded and undone."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from tests.faults.cluster import Cluster
from tests.faults.database import PostgreSQL
from tests.faults.failpoints import PLACES
from tests.faults.processes import ManagedProcess, Replica
from tests.faults.proxy import Link

DRAIN_SECONDS = 25.0
AT_ONCE = 6
"""Maximum number of faults at the same time."""


class Injector:
    """Injects faults until a condition holds; then undoes all of them and waits until all replicas run."""

    def __init__(self, cluster: Cluster, seed: int, *, pause: float, longest: float) -> None:
        self._cluster = cluster
        self._rng = random.Random(f"faults/{seed}")
        self._pause = pause
        self._longest = longest
        self.injected: Counter[str] = Counter()
        self._running: set[asyncio.Task[None]] = set()
        self._database_busy = False
        self.faults: dict[str, tuple[float, Callable[[], Awaitable[str]]]] = {
            "reset": (14, self._reset),
            "cut": (12, self._cut),
            "stall": (12, self._stall),
            "half_open": (12, self._half_open),
            "delay": (12, self._delay),
            "isolate": (4, self._isolate),
            "freeze": (6, self._freeze),
            "kill_participant": (3, self._kill_participant),
            "kill_replica": (3, self._kill_replica),
            "failpoint": (3, self._failpoint),
            "drain": (2, self._drain),
        }
        self.scripted: dict[str, Callable[[], Awaitable[str]]] = {
            "freeze_worker": lambda: self._freeze_this(cluster.workers[-1], 2.5),
            "kill_worker": lambda: self._kill_this(cluster.workers[-1]),
            "kill_console": lambda: self._kill_this(cluster.consoles[-1]),
            "cut_console": lambda: self._cut_this(cluster.consoles[-1], 0.8),
            **{f"failpoint_{place}": partial(self._failpoint, place) for place in PLACES},
        }
        if isinstance(cluster.database, PostgreSQL):
            self.faults |= {
                "terminate_one": (10, lambda: self._terminate(one=True)),
                "terminate_all": (2, lambda: self._terminate(one=False)),
                "freeze_database": (1, self._freeze_database),
                "stop_database": (1, self._stop_database),
            }
            if cluster.database.standby is not None:
                self.faults |= {"promote": (0.3, self._promote)}
        else:
            # With a single replica, killing it is the most interesting fault.
            self.faults["kill_replica"] = (8, self._kill_replica)
            self.faults["failpoint"] = (8, self._failpoint)

    @property
    def total(self) -> int:
        """The number of faults injected so far."""
        return sum(self.injected.values())

    async def run(self, until: Callable[[], bool]) -> None:
        """Inject random faults until the condition holds; return when all of them are undone."""
        names = list(self.faults)
        weights = [self.faults[name][0] for name in names]
        try:
            while not until():
                await asyncio.sleep(self._rng.expovariate(1 / self._pause))
                if len(self._running) < AT_ONCE:
                    self._begin(self._rng.choices(names, weights)[0])
        finally:
            if self._running:
                await asyncio.wait(self._running)
            await self._heal()

    async def follow(self, names: Sequence[str], seconds: float) -> None:
        """Inject these faults, evenly spread over the time; return when all of them are undone."""
        pause = seconds / (len(names) + 1)
        for name in names:
            await asyncio.sleep(pause)
            await self._wait_for_replicas()
            await self._do(name)
        await asyncio.sleep(pause)
        await self._heal()

    @asynccontextmanager
    async def restarting_ended_processes(self) -> AsyncIterator[None]:
        """Restart processes that end inside this context by a failpoint or by themselves."""
        watcher = asyncio.create_task(self._restart_ended_processes())
        try:
            yield
        finally:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)

    def _begin(self, name: str) -> None:
        task = asyncio.create_task(self._do(name))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _do(self, name: str) -> None:
        self._cluster.record.write("fault", what=name)
        try:
            where = await (self.scripted.get(name) or self.faults[name][1])()
        except Exception as error:
            self._cluster.record.write("bug", text=f"{name}: {error!r}")
            raise
        self._cluster.record.write("healed", what=name, where=where)
        if where:
            self.injected[name] += 1

    async def _restart_ended_processes(self) -> None:
        cluster = self._cluster
        while True:
            await asyncio.sleep(0.1)
            for process in (*cluster.replicas, *cluster.workers, *cluster.consoles):
                if process.busy or process.running or process.may_leave:
                    continue
                cluster.record.write("dead", party=process.name, code=process.code)
                process.busy = True
                if isinstance(process, Replica):
                    process.failpoints = ""
                    await process.serve()
                else:
                    await process.start()
                    await process.wait_for("ready")
                process.busy = False

    async def _heal(self) -> None:
        for link in self._cluster.links.values():
            link.heal()
        for process in (*self._cluster.replicas, *self._cluster.participants):
            process.signal(signal.SIGCONT)
        await self._wait_for_replicas()
        self._cluster.record.write("quiet")

    async def _wait_for_replicas(self) -> None:
        for replica in self._cluster.replicas:
            while replica.busy or not replica.running:  # noqa: ASYNC110, no event marks this
                await asyncio.sleep(0.05)

    def _duration(self) -> float:
        return self._rng.uniform(0.1, self._longest)

    def _some_link(self) -> Link | None:
        free = [
            link for link in self._cluster.links.values() if not (link.is_cut or link.is_stalled or link.lost)
        ]
        return self._rng.choice(free) if free else None

    def _some(self, processes: list[ManagedProcess]) -> ManagedProcess | None:
        free = [a for a in processes if not a.busy and a.running]
        return self._rng.choice(free) if free else None

    # Connections.

    async def _reset(self) -> str:
        link = self._some_link()
        if link is None:
            return ""
        link.reset()
        return link.name

    async def _for_a_while(self, link: Link | None, do: Callable[[Link], None]) -> str:
        if link is None:
            return ""
        do(link)
        await asyncio.sleep(self._duration())
        link.heal()
        return link.name

    async def _cut(self) -> str:
        return await self._for_a_while(self._some_link(), Link.cut)

    async def _stall(self) -> str:
        return await self._for_a_while(self._some_link(), Link.stall)

    async def _half_open(self) -> str:
        side = self._rng.choice(("client", "server"))
        return await self._for_a_while(self._some_link(), lambda link: link.half_open(side))

    async def _delay(self) -> str:
        seconds = self._rng.uniform(0.01, 0.4)
        return await self._for_a_while(self._some_link(), lambda link: link.delay(seconds))

    async def _isolate(self) -> str:
        """Cut all connections of one process."""
        process = self._some([*self._cluster.replicas, *self._cluster.participants])
        if process is None:
            return ""
        return await self._cut_this(process, self._duration())

    async def _cut_this(self, process: ManagedProcess, seconds: float) -> str:
        links = self._cluster.links_of(process.name)
        for link in links:
            link.cut()
        await asyncio.sleep(seconds)
        for link in links:
            link.heal()
        return process.name

    # Processes.

    async def _freeze(self) -> str:
        process = self._some([*self._cluster.replicas, *self._cluster.participants])
        if process is None:
            return ""
        # Sometimes longer than a session's lifetime.
        return await self._freeze_this(process, self._duration() * self._rng.choice((1, 1, 1, 2.5)))

    async def _freeze_this(self, process: ManagedProcess, seconds: float) -> str:
        process.busy = True
        process.signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        process.signal(signal.SIGCONT)
        process.busy = False
        return process.name

    async def _kill_participant(self) -> str:
        process = self._some([*self._cluster.workers, *self._cluster.consoles])
        return "" if process is None else await self._kill_this(process)

    async def _kill_this(self, process: ManagedProcess) -> str:
        process.busy = True
        await process.kill()
        await asyncio.sleep(self._rng.uniform(0, 0.5))
        await process.start()
        await process.wait_for("ready")
        process.busy = False
        return process.name

    async def _kill_replica(self) -> str:
        replica = self._some([*self._cluster.replicas])
        if not isinstance(replica, Replica):
            return ""
        replica.busy = True
        await replica.kill()
        await asyncio.sleep(self._rng.uniform(0, 0.5))
        replica.failpoints = ""
        await replica.serve()
        replica.busy = False
        return replica.name

    async def _failpoint(self, place: str = "") -> str:
        """Kill a replica and restart it with a failpoint at which it dies again. With a given place, wait for
        that second death."""
        replica = self._some([*self._cluster.replicas])
        if not isinstance(replica, Replica):
            return ""
        replica.busy = True
        await replica.kill()
        number = self._rng.randrange(5, 60 if place else 200)
        replica.failpoints = f"{place or self._rng.choice(PLACES)}={number}"
        await replica.serve()
        if place:
            await replica.wait_for_exit(DRAIN_SECONDS)
        replica.busy = False
        return f"{replica.name} {replica.failpoints}"

    async def _drain(self) -> str:
        """Drain a replica by SIGTERM and start it again: one step of a rolling restart."""
        replica = self._some([*self._cluster.replicas])
        if not isinstance(replica, Replica):
            return ""
        replica.busy = True
        replica.signal(signal.SIGTERM)
        code = await replica.wait_for_exit(DRAIN_SECONDS)
        self._cluster.record.write("drained", party=replica.name, code=code)
        if code is None:
            await replica.kill()
        replica.failpoints = ""
        await replica.serve()
        replica.busy = False
        return replica.name

    # The database.

    async def _terminate(self, *, one: bool) -> str:
        database = self._cluster.database
        if self._database_busy or not isinstance(database, PostgreSQL):
            return ""
        which = self._rng.choice(("askback", "askback writer", "askback sessions")) if one else "askback%"
        self._database_busy = True  # another fault would stop the database in the middle
        try:
            ended = await asyncio.to_thread(database.terminate_backends, which)
        finally:
            self._database_busy = False
        return f"{which}: {ended}" if ended else ""

    async def _freeze_database(self) -> str:
        database = self._cluster.database
        if self._database_busy or not isinstance(database, PostgreSQL):
            return ""
        self._database_busy = True
        process = database.primary._process
        if process is not None:
            # The postmaster and all its backends.
            await asyncio.to_thread(_signal_all, process.pid, signal.SIGSTOP)
            await asyncio.sleep(self._duration())
            await asyncio.to_thread(_signal_all, process.pid, signal.SIGCONT)
        self._database_busy = False
        return "primary"

    async def _stop_database(self) -> str:
        database = self._cluster.database
        if self._database_busy or not isinstance(database, PostgreSQL):
            return ""
        self._database_busy = True
        await asyncio.to_thread(database.restart)
        self._database_busy = False
        return "primary"

    async def _promote(self) -> str:
        """Fail over to the standby, then add a new standby."""
        database = self._cluster.database
        if self._database_busy or not isinstance(database, PostgreSQL) or database.standby is None:
            return ""
        self._database_busy = True
        await asyncio.to_thread(database.promote)
        for replica in self._cluster.replicas:
            self._cluster.links[f"{replica.name}-database"].reset()
        self._cluster.record.write("promoted")
        await asyncio.sleep(self._duration())
        await asyncio.to_thread(database.add_standby)
        self._database_busy = False
        return "standby"


def _signal_all(postmaster: int, number: signal.Signals) -> None:
    """Send a signal to a postmaster and its children."""
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    for pid in (postmaster, *map(int, children)):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
