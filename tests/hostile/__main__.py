"""Long runs: `python -m tests.hostile authorisation --attempts N`, `... fuzz --minutes M`,
`... flood --streams N`.

Each prints its seed, which repeats the same attempts with the same options. Exits with status 1 and the
list of violations, if any.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path

from askback_server.storage.migrate import upgrade
from tests.hostile import flood, fuzz
from tests.hostile.authorisation import search
from tests.hostile.secret_store import token_file
from tests.support.service import serving


async def _run_seed(options: argparse.Namespace, seed: int, url: str, auth: str) -> list[str]:
    async with serving(url, auth=auth) as world:
        if options.what == "authorisation":
            return await search(world, options.attempts, seed)
        until = time.monotonic() + 60 * options.minutes
        number = 0
        while True:
            report = await fuzz.run(world, 2_000, seed + number)
            number += 1
            print(f"{2_000 * number} attempts; slowest call of the victim {report.slowest:.2f} s", flush=True)
            if report.slowest > options.patience:
                report.wrong.append(f"the victim waited {report.slowest:.1f} s")
            if report.wrong or time.monotonic() > until:
                print(*(f"{count:6d} {name}" for name, count in sorted(report.outcomes.items())), sep="\n")
                return report.wrong


def main() -> None:
    """Run the attempts and print violations."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description="Hostile callers.")
    parser.add_argument("what", choices=["authorisation", "fuzz", "flood"])
    parser.add_argument("--attempts", type=int, default=10_000, help="number of random calls")
    parser.add_argument("--minutes", type=float, default=3.0, help="minutes to fuzz")
    parser.add_argument(
        "--patience", type=float, default=3.0, help="maximum seconds that the victim may wait"
    )
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--streams", type=int, default=1_000, help="number of hostile streams")
    parser.add_argument("--seconds", type=float, default=30.0, help="seconds of each kind of flood")
    parser.add_argument("--kinds", nargs="+", choices=flood.KINDS, default=flood.KINDS, help="kinds of flood")
    options = parser.parse_args()
    if options.what == "flood":
        wrong = asyncio.run(flood.report(options.kinds, options.streams, options.seconds))
        sys.exit("\n".join(wrong) or None)
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite+aiosqlite:///{folder}/askback.db"
        upgrade(url)
        wrong = asyncio.run(_run_seed(options, options.seed, url, str(token_file(Path(folder)))))
    if wrong:
        sys.exit("\n".join(wrong[:50]))
    print("nothing went wrong")


if __name__ == "__main__":
    main()
