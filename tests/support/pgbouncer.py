"""PgBouncer in front of a PostgreSQL server, on a loopback port."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.ports import free_port
from tests.support.requirements import absent

START_SECONDS = 10.0


class PgBouncer:
    """A pooler for one database URL. `pool_mode` is session or transaction; `more` are further settings."""

    def __init__(self, url: str, pool_mode: str, *more: str) -> None:
        program = shutil.which("pgbouncer") or shutil.which("/usr/sbin/pgbouncer")
        if program is None:
            absent("pgbouncer", "PgBouncer is not installed")
        parts = urlsplit(url)
        name, self._port = parts.path[1:], free_port()
        self.url = parts._replace(netloc=f"{parts.username}@127.0.0.1:{self._port}").geturl()
        self._folder = Path(tempfile.mkdtemp(prefix="askback-pgbouncer-"))
        settings = self._folder / "pgbouncer.ini"
        settings.write_text(
            f"[databases]\n{name} = host={parts.hostname} port={parts.port} user={parts.username}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self._port}\nauth_type = any\n"
            f"pool_mode = {pool_mode}\ndefault_pool_size = 40\nunix_socket_dir =\n" + "\n".join(more)
        )
        command = [program, str(settings)]
        if os.getuid() == 0:  # it refuses to run as root
            self._folder.chmod(0o755)
            command[1:1] = ["-u", "nobody"]
        self._log = (self._folder / "log").open("wb")
        self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log)
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def _wait(self) -> None:
        end = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self._port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError(f"PgBouncer did not start:\n{(self._folder / 'log').read_text()}")

    def stop(self) -> None:
        """Kill it and remove its files."""
        self._process.kill()
        self._process.wait()
        self._log.close()
        shutil.rmtree(self._folder, ignore_errors=True)
