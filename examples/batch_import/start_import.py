"""Import a customer file: `python start_import.py FILE`"""

from __future__ import annotations

import asyncio
import hashlib
import sys
from pathlib import Path

from askback import Client


async def main(text: str) -> None:
    """Start the job, and print its progress until it has ended."""
    async with Client(user="sales") as client:
        # The same file gives the same job: starting it twice imports it once.
        digest = hashlib.sha256(text.encode()).hexdigest()
        run = await client.start("import", {"csv": text}, request_id=f"import-{digest}")
        print(f"job {run.job_id}")
        async for event in run.watch():
            if event.type == "JOB_PROGRESSED":
                print(f"{event.done:>4}/{event.total} {event.message}")
            elif event.type in ("PROMPT_ASKED", "PROMPT_ANSWERED", "PROMPT_EXPIRED"):
                print(f"        {event.type.lower()} {event.message}")
        print(await run.result())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    asyncio.run(main(Path(sys.argv[1]).read_text()))
