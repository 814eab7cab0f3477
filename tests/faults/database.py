"""The databases of a cluster: a SQLite file, or PostgreSQL with a synchronous standby to promote."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support.postgres import (
    PostgresServer,
    _as_user,
    _environment,
    _fetch_value,
    _give_away,
    in_thread,
)
from tests.support.postgres_binaries import Binaries


class Standby(PostgresServer):
    """A streaming replica of a running server."""

    def __init__(self, primary: PostgresServer) -> None:
        super().__init__(fsync=False)
        self._dsn = ""
        self._primary_port = port_of(primary)

    def _initialise(self, binaries: Binaries) -> None:
        root = self._data.parent
        _give_away(root)
        command = [
            str(binaries.bin / "pg_basebackup"),
            "-D",
            str(self._data),
            "-h",
            "127.0.0.1",
            "-p",
            str(self._primary_port),
            "-U",
            "postgres",
            "-R",
            "-X",
            "stream",
            "-c",
            "fast",
            "--no-sync",
        ]
        done = subprocess.run(
            command, cwd=root, env=_environment(), capture_output=True, text=True, check=False, **_as_user()
        )
        if done.returncode:
            raise RuntimeError(f"pg_basebackup failed:\n{done.stdout}{done.stderr}")
        self._binaries = binaries


def port_of(server: PostgresServer) -> int:
    """The port of a server."""
    return urlsplit(server._dsn).port or 0


class SQLiteFile:
    """A SQLite database in the run's folder."""

    kind = "sqlite"

    def __init__(self, folder: Path) -> None:
        self.path = folder / "askback.db"
        self.url = f"sqlite+aiosqlite:///{self.path}"

    def start(self) -> None:
        """Do nothing: SQLite has no server."""

    def stop(self) -> None:
        """Do nothing: the checker reads the file, and it is removed with the run's folder."""


class PostgreSQL:
    """A primary with one database and, with `standby`, a synchronous standby."""

    kind = "postgresql"

    def __init__(self, *, standby: bool) -> None:
        self._wants_standby = standby
        self.primary = PostgresServer(fsync=False)
        self.standby: Standby | None = None
        self.name = ""

    def start(self) -> None:
        """Start the servers and create the database. Raises PostgresUnavailable."""
        self.primary.start()
        self.name = urlsplit(self.primary.create_database()).path[1:]
        if self._wants_standby:
            self.add_standby()

    def add_standby(self) -> None:
        """Start a standby; from then on commits wait for it."""
        self.standby = Standby(self.primary)
        self.standby.start()
        self.set("synchronous_standby_names", "*")

    def set(self, name: str, value: str) -> None:
        """Change a setting of the primary."""
        self.primary.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        self.primary.execute("SELECT pg_reload_conf()")

    @property
    def port(self) -> int:
        """The port of the primary."""
        return port_of(self.primary)

    def url(self, port: int = 0) -> str:
        """The database's URL, through the port of a proxy or directly."""
        return f"postgresql+asyncpg://postgres@127.0.0.1:{port or self.port}/{self.name}"

    def execute(self, statement: str) -> Any:
        """Run one statement in the database."""
        server, name = self.primary, self.name
        return in_thread(_fetch_value(f"postgresql://postgres@127.0.0.1:{port_of(server)}/{name}", statement))

    def terminate_backends(self, which: str) -> int:
        """Terminate the backends whose application name matches `which`. Returns their number."""
        statement = (
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            f"WHERE datname = '{self.name}' AND application_name LIKE '{which}'"
        )
        return int(self.execute(statement) or 0)

    def restart(self) -> None:
        """Crash the primary and start it again, with crash recovery."""
        self.primary.crash()
        self.primary.start()

    def promote(self) -> None:
        """Crash the primary for good and promote the standby, which then runs alone."""
        assert self.standby is not None
        old, new = self.primary, self.standby
        self._wait_for_standby()
        old.crash()
        new.execute("SELECT pg_promote(true, 30)")
        new.execute("ALTER SYSTEM SET synchronous_standby_names = ''")
        new.execute("SELECT pg_reload_conf()")
        self.primary, self.standby = new, None
        old.stop()

    def _wait_for_standby(self) -> None:
        """Wait until the standby has all commits that are visible on the primary.

        PostgreSQL shows a commit before the standby has it if its wait was interrupted (a terminated backend)
        or if crash recovery restored it. A failover would then undo a visible commit; these tests exclude
        that.
        """
        seen = self.execute("SELECT pg_current_wal_lsn()::text")
        caught_up = f"SELECT count(*) FROM pg_stat_replication WHERE flush_lsn >= '{seen}'::pg_lsn"
        for _ in range(600):
            if self.execute(caught_up):
                return
            time.sleep(0.05)
        raise RuntimeError("the standby does not catch up")

    def stop(self) -> None:
        """Stop the servers and remove their files."""
        for server in (self.standby, self.primary):
            if server is not None:
                server.stop()
