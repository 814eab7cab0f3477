"""A container of the image without an engine: namespaces, a read-only root, a plain user, no privilege."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from tests.support.processes import Process, Stage, eventually

# As the first process of namespaces of its own. "$@" is the image's command.
ENTER = """
set -eu
root=$1 data=$2 tokens=$3 owner=$4 workdir=$5
shift 5
mount --bind "$root" "$root"
mkdir -p "$root/etc/askback"
touch "$root/etc/askback/tokens.toml"
mount --bind "$tokens" "$root/etc/askback/tokens.toml"
mount --bind "$data" "$root/data"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -o remount,bind,ro "$root"
exec setpriv --no-new-privs chroot --userspec="$owner" "$root" /usr/bin/env -C "$workdir" "$@"
"""


class Container:
    """The image's process: started like `docker run --read-only` would, on the machine's network."""

    def __init__(self, stage: Stage, root: Path, config: dict[str, Any], tokens: Path, data: Path) -> None:
        self._stage = stage
        self._root = root
        self._config = config
        self._tokens = tokens
        self._data = data

    def start(self, name: str, *arguments: str, more: tuple[str, ...] = (), **environment: str) -> Process:
        """Run the entry point with these arguments, else with the image's own and `more` behind them."""
        config = self._config
        command = [*config["Entrypoint"], *(arguments or config["Cmd"]), *more]
        variables = [*config["Env"], *(f"{key}={value}" for key, value in environment.items())]
        return self._stage.command(
            name, "unshare", "--mount", "--pid", "--fork", "--kill-child", "--", "sh", "-c", ENTER, "enter",
            str(self._root), str(self._data), str(self._tokens), config["User"], config["WorkingDir"],
            "env", "-i", *variables, *command,
        )  # fmt: skip

    def inside(self, name: str, first: int, *command: str, user: str = "", **environment: str) -> Process:
        """Run a command beside the container's first process, like `docker exec`."""
        uid, _, gid = (user or self._config["User"]).partition(":")
        variables = [*self._config["Env"], *(f"{key}={value}" for key, value in environment.items())]
        return self._stage.command(
            name, "nsenter", "--target", str(first), "--mount", "--pid", "--root", "--wd",
            "--setuid", uid, "--setgid", gid, "env", "-i", *variables, *command,
        )  # fmt: skip


async def first_process(process: Process) -> int:
    """The pid, seen from outside, of the process that is number 1 inside."""

    def child() -> int:
        assert process.running, process.story()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        return int(children[0]) if children else 0

    return await eventually(child, "the container has its first process")


async def stop(process: Process, config: dict[str, Any]) -> int:
    """The image's stop signal to the first process; the exit code."""
    os.kill(await first_process(process), signal.Signals[config["StopSignal"]])
    return await process.ended()
