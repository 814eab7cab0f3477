"""A process that logs JSON writes every error as one line of JSON to standard error."""

import json
import os
import subprocess
import sys
import textwrap

import pytest


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("raise ValueError('boom')", "boom"),
        ("import threading\nthreading.Thread(target=lambda: 1 / 0).start()", "division by zero"),
        ("class Odd:\n    def __del__(self): raise ValueError('late')\nOdd()", "late"),
        ("import warnings\nwarnings.warn('careful')", "careful"),
        (
            "import asyncio\nasync def f():\n    asyncio.get_running_loop().call_soon(lambda: 1 / 0)\n"
            "    await asyncio.sleep(0.01)\nasyncio.run(f())",
            "division by zero",
        ),
        (
            "import asyncio\nasync def g(): raise ValueError('lost')\nasync def f():\n"
            "    t = asyncio.create_task(g()); await asyncio.sleep(0.01); del t\nasyncio.run(f())",
            "lost",
        ),
    ],
)
def test_uncaught_errors_are_lines_of_json(program: str, says: str) -> None:
    start = """
        from askback_server.structured_logs import configure, log_uncaught_errors
        configure("json", "INFO")
        log_uncaught_errors()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(start) + program], capture_output=True, text=True, check=False
    )
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    found = json.loads(lines[0])
    assert says in found.get("exception", "") + found["message"]
    assert done.stdout == ""


def test_a_wrong_setting_is_a_line_of_json_too() -> None:
    environment = {"PATH": os.environ["PATH"], "ASKBACK_LOG_FORMAT": "json", "ASKBACK_LEASE_TTL": "never"}
    done = subprocess.run(
        [sys.executable, "-m", "askback_server"], capture_output=True, text=True, check=False, env=environment
    )
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert "lease_ttl" in json.loads(line)["message"].lower()
