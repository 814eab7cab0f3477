"""Start-up times as ratios to a Python that does nothing, which vary less between machines than times."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping, Sequence
from statistics import median

from tests.install.wheelhouse import clean_environment

BARE = "python -c pass"


def programs(python: str, askback: str) -> dict[str, Sequence[str]]:
    """The measured commands by name; the first is the baseline."""
    return {
        BARE: [python, "-c", "pass"],
        "import askback": [python, "-c", "import askback"],
        "from askback import Client": [python, "-c", "from askback import Client"],
        "from askback import Worker": [python, "-c", "from askback import Worker"],
        "askback --help": [askback, "--help"],
        "completion": [askback],
    }


def measure(commands: Mapping[str, Sequence[str]], rounds: int = 9) -> dict[str, float]:
    """The median seconds of each command. They run in turn, so that load on the machine affects all."""
    completion = {"_ASKBACK_COMPLETE": "bash_complete", "COMP_WORDS": "askback ", "COMP_CWORD": "1"}
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(rounds + 1):
        for name, command in commands.items():
            environment = {**clean_environment(), **(completion if name == "completion" else {})}
            start = time.perf_counter()
            subprocess.run(command, env=environment, capture_output=True, check=True)
            if turn:  # the first round fills the disk cache and writes bytecode
                taken[name].append(time.perf_counter() - start)
    return {name: median(seconds) for name, seconds in taken.items()}
