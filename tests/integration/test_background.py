"""The suite also runs as a background job of a shell (`make test &`) or under nohup."""

import subprocess
import sys

IGNORING = """trap '' INT QUIT HUP; exec "$@" """
SIGNALS = "import signal; print([signal.getsignal(n) is signal.SIG_IGN for n in (1, 2, 3)])"
CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SIGNALS!r}])"


def test_a_program_that_a_test_starts_ignores_no_signal() -> None:
    """Programs started by tests react to Ctrl-C, although shells make background jobs ignore SIGINT."""

    def report_ignored(code: str) -> str:
        command = ["sh", "-c", IGNORING, "sh", sys.executable, "-c", code]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    assert report_ignored(CHILD) == "[True, True, True]", "this is what a shell does"
    assert report_ignored(f"import tests.conftest; {CHILD}") == "[False, False, False]"
