"""The demo prints lines about its job in order and not in the middle of a question."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from askback import Event
from askback._model.enums import JobState
from askback.demo.events import JobEvents


class Said:
    """A narrator that records its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, who: str, what: str) -> None:
        self.lines.append(f"{who} {what}")


class Watched:
    """A run whose events the test supplies."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[Event] = asyncio.Queue()

    def give(self, kind: str, prompt_id: str = "", **data: Any) -> None:
        self.events.put_nowait(Event("job", 1, kind, JobState.RUNNING, "", None, prompt_id, data))

    async def watch(self) -> AsyncIterator[Event]:
        while True:
            yield await self.events.get()


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_question_waits_for_earlier_lines_and_delays_later_ones() -> None:
    said, run = Said(), Watched()
    events = JobEvents(said, run)  # type: ignore[arg-type]
    telling = asyncio.create_task(events.tell())
    told = asyncio.create_task(events.wait_for_prompt("p"))
    run.give("JOB_LEASED")
    await turns()
    assert not told.done(), "the question has not been asked yet, as far as the watch knows"
    run.give("PROMPT_ASKED", "p", title="Go?")
    await turns()
    assert told.done()
    with events.hold():
        run.give("CHECKPOINT_SAVED")
        run.give("PROMPT_CANCELLED", "p")
        await turns()
        assert said.lines == ["worker takes the job"]
    assert said.lines[1:] == ["job closes the question: Go?"]
    telling.cancel()
    await asyncio.gather(telling, return_exceptions=True)
