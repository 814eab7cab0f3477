"""Workers, consoles and a client in one process, for short runs: `python -m tests.faults.crowd`."""

from __future__ import annotations

import asyncio
import json
import sys

from tests.faults.client import Office
from tests.faults.console import Person
from tests.faults.people import Program
from tests.faults.worker import Hand


def main() -> None:
    """The orders of a client. `--cast` has a list of programs' arguments, with their `role`."""
    cast = json.loads(sys.argv[1])
    programs = [(given.pop("role"), Program(**given)) for given in cast]
    first = programs[0][1]
    office_program = next(p for role, p in programs if role == "client")

    async def live() -> None:
        hands = [Hand(p) for role, p in programs if role == "worker"]
        people = [Person(p) for role, p in programs if role == "console"]
        office = Office(office_program)
        await asyncio.gather(*(h.start() for h in hands), *(p.sit_down() for p in people), office.open())
        first.tell(ready=True)
        await office.obey(lambda **facts: first.tell(**facts))
        await asyncio.gather(*(h.leave() for h in hands), *(p.leave() for p in people))

    for _, program in programs[1:]:
        program.counts = first.counts
        program._orders = first._orders
    first.run(live)


if __name__ == "__main__":
    main()
