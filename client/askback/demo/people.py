"""Who answers in the demo: a person at the terminal, or a script where there is none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Protocol

from askback.console import Console
from askback.console_prompt import ConsolePrompt
from askback.demo.narrator import Narrator
from askback.demo.story import Line
from askback.desk import Closing
from askback.errors import AnswerInvalid, PromptClosed, PromptStale
from askback.prompts import AnswerOutcome
from askback.terminal.sheet import write_sheet
from askback.terminal.terminal import Terminal
from askback.terminal.verdicts import refused, taken
from askback.terminal.wizard import Draft, settle
from askback.terminal.words import now


class Person(Protocol):
    """Somebody at the console."""

    async def answer(self, prompt: ConsolePrompt) -> None:
        """Answer it, or leave it open if it is none that the job waits for."""


class Scripted:
    """Says what the story says."""

    def __init__(self, narrator: Narrator, answers: Mapping[str, Sequence[Line]]) -> None:
        self._narrator = narrator
        self._answers = answers

    async def answer(self, prompt: ConsolePrompt) -> None:
        """Answer by the prompt's key; what is refused is answered again with the next line."""
        if prompt.key not in self._answers:
            self._narrator.say("person", f"leaves {prompt.title!r} open")
            return
        for line in self._answers[prompt.key]:
            try:
                outcome = await prompt.decide(
                    line.decision, values=line.values, edits=line.edits, comment=line.comment
                )
            except AnswerInvalid as error:
                what = "; ".join(f"{v.field}: {v.description}" for v in error.violations)
                self._narrator.say("person", f"says {_spoken(line)} and is refused: {what}")
            else:
                self._narrator.say("person", f"says {_spoken(line)}: {outcome.status}")
                return


class AtTerminal:
    """Asks the person who started the demo. Ctrl-C ends it, or the end of the input."""

    def __init__(self, narrator: Narrator, desk: Console) -> None:
        self._narrator = narrator
        self._desk = desk
        self._terminal = Terminal(narrator.paper)

    async def answer(self, prompt: ConsolePrompt) -> None:
        """Show the prompt and ask, until an answer is taken or the prompt is another than was shown."""
        while prompt.still_open:
            try:
                with self._narrator.listening():
                    write_sheet(self._narrator.paper, prompt, now())
                    outcome = await self._before_it_ends(prompt)
            except (PromptClosed, PromptStale) as error:
                self._narrator.say("person", refused(error, now()))
                return
            if outcome is not None:
                self._narrator.say("person", taken(outcome))
                return
            if not prompt.proto.content.blocking:
                self._narrator.say("person", f"leaves {prompt.title!r} open")
                return
            if prompt.still_open:
                self._narrator.say("demo", "the job cannot go on without an answer; Ctrl-C ends the demo")

    async def _before_it_ends(self, prompt: ConsolePrompt) -> AnswerOutcome | None:
        """What became of the person's answer; None if they leave it, or the prompt ends while they type."""
        ended = asyncio.Event()
        sent = False

        async def send(draft: Draft) -> AnswerOutcome:
            nonlocal sent
            sent = True
            return await prompt.decide(
                draft.decision, values=draft.object, edits=draft.edits, comment=draft.comment
            )

        def closed(closing: Closing) -> None:
            if closing.prompt_id == prompt.prompt_id:
                ended.set()

        stop = self._desk.on_closed(closed)
        asking = asyncio.create_task(settle(prompt, self._terminal, send))
        ending = asyncio.create_task(ended.wait())
        try:
            await asyncio.wait((asking, ending), return_when=asyncio.FIRST_COMPLETED)
            # An answer under way closes the prompt too: its own result says how that went.
            return await asking if asking.done() or sent else None
        finally:
            stop()
            for task in (asking, ending):
                task.cancel()
            await asyncio.gather(asking, ending, return_exceptions=True)


def _spoken(line: Line) -> str:
    """An answer in words."""
    parts: list[str] = [line.decision]
    if line.values is not None:
        parts.append(json.dumps(line.values))
    if line.edits is not None:
        parts.append(f"with new {', '.join(line.edits)}")
    if line.comment:
        parts.append(f"({line.comment!r})")
    return " ".join(parts)
