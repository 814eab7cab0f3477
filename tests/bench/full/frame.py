"""What a case needs: databases, servers, the floor, scaled sizes, and a place for its lines."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from askback_server.storage.database import Database
from askback_server.storage.migrate import upgrade
from tests.bench import servers
from tests.bench.full.rows import Row
from tests.bench.servers import SERVE, RunningServer
from tests.support.postgres import PostgresServer

Case = Callable[["Bench"], Awaitable[Sequence[Row]]]


@dataclass(frozen=True)
class Bench:
    """One database system, and the share of the full sizes at which to measure."""

    kind: str
    """`sqlite` or `postgres`."""
    scale: float
    postgres: PostgresServer | None = None

    def sizes(self, *full: int, least: int = 4) -> dict[str, int]:
        """The sizes to measure, by the text that names them in the table."""
        scaled = dict.fromkeys(max(least, round(size * self.scale)) for size in full)
        return {f"{size:,}": size for size in scaled}

    @property
    def seconds(self) -> float:
        """Seconds of a closed loop."""
        return max(2.0, 8.0 * min(1.0, self.scale))

    @contextmanager
    def database(self) -> Iterator[str]:
        """A new database with the tables."""
        with ExitStack() as stack:
            if self.postgres is not None:
                url = self.postgres.create_database()
                stack.callback(self.postgres.drop_database, url)
            else:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="askback-bench-"))
                url = f"sqlite+aiosqlite:///{folder}/bench.db"
            with ThreadPoolExecutor(1) as thread:  # it runs an event loop of its own
                thread.submit(upgrade, url).result()
            yield url

    @contextmanager
    def server(self, url: str, *, is_killed: bool = False, **settings: str) -> Iterator[RunningServer]:
        """Askback on the database. With `is_killed` it has ended at the end of the block."""
        with tempfile.TemporaryDirectory(prefix="askback-bench-") as folder:
            mine = {"ASKBACK_DB": url, **settings}
            with servers.serving(SERVE, mine, Path(folder), is_killed=is_killed) as (pid, address):
                db_pid = servers.postmaster_of(self.postgres) if self.postgres is not None else 0
                yield RunningServer(self.kind, address, pid, db_pid)

    def say(self, **found: Any) -> None:
        """Print a line of JSON about what was measured."""
        print(json.dumps({"database": self.kind, **_rounded(found)}, ensure_ascii=False), flush=True)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items()}
    return round(value, 3) if isinstance(value, float) else value


async def on_database(url: str, work: Callable[[sa.Connection], Any]) -> Any:
    """Run a function on a connection."""
    database = await Database.open(url)
    try:
        return await database._dialect.run(work)
    finally:
        await database.close()
