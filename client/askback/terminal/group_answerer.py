"""Lets a person decide several prompts at once: those that they name, or similar ones."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from askback._console.console import Console
from askback._console.console_prompt import ConsolePrompt
from askback._model.answers import negative_decision
from askback._model.enums import AnswerStatus, DecisionKind
from askback._model.prompts import PromptInfo
from askback._wire.batch import BatchResult
from askback.errors import AskbackError, PromptClosed, PromptStale
from askback.terminal import words
from askback.terminal.keys import verb_of
from askback.terminal.prompt_answerer import PromptAnswerer
from askback.terminal.prompt_form import form_of
from askback.terminal.prompt_list import PromptList, Row
from askback.terminal.short_questions import NO_UNLESS_YES, confirm_unseen, pick
from askback.terminal.terminal import PersonTerminal
from askback.terminal.together import send_together
from askback.terminal.verdicts import decision_result, write_refusal
from askback.terminal.vote_words import exclusion_error
from askback.terminal.wizard import CARRIES_VALUES
from askback.v1 import hitl_service_pb2 as pb

Which = Callable[[PromptInfo], DecisionKind]
_ALONE: Final = (DecisionKind.EDIT, DecisionKind.RESPOND)
"""Decisions that differ from prompt to prompt."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A prompt as the person was shown it: what is decided, whatever has become of its row."""

    row: Row[ConsolePrompt]
    prompt: PromptInfo

    @property
    def unseen(self) -> list[str]:
        """The parts of it that were not shown, in words."""
        if self.row.has_shown(self.prompt):
            return [f"{self.row.number}: {what}" for what in self.row.unseen]
        more = self.prompt.body or self.prompt.proto.content.contents
        return [f"{self.row.number}: all but its title"] if more else []


