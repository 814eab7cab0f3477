"""nginx, HAProxy and Envoy as processes, with the configurations from the documentation."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tests.docs.blocks import ROOT, blocks_of
from tests.support.processes import eventually, quiet_port
from tests.support.requirements import absent

PAGE = "docs/how-to/proxies.md"
_FILES = {"nginx": "nginx.conf", "haproxy": "haproxy.cfg", "envoy": "envoy.yaml"}


def documentation_config(kind: str, page: str = PAGE) -> str:
    """The configuration of a proxy from the documentation page."""
    blocks = blocks_of(page, Path(ROOT, page).read_text(encoding="utf-8"))
    [text] = [block.text for block in blocks if block.title == _FILES[kind]]
    return text


def replace_ports(text: str, ports: Mapping[int, int]) -> str:
    """The text with actual ports for documented ones, in one pass: an actual port may look like a documented
    one with a digit more."""
    documented = "|".join(map(str, ports))
    return re.sub(rf"\b({documented})\b", lambda found: str(ports[int(found[0])]), text)


class Proxy:
    """A proxy in front of servers on loopback. Skips the test if the program is not installed."""

    def __init__(
        self,
        kind: str,
        folder: Path,
        server_port: int = 50051,
        *,
        idle: str = "60s",
        page: str = PAGE,
        ports: Mapping[int, int] | None = None,
    ) -> None:
        """`idle` replaces the documented idle timeouts; `ports`, the documented ports."""
        beside = Path(sys.executable).with_name(kind)
        self._program = shutil.which(kind) or shutil.which(kind, path="/usr/sbin:/sbin")
        if self._program is None and beside.exists():
            self._program = str(beside)
        if self._program is None:
            absent(kind, f"{kind} is not installed")
        self.port = quiet_port()
        self.target = f"127.0.0.1:{self.port}"
        text = documentation_config(kind, page)
        text = replace_ports(text, {8443: self.port, 50051: server_port, **(ports or {})})
        text = re.sub(r"\b60s\b", idle, text)
        if kind == "nginx":
            temporary = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
            places = "".join(f"{name}_temp_path {folder}/{name}; " for name in temporary)
            text = text.replace("http {", f"http {{ access_log off; {places}", 1)
        self._kind, self._folder = kind, folder
        self._file, self._log = folder / _FILES[kind], folder / "log"
        self._file.write_text(text)
        self._process: subprocess.Popen[bytes] | None = None

    def _run(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as output:
            return subprocess.Popen(self._command(), stdout=output, stderr=output, start_new_session=True)

    async def start(self) -> None:
        """Start the proxy and wait until it accepts connections."""
        log = self._log
        process = self._process = self._run()

        def takes_connections() -> bool:
            assert process.poll() is None, log.read_text()
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 0.2):
                return True
            return False

        await eventually(takes_connections, f"{self._kind} listens")

    async def stop(self) -> None:
        """Kill the proxy and its children."""
        if self._process is not None:
            process, self._process = self._process, None
            os.killpg(process.pid, signal.SIGKILL)
            await asyncio.to_thread(process.wait)

    def _command(self) -> list[str]:
        program, file = str(self._program), str(self._file)
        if self._kind == "nginx":
            directives = f"daemon off; pid {self._folder}/pid; error_log stderr;"
            if os.geteuid() == 0:
                directives += " user root;"
            return [program, "-p", str(self._folder), "-c", file, "-e", "stderr", "-g", directives]
        if self._kind == "haproxy":
            return [program, "-db", "-f", file]
        return [program, "-c", file, "--disable-hot-restart", "--concurrency", "1", "-l", "warning"]
