"""Workers, consoles and a client in one process, for short runs: `python -m tests.faults.shared_process`."""

from __future__ import annotations

import asyncio
import json
import sys

from tests.faults.client import JobClient
from tests.faults.console import ConsoleUser
from tests.faults.program import Program
from tests.faults.worker import RawWorker


def main() -> None:
    """Run until the order to leave. The argument is a JSON list of Program arguments, each with a `role`."""
    config = json.loads(sys.argv[1])
    programs = [(given.pop("role"), Program(**given)) for given in config]
    first = programs[0][1]
    client_program = next(p for role, p in programs if role == "client")

    async def live() -> None:
        workers = [RawWorker(p) for role, p in programs if role == "worker"]
        users = [ConsoleUser(p) for role, p in programs if role == "console"]
        client = JobClient(client_program)
        await asyncio.gather(*(w.start() for w in workers), *(u.start() for u in users), client.open())
        first.report(ready=True)
        await client.follow_orders(lambda **facts: first.report(**facts))
        await asyncio.gather(*(w.leave() for w in workers), *(u.leave() for u in users))

    for _, program in programs[1:]:
        program.counts = first.counts
        program._orders = first._orders
    first.run(live)


if __name__ == "__main__":
    main()
