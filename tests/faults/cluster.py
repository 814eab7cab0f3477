"""A cluster under test: a database, replicas, workers, consoles and a client, with links between them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.database import PostgreSQL, SQLiteFile
from tests.faults.history import Recorder
from tests.faults.processes import ManagedProcess, Participant, Replica, SharedProcess
from tests.faults.proxy import Link
from tests.support.token_files import TokenFile


@dataclass
class ClusterConfig:
    """The size and settings of a cluster."""

    replicas: int = 1
    workers: int = 2
    consoles: int = 3
    settings: dict[str, Any] = field(default_factory=dict)
    """Additional settings of the servers."""
    client: dict[str, Any] = field(default_factory=dict)
    worker: dict[str, Any] = field(default_factory=dict)
    console: dict[str, Any] = field(default_factory=dict)
    shared_process: bool = False
    """Run the client and all but the last worker and console in one process, which starts sooner."""
    plant: str = ""
    slow_commits: str = ""
    skew: float = 0.0


CONSOLES = {"ana": ["red"], "bob": ["red"], "cleo": ["blue"]}
"""The users of the consoles, with their groups. The last one writes rules: its process is killed alone."""


class Cluster:
    """All processes of a run. Use it as `async with Cluster(…)`: leaving the context stops everything."""

    def __init__(
        self, folder: Path, database: SQLiteFile | PostgreSQL, config: ClusterConfig, seed: int
    ) -> None:
        self.folder = folder
        self.database = database
        self.seed = seed
        self.record = Recorder(folder / "director.1.jsonl")
        self.links: dict[str, Link] = {}
        people = {
            name: {"roles": ["console", "policy"], "groups": groups} for name, groups in CONSOLES.items()
        }
        people |= {f"worker{n + 1}": {"roles": ["worker"]} for n in range(config.workers)}
        self.tokens = TokenFile(folder / "tokens.toml", client={"roles": ["client"]}, **people)
        self.replicas = [Replica(self, f"replica{n + 1}", **config.settings) for n in range(config.replicas)]
        for place, replica in enumerate(self.replicas):
            replica.plant, replica.slow_commits = config.plant, config.slow_commits
            replica.skew = config.skew * (1, -1, 0)[place % 3]
        skews = (0, 30, -30)
        workers = [
            Participant(self, f"worker{n + 1}", "worker", {**config.worker, "skew": skews[n % 3]})
            for n in range(config.workers)
        ]
        consoles = [
            Participant(self, name, "console", {**config.console, "credit": n == 1})
            for n, name in enumerate([*CONSOLES][: config.consoles])
        ]
        client = Participant(self, "client", "client", config.client)
        self._names = [p.name for p in (*workers, *consoles, client)]
        self.client: ManagedProcess = client
        if config.shared_process:
            self.client = SharedProcess(self, [client, *workers[:-1], *consoles[:-1]])
            del workers[:-1], consoles[:-1]
        self.workers, self.consoles = workers, consoles
        self.participants: list[ManagedProcess] = [*workers, *consoles, self.client]

    def database_url(self, link: Link | None) -> str:
        """The database URL through a link."""
        if isinstance(self.database, SQLiteFile):
            return self.database.url
        return self.database.url(link.port if link is not None else 0)

    async def __aenter__(self) -> Cluster:
        try:
            await asyncio.to_thread(self.database.start)
            await self._open_links()
            first, *rest = self.replicas
            first._settings["migrate"] = True
            assert await first.serve(), f"{first.name} did not start: see {self.folder}"
            assert all(await asyncio.gather(*(r.serve() for r in rest))), f"see {self.folder}"
            for participant in self.participants:
                await participant.start()
            for participant in self.participants:
                assert await participant.wait_for("ready"), (
                    f"{participant.name} did not start: see {self.folder}"
                )
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
        """All links from and to one process."""
        return [link for key, link in self.links.items() if name in key.split("-")]

    @property
    def counts(self) -> dict[str, int]:
        """The counters of all participants, summed."""
        total: dict[str, int] = {}
        for participant in self.participants:
            for key, value in participant.total.items():
                total[key] = total.get(key, 0) + value
        return total

    async def __aexit__(self, *_: object) -> None:
        for process in (*self.participants, *self.replicas):
            await process.kill()
        for link in self.links.values():
            await link.close()
        await asyncio.to_thread(self.database.stop)
