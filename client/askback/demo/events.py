"""Narrates the events of the demo's job for a newcomer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from askback._client.run import Run
from askback._model.jobs import Event
from askback.demo.narrator import Narrator

_ENDS: Final = {"JOB_COMPLETED": "is done", "JOB_FAILED": "has failed", "JOB_CANCELLED": "is cancelled"}
_CLOSES: Final = ("PROMPT_CANCELLED", "PROMPT_SUPERSEDED", "PROMPT_EXPIRED")


class JobEvents:
    """Follows the job and narrates its events, except those that the console shows."""

    def __init__(self, narrator: Narrator, run: Run) -> None:
        self._narrator = narrator
        self._run = run
        self._titles: dict[str, str] = {}
        self._asked = asyncio.Condition()
        self._held: list[tuple[str, str]] | None = None

    async def tell(self) -> None:
        """Narrate each event until the job ends. The watch survives the restart of the server."""
        async for event in self._run.watch():
            if event.type == "PROMPT_ASKED":
                async with self._asked:
                    self._titles[event.prompt_id] = event.message
                    self._asked.notify_all()
            line = self._line(event)
            if line is not None and self._held is not None:
                self._held.append(line)
            elif line is not None:
                self._narrator.say(*line)

    async def wait_for_prompt(self, prompt_id: str) -> None:
        """Wait until all events before this question have been narrated."""
        async with self._asked:
            await self._asked.wait_for(lambda: prompt_id in self._titles)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold back events while a person answers a question, and narrate them afterwards."""
        self._held = []
        try:
            yield
        finally:
            held, self._held = self._held, None
            for line in held:
                self._narrator.say(*line)

    def _line(self, event: Event) -> tuple[str, str] | None:
        """The actor and the action; None for events that are not narrated."""
        if event.type == "JOB_LEASED":
            return "worker", "takes the job"
        if event.type == "JOB_PROGRESSED":
            return "job", f"{event.done} of {event.total}: {event.message}"
        if event.type in _CLOSES:
            return "job", f"closes the question: {self._titles[event.prompt_id]}"
        if event.type in _ENDS:
            return "job", _ENDS[event.type]
        return None
