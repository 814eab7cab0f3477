"""The prompts of a live console, answered: what is typed for one, and what becomes of it."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable
from typing import Any

from askback._console.console_prompt import ConsolePrompt
from askback._model.answers import giving_values
from askback._model.enums import DecisionKind
from askback._model.prompts import AnswerOutcome, PromptInfo
from askback.errors import AskbackError
from askback.terminal import words
from askback.terminal.asking import unseen_is_meant
from askback.terminal.board import Board, Ended, Row
from askback.terminal.draft import Typed
from askback.terminal.fields import entries
from askback.terminal.following import tell_moved
from askback.terminal.guard import Guarded, Moved
from askback.terminal.keys import Action, in_lines, menu, verb_of
from askback.terminal.pages import show_prompt
from askback.terminal.terminal import Terminal
from askback.terminal.typed import typed_values
from askback.terminal.verdicts import taken
from askback.terminal.wizard import CARRIES_VALUES, Left, by_console, settle


class Answering:
    """Works on one prompt at a time. `working` is that one, `claimed` holds the ids of those taken on."""

    def __init__(
        self, board: Board, terminal: Terminal, errors: list[AskbackError | LookupError | ValueError]
    ) -> None:
        self._board = board
        self._terminal = terminal
        self._errors = errors
        self._typed: dict[tuple[str, str], Typed] = {}
        self.working: Row[ConsolePrompt] | None = None
        self.claimed: set[str] = set()

    async def answer(self, row: Row[ConsolePrompt], given: str) -> Left | None:
        """Ask for the whole answer, or send the values that are `given` as `field=value …`."""
        if not given:
            return await self._settle_row(row)
        values = typed_values(row.prompt, shlex.split(given))
        decision = giving_values(row.prompt)

        async def send(guarded: Guarded) -> AnswerOutcome | Left:
            if row.seen != row.prompt.revision:
                await show_prompt(self._terminal, row, guarded)
                return await settle_values(guarded)
            return await self._once(row, guarded, decision, values, "")

        async def settle_values(guarded: Guarded) -> AnswerOutcome | Left:
            typed = self._typed_for(row)
            typed.box["values"] = values
            return await settle(
                row.prompt, guarded, by_console(row.prompt), decision=decision, typed=typed, unseen=row.unseen
            )

        return await self._work(row, send)

    async def decide(
        self, row: Row[ConsolePrompt], decision: DecisionKind, comment: str, *, named: bool
    ) -> Left | None:
        """One decision. A prompt that was `named` and read is decided at once; else the person confirms."""
        offered = [option.decision for option in row.prompt.decisions]
        if decision not in offered:
            raise ValueError(
                f"{row.number} offers {', '.join(map(verb_of, offered))}; use `answer {row.number}`"
            )
        form = decision in CARRIES_VALUES and bool(entries(row.prompt))
        asks = decision is DecisionKind.EDIT or (form and self._terminal.has_keys)
        if named and row.seen == row.prompt.revision and not asks:
            return await self._work(row, lambda guarded: self._once(row, guarded, decision, None, comment))
        return await self._settle_row(row, decision, comment)

    def take_comment(self, row: Row[ConsolePrompt], text: str) -> None:
        """Keep a comment for the next decision about this prompt."""
        self._typed_for(row).comment = text

    def write_menu(self, row: Row[ConsolePrompt]) -> None:
        """Write the keys that decide about this prompt."""
        deciding, _ = menu(row.prompt, fillable=bool(entries(row.prompt)))
        self._terminal.paper.line()
        for line in in_lines([*deciding, "? help"], self._terminal.columns):
            self._terminal.paper.line(line, "title")

    async def _settle_row(
        self, row: Row[ConsolePrompt], decision: DecisionKind | None = None, comment: str = ""
    ) -> Left | None:
        prompt = row.prompt

        async def fill_in(guarded: Guarded) -> AnswerOutcome | Left:
            if row.seen != prompt.revision:
                await show_prompt(self._terminal, row, guarded)
            return await settle(
                prompt,
                guarded,
                by_console(prompt),
                decision=decision,
                comment=comment or None,
                typed=self._typed_for(row),
                unseen=row.unseen,
            )

        return await self._work(row, fill_in)

    async def _once(
        self, row: Row[ConsolePrompt], guarded: Guarded, decision: DecisionKind, values: Any, comment: str
    ) -> AnswerOutcome | Left:
        """One decision about a prompt that the person has read."""
        prompt, comment = row.prompt, comment or self._typed_for(row).comment
        option = next((o for o in prompt.decisions if o.decision is decision), None)
        if decision in CARRIES_VALUES and not await unseen_is_meant(guarded, row.unseen):
            return Left(Action.QUIT)
        while option and option.comment_required and not comment:
            comment = (await guarded.ask("Comment: ")).strip()
        guarded.check()
        return await prompt.decide(decision, values=values, comment=comment)

    def _typed_for(self, row: Row[Any]) -> Typed:
        """What was typed for this question, under its key: offered again when it is asked again."""
        prompt: PromptInfo = row.prompt
        return self._typed.setdefault((prompt.job_id, prompt.key), Typed())

    async def _work(
        self, row: Row[ConsolePrompt], work: Callable[[Guarded], Awaitable[AnswerOutcome | Left]]
    ) -> Left | None:
        """Let the person work on one prompt, and tell what became of it; what they want instead."""
        self._board.current = self.working = row
        try:
            outcome = await work(Guarded(self._terminal, row))
        except Moved:
            await self._tell_moved(row)
            return None
        except EOFError:
            outcome = Left(Action.QUIT)
        finally:
            self.working = None
        if isinstance(outcome, Left):
            if outcome.action is not Action.SKIP:
                self._terminal.paper.line(f"{row.number} is left as it is", "quiet")
            return outcome
        self.claimed.discard(row.prompt.prompt_id)
        self._typed.pop((row.prompt.job_id, row.prompt.key), None)
        self._terminal.paper.line(taken(outcome), "good")
        return None

    async def _tell_moved(self, row: Row[ConsolePrompt]) -> None:
        """Say what happened under the person's hands, and let nothing that was typed go on from here."""
        how = f"{row.number} {row.epitaph(words.now())}"
        self._errors.append(Ended(how))
        await tell_moved(self._terminal, f"{how}: {row.prompt.title}", row.prompt, self._typed_for(row))
        if row.closing is None:
            self._terminal.paper.line(f"  `answer {row.number}` offers it again", "quiet")
