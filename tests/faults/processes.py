"""The processes of a cluster: replicas, workers, consoles and clients."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tests.support.forked import ForkedProgram
from tests.support.processes import ROOT, quiet_port

if TYPE_CHECKING:
    from tests.faults.cluster import Cluster

READY_SECONDS = 40.0


class ManagedProcess:
    """A process that can be restarted; each start writes its own history file."""

    def __init__(self, cluster: Cluster, name: str, module: str) -> None:
        self.cluster = cluster
        self.name = name
        self._module = module
        self._process: ForkedProgram | None = None
        self._listener: asyncio.Task[None] | None = None
        self._stdin = -1
        self._ended = asyncio.Event()
        self.starts = 0
        self.counts: dict[str, int] = {}
        self._before: dict[str, int] = {}
        self._reported: set[str] = set()
        self._news = asyncio.Event()
        self.busy = False
        """A fault is being applied to it: choose another one for the next fault."""
        self.may_leave = False
        """It has been ordered to leave."""

    def arguments(self) -> list[str]:
        """The arguments of its program."""
        return []

    def environment(self) -> dict[str, str]:
        """Variables to add to its environment."""
        return {}

    @property
    def history(self) -> Path:
        """The history file of this start."""
        return self.cluster.folder / f"{self.name}.{self.starts}.jsonl"

    async def start(self) -> None:
        """Start the process."""
        self.starts += 1
        for key, value in self.counts.items():
            self._before[key] = self._before.get(key, 0) + value
        self.counts = {}
        self._reported.clear()
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("ASKBACK_", "FAULTS_"))}
        environment = {**inherited, "GRPC_VERBOSITY": "NONE", **self.environment()}
        (its_input, self._stdin), (stdout, its_output) = os.pipe(), os.pipe()
        with (self.cluster.folder / f"{self.name}.{self.starts}.log").open("wb") as log:
            self._process = ForkedProgram(
                f"{self._module}:main",
                [self._module, *self.arguments()],
                environment,
                ROOT,
                stdin=its_input,
                stdout=its_output,
                stderr=log.fileno(),
            )
        os.close(its_input)
        os.close(its_output)
        self._ended = asyncio.Event()
        self._listener = asyncio.create_task(self._listen(self._process, os.fdopen(stdout, "rb")))

    async def _listen(self, process: ForkedProgram, stdout: IO[bytes]) -> None:
        loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), stdout)
        loop.add_reader(process.sentinel, self._end, process.sentinel)
        while line := await reader.readline():
            self.handle_line(line)
        transport.close()
        await self._ended.wait()
        self._news.set()

    def _end(self, sentinel: int) -> None:
        asyncio.get_running_loop().remove_reader(sentinel)
        os.close(self._stdin)
        self._ended.set()

    def handle_line(self, line: bytes) -> None:
        """Handle a line of its output."""
        if not line.startswith(b"{"):
            return
        report = json.loads(line)
        self.counts = report.pop("counts")
        self.note(*report)

    def note(self, *facts: str) -> None:
        """Record these facts as reported."""
        self._reported.update(facts)
        self._news.set()

    async def wait_for(self, fact: str, within: float = READY_SECONDS) -> bool:
        """Wait until it has reported a fact. Returns False if it ends or does not report it in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while fact not in self._reported and self.running:
                    self._news.clear()
                    await self._news.wait()
        return fact in self._reported

    def order(self, text: str) -> None:
        """Send it an order."""
        if self._process is not None and self.running:
            self._reported.clear()
            self.may_leave = text == "leave"
            with contextlib.suppress(BrokenPipeError):  # it may have ended just now
                os.write(self._stdin, text.encode() + b"\n")

    @property
    def total(self) -> dict[str, int]:
        """Its counts, summed over all starts."""
        return {k: self.counts.get(k, 0) + self._before.get(k, 0) for k in {*self.counts, *self._before}}

    @property
    def running(self) -> bool:
        """Whether the process is running."""
        return self._process is not None and not self._ended.is_set()

    @property
    def code(self) -> int | None:
        """The exit code of the last start; None while it runs."""
        return None if self._process is None or self.running else self._process.poll()

    @property
    def pid(self) -> int:
        """The process id of this start."""
        assert self._process is not None
        return self._process.pid

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if the process is running."""
        if self._process is not None and self.running:
            self._process.send_signal(number)

    async def wait_for_exit(self, within: float) -> int | None:
        """Wait for the process to end. Returns its exit code, or None if it does not end in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._ended.wait()
        return self.code

    async def kill(self) -> None:
        """Send SIGKILL and wait for the end. Repeatable."""
        self.signal(signal.SIGKILL)
        if self._listener is not None:
            await self._listener


