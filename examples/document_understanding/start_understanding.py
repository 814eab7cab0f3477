"""Clarify a document: `python start_understanding.py FILE`. The clear text is written beside it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from askback import Client


async def understand(document: str) -> dict[str, Any]:
    """Start the job, follow it, and return its result."""
    async with Client(user="author") as client:
        run = await client.start("understand", {"document": document})
        print(f"job {run.job_id}")
        async for event in run.watch():
            if event.type == "UNDERSTANDING_UPDATED":
                known = await client.understanding(run.job_id)
                print(f"    readiness {known.readiness_score:.0%}, {len(known.answers)} rounds answered")
            else:
                print(f"{event.seq:>3}  {event.state:<13} {event.type:<17} {event.message}".rstrip())
        outcome: dict[str, Any] = await run.result()
        return outcome


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    path = Path(sys.argv[1])
    outcome = asyncio.run(understand(path.read_text()))
    clear = path.with_suffix(".clear.md")
    clear.write_text(outcome["text"])
    print(f"accepted: {outcome['accepted']}, readiness {outcome['score']:.0%}, written to {clear}")
