"""Commands that the fork server runs behave like the installed ones: streams, exit codes and signals."""

import os
import signal
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support import forked_commands as commands_module
from tests.support.forked_commands import ForkedCommands

SLEEPS = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"


def test_a_command_gets_its_arguments_input_environment_and_folder(
    forked_commands: Path, tmp_path: Path
) -> None:
    code = "import os, sys; print(sys.argv, sys.stdin.read(), os.environ['GIVEN'], os.getcwd()); sys.exit(3)"
    done = subprocess.run(
        [forked_commands / "python", "-c", code, "a b"],
        input="typed",
        env={"GIVEN": "set"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout == f"['-c', 'a b'] typed set {tmp_path}\n"


@pytest.mark.parametrize("given", [{"PYTHONDONTWRITEBYTECODE": "1"}, {}])
def test_a_command_writes_bytecode_unless_it_is_told_not_to(
    forked_commands: Path, tmp_path: Path, given: dict[str, str]
) -> None:
    """Python reads the variable at its start, which a forked process has behind it."""
    (tmp_path / "imported.py").touch()
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import imported"
    subprocess.run([forked_commands / "python", "-c", code], env=given, check=True)
    assert (tmp_path / "__pycache__").exists() is not bool(given)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_the_command_and_its_forked_process(number: signal.Signals) -> None:
    """The forked process is another one: SIGTERM is passed on, and after SIGKILL it is killed too."""
    commands = ForkedCommands()
    command = subprocess.Popen([commands.folder / "python", "-c", SLEEPS], stdout=subprocess.PIPE)
    assert command.stdout is not None
    with command.stdout:
        pid = int(command.stdout.readline())
    assert pid != command.pid
    command.send_signal(number)
    assert command.wait(30) == -number
    commands.end()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_process_of_a_killed_command_ends_before_the_next_one_starts(
    forked_commands: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one may need its port. Here the thread that waits for the killed one learns of it too late."""
    late, wait = threading.Event(), commands_module.wait

    def wait_late(objects: Sequence[Any], timeout: float | None = None) -> list[Any]:
        ready = wait(objects, timeout)
        if timeout is None and objects[0] not in ready:
            late.wait(30)
        return ready

    monkeypatch.setattr(commands_module, "wait", wait_late)
    killed = subprocess.Popen([forked_commands / "python", "-c", SLEEPS], stdout=subprocess.PIPE)
    assert killed.stdout is not None
    with killed.stdout:
        pid = killed.stdout.readline().strip()
    killed.kill()
    killed.wait()
    after = [forked_commands / "python", "-c", "import os, sys; os.kill(int(sys.argv[1]), 0)", pid]
    ended = subprocess.run(after, capture_output=True, check=False)
    late.set()
    assert b"ProcessLookupError" in ended.stderr


def test_child_processes_of_a_command_are_forked_too(forked_commands: Path) -> None:
    code = (
        "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import sys; print(sys.executable)'])"
    )
    found = subprocess.run(
        [forked_commands / "python", "-c", code], capture_output=True, text=True, check=True
    )
    assert found.stdout == f"{forked_commands / 'python'}\n"
