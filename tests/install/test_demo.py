"""`make demo` in a new checkout: creates a small environment once."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.install.wheelhouse import Wheelhouse

pytestmark = pytest.mark.timeout(300)
PACKAGES = 40
STEPS = [
    "make an environment in .venv-demo",
    "install Askback with its embedded server, its console and its page",
    "play the demo",
]


def make_demo(checkout: Path) -> str:
    done = subprocess.run(
        ["make", "--no-print-directory", "demo"],
        cwd=checkout,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def steps(output: str) -> list[str]:
    return [line.removeprefix("demo: ") for line in output.splitlines() if line.startswith("demo: ")][:-1]


def test_make_demo_prints_its_steps_and_installs_a_small_environment_once(
    wheelhouse: Wheelhouse, tmp_path: Path
) -> None:
    """The README promises at most 40 packages; a second run only plays the demo."""
    checkout = wheelhouse.unpack(tmp_path)
    first = make_demo(checkout)
    assert steps(first) == STEPS
    figures = re.fullmatch(r"(\d+) packages, \d+\.\d s of CPU time, \d+ s in all", first.splitlines()[-1])
    assert figures, first
    assert int(figures[1]) <= PACKAGES
    assert steps(make_demo(checkout)) == STEPS[-1:]
