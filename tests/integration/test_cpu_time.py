"""The CPU time that a test run prints at its end."""

from __future__ import annotations

import re

import pytest

from tests.support.processes import ROOT

BURNS = """
import subprocess, sys

def test_burns():
    burn = "import time\\nwhile time.process_time() < 0.7: pass"
    subprocess.run([sys.executable, "-c", burn], check=True)

def test_rests():
    pass
"""


@pytest.mark.long
@pytest.mark.parametrize("processes", ["0", "1"])
def test_child_processes_are_in_the_sum(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, processes: str
) -> None:
    """The test that started them is named."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makepyfile(BURNS)
    plugins = ["-p", "xdist", "-p", "tests.support.cpu_time", "-p", "no:askback"]
    done = pytester.runpytest_subprocess(*plugins, "-n", processes, "--cpu-times", "1")
    done.assert_outcomes(passed=2)
    [(seconds, test)] = re.findall(r"([\d.]+) s of CPU  (\S+::\S+)", done.stdout.str())
    assert test.endswith("::test_burns")
    assert float(seconds) >= 0.7
    [total] = re.findall(r"(\d+) s of CPU in all", done.stdout.str())
    assert int(total) >= 1
