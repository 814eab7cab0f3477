"""The demo's processes: a server that can be killed and restarted, and a worker."""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import signal
import socket
import sys
from pathlib import Path


def free_port() -> int:
    """A free port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Process:
    """A child process that writes its output to a file."""

    def __init__(self, arguments: list[str], log: Path, environment: dict[str, str]) -> None:
        self._arguments = [sys.executable, *arguments]
        self._environment = {**os.environ, **environment}
        self.log = log
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> int:
        """Start or restart it, and return its pid."""
        with self.log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *self._arguments,
                stdout=output,
                stderr=output,
                stdin=asyncio.subprocess.DEVNULL,
                env=self._environment,
                cwd=self.log.parent,
            )
        return self._process.pid

    async def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal and wait for the end of the process; send SIGKILL after 15 s."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.send_signal(number)
        try:
            await asyncio.wait_for(process.wait(), 15)
        except TimeoutError:
            process.kill()
            await process.wait()

    def tail(self, lines: int = 20) -> str:
        """The last lines of its output."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def server(port: int, db: str, log: Path, web_port: int | None = None) -> Process:
    """A server on 127.0.0.1, with the page if there is a port for it."""
    serve = "import sys; from askback.cli import main; sys.argv[0] = 'askback'; main()"
    arguments = ["-c", serve, "serve", "--listen", f"127.0.0.1:{port}", "--db", db, "--migrate"]
    if web_port is not None:
        keys = log.with_name("session.keys")  # so that the person need not sign in again after the kill
        keys.write_bytes(base64.b64encode(secrets.token_bytes(32)))
        arguments += ["--web", f"127.0.0.1:{web_port}", "--web-session-keys", str(keys)]
    return Process(arguments, log, {})


def worker(port: int, program: Path, log: Path) -> Process:
    """A worker program, running in the folder of its log, so that its files stay there."""
    return Process([str(program)], log, {"ASKBACK_SERVER": f"127.0.0.1:{port}", "GRPC_VERBOSITY": "NONE"})