class GroupAnswerer:
    """Shows prompts, asks once, and sends one decision about exactly what was shown.

    A prompt that arrives meanwhile is not among them. The server refuses the decision on one that has changed
    or ended, and the person is told which. `show` shows a prompt that was not read; None: only its title is
    shown here, because the screen shows one prompt at a time.
    """

    def __init__(
        self,
        console: Console,
        prompts: PromptList,
        terminal: PersonTerminal,
        answerer: PromptAnswerer,
        errors: list[AskbackError | LookupError | ValueError],
        show: Callable[[Row[ConsolePrompt]], Awaitable[None]] | None = None,
    ) -> None:
        self._console = console
        self._prompts = prompts
        self._terminal = terminal
        self._writer = terminal.writer
        self._answerer = answerer
        self._errors = errors
        self._show_prompt = show

    async def decide_similar(self, row: Row[ConsolePrompt]) -> None:
        """Show the open prompts with the group key of this one, and ask what is decided on all of them.

        Raises LookupError if there is no other one, EOFError.
        """
        rows = self._prompts.similar_rows(row)
        if len(rows) < 2:
            raise LookupError(f"no other open prompt is similar to {row.number}")
        shown = await self._show(rows)
        answers: dict[str, Which | None] = {
            **dict.fromkeys(("a", "approve"), lambda prompt: DecisionKind.ACCEPT),
            **dict.fromkeys(("r", "reject"), negative_decision),
            **dict.fromkeys(("q", "quit"), None),
        }
        question = f"Decide all {len(rows)}: a approve, r reject, q leave them: "
        which = await pick(self._terminal, question, answers)
        if which is None:
            self._writer.line("they are left as they are", "quiet")
            return
        comment = ""
        if which is negative_decision:
            comment = (await self._terminal.ask("Reason, the same for each: ")).strip()
        await self._decide(shown, which, comment, confirm=True)

    async def decide(self, rows: Sequence[Row[ConsolePrompt]], which: Which, comment: str) -> None:
        """Decide these prompts: at once if the person has read them; else show them and ask. Raises
        ValueError if none of them can be decided so, EOFError."""
        read = all(row.has_shown(row.prompt) for row in rows)
        await self._decide(await self._show(rows), which, comment, confirm=not read)

    async def _show(self, rows: Sequence[Row[ConsolePrompt]]) -> list[Shown]:
        shown: list[Shown] = []
        for row in rows:
            prompt: PromptInfo = row.prompt
            if self._show_prompt is not None and not row.has_shown(prompt):
                await self._show_prompt(row)
                prompt = row.seen or prompt  # as shown: it may have changed since
            shown.append(Shown(row, prompt))
        keys = {prompt.group_key for prompt in (one.prompt for one in shown)}
        alike = f" ({keys.pop()})" if len(keys) == 1 and "" not in keys else ""
        self._writer.line(f"{len(shown)} prompts{alike}:", "title")
        for one in shown:
            self._writer.line(f"{one.row.number:>4}  [{one.prompt.kind}] {one.prompt.title}")
        return shown

    async def _decide(self, shown: Sequence[Shown], which: Which, comment: str, *, confirm: bool) -> None:
        fitting: list[tuple[Shown, DecisionKind]] = []
        for one in shown:
            if why := self._misfit(one.prompt, which(one.prompt)):
                self._writer.line(f"{one.row.number} is left out: {why}", "warning")
            else:
                fitting.append((one, which(one.prompt)))
        if not fitting:
            raise ValueError("none of them can be decided together with others")
        while not comment and any(_needs_comment(one.prompt, decision) for one, decision in fitting):
            comment = (await self._terminal.ask("Comment, the same for each: ")).strip()
        unseen = [what for one, decision in fitting if decision in CARRIES_VALUES for what in one.unseen]
        verb = verb_of(fitting[0][1]).capitalize()
        if not await confirm_unseen(self._terminal, unseen) or (
            confirm
            and not await pick(self._terminal, f"{verb} {_count(len(fitting))}? [y/N] ", NO_UNLESS_YES)
        ):
            self._writer.line("they are left as they are", "quiet")
            return
        results = await send_together(self._console, ((one.prompt, how) for one, how in fitting), comment)
        failed = [
            one.row
            for one, decision in fitting
            if not await self._report(one, decision, results[one.prompt.prompt_id])
        ]
        if failed:
            numbers = ", ".join(str(row.number) for row in failed)
            self._writer.line(f"{len(failed)} of {len(fitting)} not decided by this: {numbers}", "warning")
            self._prompts.current = next((row for row in failed if row.closing is None), failed[0])

    def _misfit(self, prompt: PromptInfo, decision: DecisionKind) -> str:
        """Why this prompt cannot have this decision together with others; empty if it can."""
        if decision in _ALONE:
            return f"to {verb_of(decision)} it, answer it by itself"
        offered = [option.decision for option in prompt.decisions]
        if decision not in offered:
            return f"it offers {', '.join(map(verb_of, offered))}"
        if decision in CARRIES_VALUES and form_of(prompt) is not None:
            return "it asks for values; answer it by itself"
        excluded = exclusion_error(prompt, self._terminal.person)
        return excluded.message if excluded is not None else ""

    async def _report(self, one: Shown, decision: DecisionKind, result: BatchResult | AskbackError) -> bool:
        """Write the verdict on one prompt. Return whether the answer was accepted."""
        number = f"{one.row.number:>4}  "
        error = result if isinstance(result, AskbackError) else result.error
        if error is None:
            assert isinstance(result, BatchResult)
            recorded = result.status is AnswerStatus.RECORDED
            what = "Recorded: your vote on" if recorded else f"{decision_result(decision)}:"
            self._writer.line(f"{number}{what} {one.prompt.title}", "good")
            self._answerer.settle(one.row)
            return True
        if isinstance(error, PromptClosed | PromptStale):
            await self._add_prompt(one, error)
        self._errors.append(error)
        self._writer.line(f"{number}{one.prompt.title}", "error")
        write_refusal(self._writer, error, words.now())
        return False

    async def _add_prompt(self, one: Shown, error: PromptClosed | PromptStale) -> None:
        """Read the prompt as it is now, which the results of a batch leave out."""
        request = pb.GetPromptRequest(prompt_id=one.prompt.prompt_id)
        try:
            reply: pb.GetPromptResponse = await self._console.request(get_prompt=request)
        except AskbackError:
            return
        error.prompt = PromptInfo(reply.prompt)


def _needs_comment(prompt: PromptInfo, decision: DecisionKind) -> bool:
    return any(option.comment_required for option in prompt.decisions if option.decision is decision)


def _count(number: int) -> str:
    return f"these {number}" if number > 1 else "this one"
