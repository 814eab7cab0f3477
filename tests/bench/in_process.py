"""Instructions of a trip inside the engine: no gRPC, no processes, an in-memory disk if there is one.

`python -m tests.bench.in_process` runs itself under callgrind. The same commit gives the same figure within
half a percent, so it shows what a change adds to each trip where times cannot. To compare two commits, run it
in a checkout of each. callgrind has no SHA instructions: it runs SHA-256 in software, five to ten times the
instructions of a processor that has them, and counts it to libcrypto.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from askback_server.domain.decisions import Decision
from askback_server.domain.jobs import Job
from askback_server.storage.migrate import upgrade
from askback_server.transport.convert import contents
from tests.bench import instructions, messages
from tests.bench.instructions import own_cost
from tests.support.storage import Node, node

_IN_FLIGHT = 64
_WARM_UP = 2
"""Trips of each job before counting: they fill the caches of statements and documents."""


async def _trips(replica: Node, job: Job, keys: range) -> None:
    message = messages.content("form")
    for key in keys:
        prompt = await replica.ask(job, f"k{key}", contents.content(message, "content"))
        await replica.answer(prompt, decision=Decision.RESPOND, values_json=messages.VALUES_JSON)


async def _run(url: str, trips: int) -> None:
    async with node(url) as replica:
        session = await replica.session()
        jobs = [await replica.lease(await replica.create(), session) for _ in range(_IN_FLIGHT)]
        await asyncio.gather(*(_trips(replica, job, range(_WARM_UP)) for job in jobs))
        await instructions.control(os.getpid(), "-i", "on")
        keys = range(_WARM_UP, _WARM_UP + trips // _IN_FLIGHT)
        await asyncio.gather(*(_trips(replica, job, keys) for job in jobs))
        await instructions.control(os.getpid(), "-i", "off")


def _count(trips: int) -> Counter[str]:
    """Instructions by library. Raises RuntimeError without valgrind, CalledProcessError if the run fails."""
    if why := instructions.missing():
        raise RuntimeError(why)
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "callgrind"
        words = [*instructions.command(file), "--separate-threads=no", sys.executable, "-m", __spec__.name]
        # Sets and dictionaries of texts are as full in each run.
        subprocess.run(
            [*words, "--counted", str(trips)], check=True, env={**os.environ, "PYTHONHASHSEED": "0"}
        )
        return own_cost(file.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.in_process", description=__doc__)
    parser.add_argument("--trips", type=int, default=512, help=f"a multiple of {_IN_FLIGHT}")
    parser.add_argument("--counted", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.counted:
        memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
        with tempfile.TemporaryDirectory(dir=memory) as place:
            url = f"sqlite+aiosqlite:///{place}/askback.db"
            upgrade(url)
            gc.collect()
            gc.freeze()
            gc.set_threshold(100_000, 50, 100)  # as the server (lifecycle.py)
            asyncio.run(_run(url, options.counted))
        return
    found = _count(options.trips)
    print(f"{sum(found.values()) / options.trips / 1000:9,.0f} thousand instructions a trip, of which")
    for library, count in found.most_common(6):
        print(f"{count / options.trips / 1000:9,.0f} {library}")


if __name__ == "__main__":
    main()
