"""A PostgreSQL server for tests, on a loopback port, and databases on it."""

import asyncio
import atexit
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import asyncpg

from tests.support.ports import free_port
from tests.support.postgres_binaries import Binaries, PostgresUnavailable, find_binaries

START_SECONDS = 30.0
STOP_SECONDS = 10.0

# Runs beside the server and waits for the end of its input, which comes when the test process dies without
# running its atexit handlers (SIGKILL, os._exit): no server and no folder outlives its tests.
GUARD = 'read -r _; kill -QUIT "$0" 2>/dev/null; sleep 1; rm -rf "$1"'


class PostgresServer:
    """One server: that of `ASKBACK_TEST_DSN`, else a new one started from the binaries found.

    `source` is `auto`, `installed` or `wheel`; the default is `ASKBACK_TEST_PG`, else `auto`. Only `auto`
    uses the DSN, so that the other two can be tested everywhere.
    `fsync=False` gives up safety against power loss, which no test can cause, for speed. It also turns
    autovacuum off, whose transaction ids would delay the feed.
    """

    def __init__(self, *, fsync: bool = True, source: str | None = None) -> None:
        self._source = source or os.environ.get("ASKBACK_TEST_PG") or "auto"
        self._fsync = fsync
        self._dsn = os.environ.get("ASKBACK_TEST_DSN", "") if self._source == "auto" else ""
        self._root: Path | None = None
        self._binaries: Binaries | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and wait for connections; after `crash()` on the same port and data.

        Raises PostgresUnavailable when no binaries are found.
        """
        if self._process is not None or (self._dsn and self._root is None):
            return
        if self._root is not None:
            self._launch(urlsplit(self._dsn).port or 0)
            return
        binaries = find_binaries(self._source)
        atexit.register(self.stop)
        self._root = Path(tempfile.mkdtemp(prefix="askback-pg-"))
        try:
            self._initialise(binaries)
            self._launch_on_free_port()
        except BaseException:
            self.stop()
            raise

    def crash(self) -> None:
        """Stop the server at once, without a checkpoint, and keep its data for the next `start()`."""
        if self._root is None:
            raise RuntimeError("only a server that was started here can be made to crash")
        if self._process is None:
            return
        self._process.send_signal(signal.SIGQUIT)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
        if self._guard is not None:
            self._guard.kill()
            self._guard.communicate()
            self._guard = None

    def stop(self) -> None:
        """Stop the server at once and remove its files. Does nothing to a server that was given by a DSN."""
        if self._root is None:
            return
        self.crash()
        shutil.rmtree(self._root, ignore_errors=True)
        self._root, self._dsn = None, ""
        atexit.unregister(self.stop)

    def standby(self) -> "PostgresServer":
        """A hot standby of this server, not started yet: read-only until it is promoted.

        With `require_standby`, commits on this server wait until they are on the standby's disk.
        """
        if self._root is None or self._binaries is None:
            raise RuntimeError("only a server that was started here can have a standby")
        other = PostgresServer(fsync=self._fsync, source=self._source)
        atexit.register(other.stop)
        other._root = Path(tempfile.mkdtemp(prefix="askback-pg-"))
        other._binaries = self._binaries
        other._dsn = f"postgresql://postgres@127.0.0.1:{free_port()}/postgres"
        _give_away(other._root)
        primary = self._url("postgresql")
        command = [str(self._binaries.bin / "pg_basebackup"), "-D", str(other._data), "-R", "-X", "stream"]
        command += ["-c", "fast", "--no-sync", "-d", f"{primary.geturl()}?application_name=standby"]
        done = subprocess.run(
            command,
            cwd=other._root,
            env=_environment(),
            capture_output=True,
            text=True,
            check=False,
            **_as_user(),
        )
        if done.returncode:
            other.stop()
            raise RuntimeError(f"pg_basebackup failed:\n{done.stdout}{done.stderr}")
        return other

    def require_standby(self, required: bool) -> None:
        """Set whether commits wait for the standby to flush them to its disk."""
        names = "standby" if required else ""
        self.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
        self.execute("SELECT pg_reload_conf()")

    def dsn(self, database: str) -> str:
        """The SQLAlchemy URL of a database of this server."""
        return self._url("postgresql+asyncpg", f"/{database}").geturl()

    def create_database(self, template: str | None = None) -> str:
        """Create a database, empty or from `template` (which must have no connections). Returns its URL."""
        name = new_name()
        self.execute(f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
        return self.dsn(name)

    def drop_database(self, dsn: str) -> None:
        """Drop the database of a URL returned by `create_database`, closing its remaining connections."""
        self.execute(f"DROP DATABASE IF EXISTS {urlsplit(dsn).path[1:]} WITH (FORCE)")

    def execute(self, statement: str) -> Any:
        """Run one statement as the administrator. Returns the first value of the first row, if any."""
        return in_thread(_fetch_value(self._url("postgresql").geturl(), statement))

    def _url(self, scheme: str, path: str | None = None) -> SplitResult:
        parts = urlsplit(self._dsn)._replace(scheme=scheme)
        return parts if path is None else parts._replace(path=path)

    @property
    def _data(self) -> Path:
        assert self._root is not None
        return self._root / "data"

    def _initialise(self, binaries: Binaries) -> None:
        """Create the data folder, and copy the binaries if the server's user cannot reach them."""
        root = self._data.parent
        _give_away(root)
        if not _may_run(root, "test", "-w", str(root)):
            raise PostgresUnavailable(f"user nobody cannot reach {root}: set TMPDIR to a folder open to all")
        if not _may_run(root, str(binaries.bin / "postgres"), "--version"):
            # For example: a virtual environment in a private home folder.
            binaries = binaries.copy_to(root / "install")
            _give_away(root)
        self._binaries = binaries
        command = [str(binaries.bin / "initdb"), "-D", str(self._data), "-U", "postgres", "-A", "trust"]
        command += ["-E", "UTF8", "--locale=C", "--no-sync"]
        done = subprocess.run(
            command, cwd=root, env=_environment(), capture_output=True, text=True, check=False, **_as_user()
        )
        if done.returncode:
            raise RuntimeError(f"initdb failed:\n{done.stdout}{done.stderr}")

    def _launch_on_free_port(self) -> None:
        for attempt in range(3):
            try:
                self._launch(free_port())
                return
            except RuntimeError as failure:
                if attempt == 2 or "Address already in use" not in str(failure):
                    raise

    def _launch(self, port: int) -> None:
        """Start the server on `port` and return when it accepts connections."""
        assert self._binaries is not None
        root = self._data.parent
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": root,
            "max_connections": 200,
            "max_prepared_transactions": 4,
            "shared_buffers": "128MB",
            "fsync": "on" if self._fsync else "off",
            "full_page_writes": "on" if self._fsync else "off",
            "autovacuum": "on" if self._fsync else "off",
            "jit": "off",  # a backend that compiles a statement loads LLVM first: 30 ms of CPU
        }
        command = [str(self._binaries.bin / "postgres"), "-D", str(self._data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with (root / "log").open("wb") as log:
            # In a session of its own: Ctrl-C goes to the tests, which then stop the server in order.
            self._process = subprocess.Popen(
                command,
                cwd=root,
                env=_environment(),
                stdout=log,
                stderr=log,
                start_new_session=True,
                **_as_user(),
            )
        self._guard = subprocess.Popen(
            ["sh", "-c", GUARD, str(self._process.pid), str(root)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        self._dsn = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        try:
            self._wait_until_ready()
        except BaseException:
            self.crash()
            raise

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            with suppress(OSError, asyncpg.PostgresError):
                # Another server may have taken the port between our probe and our start.
                if self.execute("SHOW data_directory") == str(self._data):
                    return
            time.sleep(0.02)
        log = (self._data.parent / "log").read_text(errors="replace")
        ended = self._process.poll()
        raise RuntimeError(f"PostgreSQL did not start (exit code {ended}):\n{log[-4000:]}")


def new_name() -> str:
    """An unused name of a database."""
    return f"askback_test_{uuid.uuid4().hex[:16]}"


async def _fetch_value(dsn: str, statement: str) -> Any:
    connection = await asyncpg.connect(dsn, timeout=START_SECONDS)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def in_thread(work: Coroutine[Any, Any, Any]) -> Any:
    """Run `work` to completion on a new thread: callable with and without a running event loop."""
    outcome: list[Any] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(asyncio.run(work))
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]


def _environment() -> dict[str, str]:
    """The environment without variables that configure PostgreSQL's programs (PGDATA, PGPORT, …)."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**kept, "LC_ALL": "C"}


def _as_user() -> dict[str, Any]:
    """Arguments for a subprocess: PostgreSQL refuses to run as root, so root runs it as another user."""
    if os.getuid() != 0:
        return {}
    return {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid, "extra_groups": []}


def _give_away(root: Path) -> None:
    """Make the server's user the owner of everything below `root`."""
    if os.getuid() != 0:
        return
    account = pwd.getpwnam("nobody")
    for path in (root, *root.rglob("*")):
        os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)


def _may_run(folder: Path, *command: str) -> bool:
    """Whether the server's user can run `command` in `folder`."""
    try:
        done = subprocess.run(
            command, cwd=folder, env=_environment(), capture_output=True, check=False, **_as_user()
        )
    except PermissionError:
        return False
    return done.returncode == 0
