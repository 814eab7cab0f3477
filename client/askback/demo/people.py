"""The person of the demo: someone at the terminal, or a script if there is no terminal."""

from __future__ import annotations

from typing import Final, Protocol

from askback._console.console_prompt import ConsolePrompt
from askback._model.enums import DecisionKind
from askback._model.form import VALUE
from askback.demo.narrator import Narrator
from askback.demo.story import Line, Story
from askback.errors import AnswerInvalid, PromptClosed, PromptStale
from askback.terminal.pages import show_prompt
from askback.terminal.prompt_list import Row
from askback.terminal.terminal import Terminal
from askback.terminal.verdicts import accepted_words, field_of, refusal_words
from askback.terminal.wizard import NotAnswered, ask_for_answer, console_sender
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
    """A person at the console."""

    async def answer(self, prompt: ConsolePrompt) -> None:
        """Answer the prompt. A prompt that does not block its job may be left open."""


class Scripted:
    """Gives the answers of the story."""

    def __init__(self, narrator: Narrator, story: Story) -> None:
        self._narrator = narrator
        self._name = story.user
        self._answers = story.answers

    async def answer(self, prompt: ConsolePrompt) -> None:
        """Answer by the prompt's key; after a refusal try the next answer of the script."""
        if prompt.key not in self._answers:
            self._narrator.say(self._name, f"leaves it open: {prompt.title}")
            return
        for line in self._answers[prompt.key]:
            self._narrator.say(self._name, _describe(line))
            try:
                outcome = await prompt.decide(
                    line.decision, values=line.values, edits=line.edits, comment=line.comment
                )
            except AnswerInvalid as error:
                what = "; ".join(f"{field_of(v.field)}: {v.description}" for v in error.violations)
                self._narrator.say("console", f"refuses it: {what}")
            else:
                self._narrator.say("console", accepted_words(outcome))
                return


class AtTerminal:
    """Asks the person who started the demo. Ctrl-C or the end of the input ends the demo."""

    def __init__(self, narrator: Narrator, name: str) -> None:
        self._narrator = narrator
        self._name = name
        self._terminal = Terminal(narrator.writer)

    async def answer(self, prompt: ConsolePrompt) -> None:
        """Show the prompt and ask, until an answer is accepted or comes too late."""
        while True:
            try:
                with self._narrator.listening():
                    row = Row(1, prompt)
                    await show_prompt(self._terminal, row)
                    outcome = await ask_for_answer(
                        prompt, self._terminal, console_sender(prompt), unseen=row.unseen
                    )
            except (PromptClosed, PromptStale) as error:
                self._narrator.say("console", refusal_words(error, now()))
                return
            if not isinstance(outcome, NotAnswered):
                self._narrator.say("console", accepted_words(outcome))
                return
            if not prompt.blocking:
                self._narrator.say(self._name, f"leaves it open: {prompt.title}")
                return
            self._narrator.say("demo", "the job cannot go on without an answer; Ctrl-C ends the demo")


def _describe(line: Line) -> str:
    """Describe the person's answer in words: `approves: checked the ledger`."""
    values = line.values or {}
    parts = [
        _format(value) if set(values) == {VALUE} else f"{name} = {_format(value)}"
        for name, value in values.items()
    ]
    if line.edits is not None:
        parts.append(f"the {', '.join(line.edits)}")
    if line.comment:
        parts.append(line.comment)
    does = _DOES.get(line.decision, str(line.decision))
    return f"{does}: {', '.join(parts)}" if parts else does


def _format(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
