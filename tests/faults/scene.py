"""A scene: a database, replicas, workers, consoles and clients as processes, and links between them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.actors import Actor, Crowd, Person, Replica
from tests.faults.database import PostgreSQL, SQLiteFile
from tests.faults.history import Recorder
from tests.faults.proxy import Link


@dataclass
class Cast:
    """Who plays, and how."""

    replicas: int = 1
    workers: int = 2
    consoles: int = 3
    settings: dict[str, Any] = field(default_factory=dict)
    """Of the servers, besides those of every scene."""
    client: dict[str, Any] = field(default_factory=dict)
    worker: dict[str, Any] = field(default_factory=dict)
    console: dict[str, Any] = field(default_factory=dict)
    crowd: bool = False
    """All but the last worker and the last console share a process: it starts sooner."""
    plant: str = ""
    slow_commits: str = ""
    skew: float = 0.0


CONSOLES = (("ana", "red"), ("bob", "red"), ("cleo", ""))


class Scene:
    """Everything that runs. `async with Scene(…) as scene`: when it is left, nothing runs any more."""

    def __init__(self, folder: Path, database: SQLiteFile | PostgreSQL, cast: Cast, seed: int) -> None:
        self.folder = folder
        self.database = database
        self.seed = seed
        self.record = Recorder(folder / "director.1.jsonl")
        self.links: dict[str, Link] = {}
        self.replicas = [Replica(self, f"replica{n + 1}", **cast.settings) for n in range(cast.replicas)]
        for place, replica in enumerate(self.replicas):
            replica.plant, replica.slow_commits = cast.plant, cast.slow_commits
            replica.skew = cast.skew * (1, -1, 0)[place % 3]
        skews = (0, 30, -30)
        workers = [
            Person(self, f"worker{n + 1}", "worker", "", {**cast.worker, "skew": skews[n % 3]})
            for n in range(cast.workers)
        ]
        consoles = [
            Person(self, name, "console", groups, {**cast.console, "credit": n == 1})
            for n, (name, groups) in enumerate(CONSOLES[: cast.consoles])
        ]
        client = Person(self, "client", "client", "", cast.client)
        self._names = [p.name for p in (*workers, *consoles, client)]
        self.client: Actor = client
        if cast.crowd:
            self.client = Crowd(self, [client, *workers[:-1], *consoles[:-1]])
            del workers[:-1], consoles[:-1]
        self.workers, self.consoles = workers, consoles
        self.people: list[Actor] = [*workers, *consoles, self.client]

    def database_url(self, link: Link | None) -> str:
        """The URL for whoever goes by this link."""
        if isinstance(self.database, SQLiteFile):
            return self.database.url
        return self.database.url(link.port if link is not None else 0)

    async def __aenter__(self) -> Scene:
        try:
            await asyncio.to_thread(self.database.start)
            await self._open_links()
            first, *rest = self.replicas
            first._settings["migrate"] = True
            assert await first.serve(), f"{first.name} did not start: see {self.folder}"
            assert all(await asyncio.gather(*(r.serve() for r in rest))), f"see {self.folder}"
            for person in self.people:
                await person.start()
            for person in self.people:
                assert await person.tells("ready"), f"{person.name} did not start: see {self.folder}"
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def _open_links(self) -> None:
        if isinstance(self.database, PostgreSQL):
            database = self.database
            for replica in self.replicas:
                self._link(f"{replica.name}-database", lambda: database.port)
        for name in self._names:
            for replica in self.replicas:
                self._link(f"{name}-{replica.name}", lambda port=replica.port: port)  # type: ignore[misc]
        for link in self.links.values():
            await link.open()

    def _link(self, name: str, upstream: Any) -> None:
        self.links[name] = Link(name, upstream)

    def links_of(self, name: str) -> list[Link]:
        """All ways from and to one party."""
        return [link for key, link in self.links.items() if name in key.split("-")]

    @property
    def counts(self) -> dict[str, int]:
        """What everybody has counted so far."""
        total: dict[str, int] = {}
        for person in self.people:
            for key, value in person.total.items():
                total[key] = total.get(key, 0) + value
        return total

    async def __aexit__(self, *_: object) -> None:
        for actor in (*self.people, *self.replicas):
            await actor.kill()
        for link in self.links.values():
            await link.close()
        await asyncio.to_thread(self.database.stop)
