"""`askback`, `python` and `pytest` for shell scripts, started by the fork server.

A page of the documentation starts up to twenty of them, and importing takes most of their CPU time. `PATH`
has a small program instead, which sends its arguments, environment, folder and standard streams to the test
process. That process starts a forked program (`tests.support.forked`), passes signals on, and reports the
exit code. The `sys.executable` of that program is the small `python`, so its child processes are forked too.
"""

from __future__ import annotations

import marshal
import os
import runpy
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import wait
from pathlib import Path
from types import ModuleType

from tests.support.forked import ForkedProgram

RUN = "tests.support.forked_commands:run"
ROOT = str(Path(__file__).parents[2])

# It imports only built-in modules: `socket`, `signal` and `json` would double its CPU time.
PROGRAM = f"""#!{sys.executable} -IS
import _signal, _socket, marshal, os, sys
server = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
server.connect(os.path.join(os.path.dirname(__file__), "socket"))
request = marshal.dumps((os.path.basename(__file__), sys.argv, dict(os.environ), os.getcwd()))
streams = b"".join(fd.to_bytes(4, sys.byteorder) for fd in (0, 1, 2))
server.sendmsg([len(request).to_bytes(4, "big")], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
server.sendall(request)
for number in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP):
    _signal.signal(number, lambda number, frame: server.send(bytes([number])))
code = int(server.recv(16) or b"255")
if code < 0:
    _signal.signal(-code, _signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
"""


class ForkedCommands:
    """Makes the commands available in a folder, until `end()`."""

    def __init__(self) -> None:
        # Not in the folder of the test: the path of a socket is limited to about 100 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="askback-"))
        """The folder for `PATH`."""
        for name in COMMANDS:
            (self.folder / name).write_text(PROGRAM)
            (self.folder / name).chmod(0o755)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self.folder / "socket"))
        self._listener.listen(64)
        self._ended = False
        self._running: dict[socket.socket, ForkedProgram] = {}
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def end(self) -> None:
        """Stop accepting commands and wait for those that run: the caller has ended their shell."""
        self._ended = True
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as wake_up:
            wake_up.connect(str(self.folder / "socket"))
        for thread in self._threads:
            thread.join()
        self._listener.close()
        shutil.rmtree(self.folder)

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self._ended:
                connection.close()
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        """Run one command."""
        with connection:
            size, streams, _, _ = socket.recv_fds(connection, 4, 3)
            request = bytearray()
            while len(request) < int.from_bytes(size, "big"):
                request += connection.recv(1 << 20)
            name, arguments, environment, folder = marshal.loads(request)
            with self._lock:
                self._end_killed()
                program = self._start(name, arguments, environment, folder, streams)
                self._running[connection] = program
            while program.sentinel not in (ready := wait([program.sentinel, connection])):
                assert ready == [connection]
                numbers = connection.recv(16)
                for number in numbers or [signal.SIGKILL]:
                    program.send_signal(signal.Signals(number))
                if not numbers:
                    # The small program has been killed.
                    program.wait()
            with self._lock:
                del self._running[connection]
            with suppress(OSError):
                connection.send(str(program.wait()).encode())

    def _end_killed(self) -> None:
        """End the programs whose small program has been killed: the next one may need their port or file."""
        for connection, program in self._running.items():
            if wait([connection], 0) and not connection.recv(1, socket.MSG_PEEK):
                program.kill()
                program.wait()

    def _start(
        self,
        name: str,
        arguments: list[str],
        environment: dict[str, str],
        folder: str,
        streams: Sequence[int],
    ) -> ForkedProgram:
        stdin, stdout, stderr = streams
        try:
            return ForkedProgram(
                RUN,
                [str(self.folder / "python"), name, *arguments[1:]],
                environment,
                Path(folder),
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
            )
        finally:
            for fd in streams:
                os.close(fd)


def run() -> int | None:
    """Run the command that the arguments name, after the path of the small `python`."""
    sys.executable, *sys.argv = sys.argv
    return COMMANDS[sys.argv[0]]()


def _askback() -> None:
    from askback.cli import main

    main()


def python() -> None:
    """Run a file, `-c` or `-m` like the interpreter."""
    _, first, *arguments = sys.argv
    _leave_repository()
    if first == "-c":
        code, *arguments = arguments
        sys.path.insert(0, "")
        sys.argv = ["-c", *arguments]
        sys.modules["__main__"] = main = ModuleType("__main__")
        exec(compile(code, "<string>", "exec"), main.__dict__)
    elif [first, *arguments[:1]] == ["-m", "pytest"]:
        sys.path.insert(0, os.getcwd())
        sys.argv = arguments
        sys.exit(run_pytest())
    elif first == "-m":
        module, *arguments = arguments
        sys.path.insert(0, os.getcwd())
        sys.argv = [module, *arguments]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    else:
        sys.path.insert(0, str(Path(first).resolve().parent))
        sys.argv = [first, *arguments]
        runpy.run_path(first, run_name="__main__")


def _leave_repository() -> None:
    """Remove what the test process has in the path of modules and an installed interpreter has not."""
    sys.path[:] = [path for path in sys.path if path not in (ROOT, "")]


def run_pytest() -> int:
    """Run pytest like its command."""
    import pytest

    _leave_repository()
    # The fork server has imported the plugin's package already, and so without rewriting its assertions.
    sys.argv[1:1] = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    return pytest.console_main()


COMMANDS: dict[str, Callable[[], int | None]] = {"askback": _askback, "python": python, "pytest": run_pytest}
