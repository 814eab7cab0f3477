"""Start a release and follow it to its end: `python start_release.py VERSION CHANGE...`"""

from __future__ import annotations

import asyncio
import sys

from askback import Client


async def main(version: str, changes: list[str]) -> None:
    """Print each of the job's events, then its result."""
    async with Client(user="ci") as client:
        # The same request_id gives the same job: running this program twice releases once.
        run = await client.start(
            "release",
            {"version": version, "changes": changes},
            request_id=f"release-{version}",
            labels={"version": version},
        )
        print(f"job {run.job_id}")
        async for event in run.watch():
            print(f"{event.seq:>3}  {event.state:<13} {event.type:<17} {event.message}".rstrip())
        print(await run.result())


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
