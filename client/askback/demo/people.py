"""Who answers in the demo: a person at the terminal, or a script where there is none."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from askback.console_prompt import ConsolePrompt
from askback.demo.narrator import Narrator
from askback.demo.story import Line
from askback.enums import DecisionKind
from askback.errors import AnswerInvalid, PromptClosed, PromptStale
from askback.terminal.board import Row
from askback.terminal.pages import show_prompt
from askback.terminal.terminal import Terminal
from askback.terminal.verdicts import field_of, refused, taken
from askback.terminal.wizard import Left, by_console, settle
from askback.terminal.words import now

_DOES: Final = {
    DecisionKind.ACCEPT: "approves",
    DecisionKind.EDIT: "edits",
    DecisionKind.RESPOND: "answers",
    DecisionKind.REVISE: "asks for changes",
    DecisionKind.REJECT: "rejects",
    DecisionKind.DISMISS: "dismisses",
}


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
                what = "; ".join(f"{field_of(v.field)}: {v.description}" for v in error.violations)
                self._narrator.say("person", f"{_spoken(line)} and is refused: {what}")
            else:
                self._narrator.say("person", f"{_spoken(line)}. {taken(outcome)}")
                return


class AtTerminal:
    """Asks the person who started the demo. Ctrl-C ends it, or the end of the input."""

    def __init__(self, narrator: Narrator) -> None:
        self._narrator = narrator
        self._terminal = Terminal(narrator.paper)

    async def answer(self, prompt: ConsolePrompt) -> None:
        """Show the prompt and ask, until an answer is taken or comes too late."""
        while True:
            try:
                with self._narrator.listening():
                    row = Row(1, prompt)
                    await show_prompt(self._terminal, row)
                    outcome = await settle(prompt, self._terminal, by_console(prompt), unseen=row.unseen)
            except (PromptClosed, PromptStale) as error:
                self._narrator.say("person", refused(error, now()))
                return
            if not isinstance(outcome, Left):
                self._narrator.say("person", taken(outcome))
                return
            if not prompt.blocking:
                self._narrator.say("person", f"leaves {prompt.title!r} open")
                return
            self._narrator.say("demo", "the job cannot go on without an answer; Ctrl-C ends the demo")


def _spoken(line: Line) -> str:
    """What the person does, in words: `approves ('checked the ledger')`."""
    parts = [_DOES.get(line.decision, line.decision)]
    if line.values is not None:
        parts.append(json.dumps(line.values))
    if line.edits is not None:
        parts.append(f"the {', '.join(line.edits)}")
    if line.comment:
        parts.append(f"({line.comment!r})")
    return " ".join(parts)