class Replica(ManagedProcess):
    """An Askback server. It keeps its port when it is restarted."""

    def __init__(self, cluster: Cluster, name: str, **settings: object) -> None:
        super().__init__(cluster, name, "tests.faults.replica")
        self.port, self.metrics_port = quiet_port(), quiet_port()
        self._settings = settings
        self.plant = ""
        self.failpoints = ""
        self.slow_commits = ""
        self.skew = 0.0

    def environment(self) -> dict[str, str]:
        cluster = self.cluster
        link = cluster.links.get(f"{self.name}-database")
        settings = {
            "listen": f"127.0.0.1:{self.port}",
            "db": cluster.database_url(link),
            "replica": self.name,
            "heartbeat": 0.5,
            "sweep_interval": 3,
            "drain_grace": 2,
            "lease_ttl": 4,
            "metrics_listen": f"127.0.0.1:{self.metrics_port}",
            "log_level": "WARNING",
            "auth": cluster.tokens.path,
            **self._settings,
        }
        named = {f"ASKBACK_{k.upper()}": str(v) for k, v in settings.items()}
        tested = {
            "PLANT": self.plant,
            "FAILPOINTS": self.failpoints,
            "SLOW_COMMITS": self.slow_commits,
            "SKEW": str(self.skew),
            "HISTORY": str(self.history),
            "SEED": str(cluster.seed),
        }
        return {**named, **{f"FAULTS_{k}": v for k, v in tested.items()}}

    def handle_line(self, line: bytes) -> None:
        if line.startswith(b"askback serves on"):
            self.note("ready")

    async def serve(self) -> bool:
        """Start the server, retrying while the database is unreachable. Returns whether it serves."""
        for _ in range(20):
            await self.start()
            if await self.wait_for("ready"):
                return True
            await self.kill()
            await asyncio.sleep(0.5)
        return False

    async def metrics(self) -> dict[str, float]:
        """Its metrics, each with its labels and summed over them; empty if it does not respond."""

        def read() -> str:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5) as reply:
                text: str = reply.read().decode()
                return text

        try:
            text = await asyncio.to_thread(read)
        except OSError:
            return {}
        found: dict[str, float] = {}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                series, _, value = line.rpartition(" ")
                for key in {series, series.partition("{")[0]}:
                    found[key] = found.get(key, 0.0) + float(value)
        return found

    def memory(self) -> int:
        """The resident set size in bytes; 0 if the process has ended."""
        try:
            pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        except OSError:
            return 0
        return int(pages) * os.sysconf("SC_PAGESIZE")


class Participant(ManagedProcess):
    """A worker, a console or a client, in a process of its own."""

    def __init__(self, cluster: Cluster, name: str, role: str, options: Mapping[str, Any]) -> None:
        super().__init__(cluster, name, f"tests.faults.{role}")
        self.role = role
        self._options = options

    def program_arguments(self) -> dict[str, Any]:
        """The arguments of its Program."""
        cluster = self.cluster
        links = [cluster.links[f"{self.name}-{replica.name}"] for replica in cluster.replicas]
        return {
            "name": self.name,
            "history": str(self.history),
            "targets": [f"127.0.0.1:{link.port}" for link in links],
            "seed": f"{cluster.seed}/{self.starts}",
            "options": self._options,
        }

    def arguments(self) -> list[str]:
        return [json.dumps(self.program_arguments())]


class SharedProcess(ManagedProcess):
    """Several participants in one process, which starts sooner than several processes."""

    def __init__(self, cluster: Cluster, members: list[Participant]) -> None:
        super().__init__(cluster, "shared_process", "tests.faults.shared_process")
        self._members = members

    def arguments(self) -> list[str]:
        for member in self._members:
            member.starts = self.starts
        return [json.dumps([{"role": member.role, **member.program_arguments()} for member in self._members])]
