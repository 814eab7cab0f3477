"""Run the image without an engine: in namespaces, with a read-only root and an unprivileged user."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.processes import ROOT, Process, Processes, eventually

# Runs as the first process of new namespaces. "$@" are the mounts, `--`, and the image's command.
ENTER = """
set -eu
root=$1 owner=$2 workdir=$3
shift 3
mount --bind "$root" "$root"
while [ "$1" != -- ]; do
  if [ -d "$1" ]; then mkdir -p "$root$2"; else mkdir -p "$(dirname "$root$2")"; touch "$root$2"; fi
  mount --bind "$1" "$root$2"
  shift 2
done
shift
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -o remount,bind,ro "$root"
exec setpriv --no-new-privs chroot --userspec="$owner" "$root" /usr/bin/env -C "$workdir" "$@"
"""
LOOPBACK_UP = (
    "import fcntl, socket, struct;"
    "fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh', b'lo', 0x41))"  # SIOCSIFFLAGS, UP | RUNNING
)


class Containers(Processes):
    """Processes that are the first of their namespaces: killing one ends everything in its namespace."""

    def end(self) -> None:
        """Kill what still runs, including the children of `unshare`, which run as another user."""
        for process in self._processes:
            if process.running:
                for child in _children(process):
                    os.kill(child, signal.SIGKILL)
        super().end()


class Container:
    """Starts the image's processes like `docker run --read-only`."""

    def __init__(
        self, processes: Processes, root: Path, config: Mapping[str, Any], mounts: Mapping[Path, str]
    ) -> None:
        self._processes = processes
        self._root = root
        self._config = config
        self._mounts = mounts

    def start(
        self,
        name: str,
        *arguments: str,
        own_network: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> Process:
        """Run the entry point with these arguments, or with those of the image.

        Without `own_network` it uses the machine's network.
        """
        config = self._config
        command = [*config["Entrypoint"], *(arguments or config["Cmd"])]
        spaces = ["--mount", "--pid", *(["--net"] if own_network else [])]
        mounts = [str(word) for pair in self._mounts.items() for word in pair]
        return self._processes.command(
            name,
            "unshare",
            *spaces,
            "--fork",
            "--",
            "sh",
            "-c",
            ENTER,
            "enter",
            str(self._root),
            config["User"],
            config["WorkingDir"],
            *mounts,
            "--",
            *self._environment(environment),
            *command,
        )

    def run_inside(self, name: str, first: int, command: Sequence[str], *, user: str = "") -> Process:
        """Run a command of the image beside the container's first process, like `docker exec`."""
        uid, _, gid = (user or self._config["User"]).partition(":")
        return self._processes.command(
            name,
            "nsenter",
            "--target",
            str(first),
            "--mount",
            "--pid",
            "--net",
            "--root",
            "--wd",
            "--setuid",
            uid,
            "--setgid",
            gid,
            *self._environment(),
            *command,
        )

    def run_beside(self, name: str, first: int, *arguments: str) -> Process:
        """Run a Python program of these tests on the container's network."""
        return self._processes.command(
            name,
            "nsenter",
            "--target",
            str(first),
            "--net",
            "--",
            sys.executable,
            "-m",
            *arguments,
            PYTHONPATH=str(ROOT),
        )

    def _environment(self, more: Mapping[str, str] | None = None) -> list[str]:
        variables = [f"{key}={value}" for key, value in (more or {}).items()]
        return ["/usr/bin/env", "-i", *self._config["Env"], *variables]

    async def wait_until_ready(self, process: Process) -> int:
        """Wait until the server is ready. Returns the outer pid of the container's process 1."""

        def ready() -> bool:
            if not process.running:
                raise RuntimeError(f"the container did not start:\n{process.story()}")
            return "askback serves on" in process.out

        await eventually(ready, "the container serves")
        return _first(process)

    async def stop(self, process: Process) -> int:
        """Send the image's stop signal to the first process. Returns the exit code."""
        os.kill(_first(process), signal.Signals[self._config["StopSignal"]])
        return await process.wait_for_end()


def _first(process: Process) -> int:
    (child,) = _children(process)
    return child


def _children(process: Process) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


async def bring_loopback_up(process: Process) -> None:
    """Enable the loopback device of the container's new network."""
    await eventually(lambda: _children(process), "the container has started")
    command = ["nsenter", "--target", str(_first(process)), "--net", "--", sys.executable, "-c", LOOPBACK_UP]
    await asyncio.to_thread(subprocess.run, command, check=True)
