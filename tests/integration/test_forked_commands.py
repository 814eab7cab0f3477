"""Commands that the fork server runs behave like the installed ones: streams, exit codes and signals."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

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
