"""Faults: which, where and for how long is drawn from the seed; each is done, undone and written down."""

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

from tests.faults.actors import Actor, Replica
from tests.faults.database import PostgreSQL
from tests.faults.failpoints import PLACES
from tests.faults.proxy import Link
from tests.faults.scene import Scene

DRAIN_SECONDS = 25.0
AT_ONCE = 6
"""Faults at the same time."""


class Injector:
    """Injects faults until it is told to stop; then all is healed and everybody runs again."""

    def __init__(self, scene: Scene, seed: int, *, pause: float, longest: float) -> None:
        self._scene = scene
        self._dice = random.Random(f"faults/{seed}")
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
            "kill_person": (3, self._kill_person),
            "kill_replica": (3, self._kill_replica),
            "failpoint": (3, self._failpoint),
            "drain": (2, self._drain),
        }
        self.scripted: dict[str, Callable[[], Awaitable[str]]] = {
            "freeze_worker": lambda: self._freeze_this(scene.workers[-1], 2.5),
            "kill_worker": lambda: self._kill_this(scene.workers[-1]),
            "kill_console": lambda: self._kill_this(scene.consoles[-1]),
            "cut_console": lambda: self._cut_this(scene.consoles[-1], 0.8),
            **{f"failpoint_{place}": partial(self._failpoint, place) for place in PLACES},
        }
        if isinstance(scene.database, PostgreSQL):
            self.faults |= {
                "terminate_one": (10, lambda: self._terminate(one=True)),
                "terminate_all": (2, lambda: self._terminate(one=False)),
                "freeze_database": (1, self._freeze_database),
                "stop_database": (1, self._stop_database),
            }
            if scene.database.standby is not None:
                self.faults |= {"promote": (0.3, self._promote)}
        else:
            # One replica alone: killing it is the fault that counts most.
            self.faults["kill_replica"] = (8, self._kill_replica)
            self.faults["failpoint"] = (8, self._failpoint)

    @property
    def total(self) -> int:
        """How many so far."""
        return sum(self.injected.values())

    async def run(self, until: Callable[[], bool]) -> None:
        """Inject until then; return when all is well again."""
        names = list(self.faults)
        weights = [self.faults[name][0] for name in names]
        try:
            while not until():
                await asyncio.sleep(self._dice.expovariate(1 / self._pause))
                if len(self._running) < AT_ONCE:
                    self._begin(self._dice.choices(names, weights)[0])
        finally:
            if self._running:
                await asyncio.wait(self._running)
            await self._heal()

    async def follow(self, names: Sequence[str], seconds: float) -> None:
        """Inject these, spread over the time; return when all is well again."""
        pause = seconds / (len(names) + 1)
        for name in names:
            await asyncio.sleep(pause)
            await self._all_serve()
            await self._do(name)
        await asyncio.sleep(pause)
        await self._heal()

    @asynccontextmanager
    async def raising_the_dead(self) -> AsyncIterator[None]:
        """Meanwhile a replica that met its failpoint, or ended by itself, is started again."""
        watcher = asyncio.create_task(self._raise_the_dead())
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
        self._scene.record.say("fault", what=name)
        try:
            where = await (self.scripted.get(name) or self.faults[name][1])()
        except Exception as error:
            self._scene.record.say("bug", text=f"{name}: {error!r}")
            raise
        self._scene.record.say("healed", what=name, where=where)
        if where:
            self.injected[name] += 1

    async def _raise_the_dead(self) -> None:
        scene = self._scene
        while True:
            await asyncio.sleep(0.1)
            for actor in (*scene.replicas, *scene.workers, *scene.consoles):
                if actor.busy or actor.running or actor.may_leave:
                    continue
                scene.record.say("dead", party=actor.name, code=actor.code)
                actor.busy = True
                if isinstance(actor, Replica):
                    actor.failpoints = ""
                    await actor.serve()
                else:
                    await actor.start()
                    await actor.tells("ready")
                actor.busy = False

    async def _heal(self) -> None:
        for link in self._scene.links.values():
            link.heal()
        for actor in (*self._scene.replicas, *self._scene.people):
            actor.signal(signal.SIGCONT)
        await self._all_serve()
        self._scene.record.say("quiet")

    async def _all_serve(self) -> None:
        for replica in self._scene.replicas:
            while replica.busy or not replica.running:  # noqa: ASYNC110, its end is nobody's event
                await asyncio.sleep(0.05)

    def _span(self) -> float:
        return self._dice.uniform(0.1, self._longest)

    def _some_link(self) -> Link | None:
        free = [
            link for link in self._scene.links.values() if not (link.is_cut or link.is_stalled or link.lost)
        ]
        return self._dice.choice(free) if free else None

    def _some(self, actors: list[Actor]) -> Actor | None:
        free = [a for a in actors if not a.busy and a.running]
        return self._dice.choice(free) if free else None

    # Ways.

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
        await asyncio.sleep(self._span())
        link.heal()
        return link.name

    async def _cut(self) -> str:
        return await self._for_a_while(self._some_link(), Link.cut)

    async def _stall(self) -> str:
        return await self._for_a_while(self._some_link(), Link.stall)

    async def _half_open(self) -> str:
        side = self._dice.choice(("client", "server"))
        return await self._for_a_while(self._some_link(), lambda link: link.half_open(side))

    async def _delay(self) -> str:
        seconds = self._dice.uniform(0.01, 0.4)
        return await self._for_a_while(self._some_link(), lambda link: link.delay(seconds))

    async def _isolate(self) -> str:
        """One party, from everybody."""
        actor = self._some([*self._scene.replicas, *self._scene.people])
        if actor is None:
            return ""
        return await self._cut_this(actor, self._span())

    async def _cut_this(self, actor: Actor, seconds: float) -> str:
        links = self._scene.links_of(actor.name)
        for link in links:
            link.cut()
        await asyncio.sleep(seconds)
        for link in links:
            link.heal()
        return actor.name

    # Processes.

    async def _freeze(self) -> str:
        actor = self._some([*self._scene.replicas, *self._scene.people])
        if actor is None:
            return ""
        # Now and then longer than a session lives.
        return await self._freeze_this(actor, self._span() * self._dice.choice((1, 1, 1, 2.5)))

    async def _freeze_this(self, actor: Actor, seconds: float) -> str:
        actor.busy = True
        actor.signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        actor.signal(signal.SIGCONT)
        actor.busy = False
        return actor.name

    async def _kill_person(self) -> str:
        actor = self._some([*self._scene.workers, *self._scene.consoles])
        return "" if actor is None else await self._kill_this(actor)

    async def _kill_this(self, actor: Actor) -> str:
        actor.busy = True
        await actor.kill()
        await asyncio.sleep(self._dice.uniform(0, 0.5))
        await actor.start()
        await actor.tells("ready")
        actor.busy = False
        return actor.name

    async def _kill_replica(self) -> str:
        replica = self._some([*self._scene.replicas])
        if not isinstance(replica, Replica):
            return ""
        replica.busy = True
        await replica.kill()
        await asyncio.sleep(self._dice.uniform(0, 0.5))
        replica.failpoints = ""
        await replica.serve()
        replica.busy = False
        return replica.name

    async def _failpoint(self, place: str = "") -> str:
        """Killed, and killed again at an exact place soon after its start; when the place is given, before
        this returns."""
        replica = self._some([*self._scene.replicas])
        if not isinstance(replica, Replica):
            return ""
        replica.busy = True
        await replica.kill()
        number = self._dice.randrange(5, 60 if place else 200)
        replica.failpoints = f"{place or self._dice.choice(PLACES)}={number}"
        await replica.serve()
        if place:
            await replica.ended(DRAIN_SECONDS)
        replica.busy = False
        return f"{replica.name} {replica.failpoints}"

    async def _drain(self) -> str:
        """SIGTERM, with its drain, and a successor: one step of a rolling restart."""
        replica = self._some([*self._scene.replicas])
        if not isinstance(replica, Replica):
            return ""
        replica.busy = True
        replica.signal(signal.SIGTERM)
        code = await replica.ended(DRAIN_SECONDS)
        self._scene.record.say("drained", party=replica.name, code=code)
        if code is None:
            await replica.kill()
        replica.failpoints = ""
        await replica.serve()
        replica.busy = False
        return replica.name

    # The database.

    async def _terminate(self, *, one: bool) -> str:
        database = self._scene.database
        if self._database_busy or not isinstance(database, PostgreSQL):
            return ""
        which = self._dice.choice(("askback", "askback writer", "askback sessions")) if one else "askback%"
        ended = await asyncio.to_thread(database.terminate_backends, which)
        return f"{which}: {ended}" if ended else ""

    async def _freeze_database(self) -> str:
        database = self._scene.database
        if self._database_busy or not isinstance(database, PostgreSQL):
            return ""
        self._database_busy = True
        process = database.primary._process
        if process is not None:
            # The session of the postmaster: every backend stands still with it.
            await asyncio.to_thread(_signal_all, process.pid, signal.SIGSTOP)
            await asyncio.sleep(self._span())
            await asyncio.to_thread(_signal_all, process.pid, signal.SIGCONT)
        self._database_busy = False
        return "primary"

    async def _stop_database(self) -> str:
        database = self._scene.database
        if self._database_busy or not isinstance(database, PostgreSQL):
            return ""
        self._database_busy = True
        await asyncio.to_thread(database.restart)
        self._database_busy = False
        return "primary"

    async def _promote(self) -> str:
        """The primary dies, the standby takes over; then it gets a standby of its own."""
        database = self._scene.database
        if self._database_busy or not isinstance(database, PostgreSQL) or database.standby is None:
            return ""
        self._database_busy = True
        await asyncio.to_thread(database.promote)
        for replica in self._scene.replicas:
            self._scene.links[f"{replica.name}-database"].reset()
        self._scene.record.say("promoted")
        await asyncio.sleep(self._span())
        await asyncio.to_thread(database.add_standby)
        self._database_busy = False
        return "standby"


def _signal_all(postmaster: int, number: signal.Signals) -> None:
    """To a postmaster and its children, by their pids."""
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    for pid in (postmaster, *map(int, children)):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
