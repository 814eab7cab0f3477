"""Answers the prompts of a live console."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Awaitable, Callable
from typing import Any

from askback._console.console_prompt import ConsolePrompt
from askback._model.answers import values_decision
from askback._model.enums import AnswerStatus, DecisionKind
from askback._model.prompts import AnswerOutcome, PromptInfo
from askback.errors import AskbackError
from askback.terminal import words
from askback.terminal.assignments import parse_assignments
from askback.terminal.draft import Draft, SavedInput
from askback.terminal.keys import Action, in_lines, menu, rule_menu, verb_of
from askback.terminal.pages import show_prompt
from askback.terminal.prompt_dialogue import PromptChanged, PromptDialogue
from askback.terminal.prompt_form import form_of
from askback.terminal.prompt_list import Ended, PromptList, Row
from askback.terminal.prompt_work import report_change
from askback.terminal.rule_maker import may_make_rules
from askback.terminal.short_questions import confirm_unseen
from askback.terminal.terminal import PersonTerminal
from askback.terminal.verdicts import accepted_words
from askback.terminal.vote_words import exclusion_error, find_vote, votes_to_follow
from askback.terminal.votes import ask_for_agreement, draft_like
from askback.terminal.wizard import (
    CARRIES_VALUES,
    NotAnswered,
    ask_for_answer,
    console_sender,
    override_sender,
)


class PromptAnswerer:
    """Lets a person answer one prompt at a time (`working`); `claimed` has the ids of claimed prompts."""

    def __init__(
        self,
        prompts: PromptList,
        terminal: PersonTerminal,
        errors: list[AskbackError | LookupError | ValueError],
    ) -> None:
        self._prompts = prompts
        self._terminal = terminal
        self._errors = errors
        self._saved: dict[tuple[str, str], SavedInput] = {}
        self.working: Row[ConsolePrompt] | None = None
        self.claimed: set[str] = set()

    async def answer(self, row: Row[ConsolePrompt], given: str) -> NotAnswered | None:
        """Ask for the whole answer; or, for `given` words such as `field=value`, send these values. Raises
        PermissionDenied if the prompt excludes the person."""
        self._check_exclusion(row)
        if not given:
            return await self._ask_for_answer(row)
        values = parse_assignments(row.prompt, shlex.split(given))
        decision = values_decision(row.prompt)

        async def send(dialogue: PromptDialogue) -> AnswerOutcome | NotAnswered:
            if not row.has_shown(row.prompt):
                await show_prompt(self._terminal, row, dialogue)
                return await settle_values(dialogue)
            return await self._send_decision(row, dialogue, decision, values, "")

        async def settle_values(dialogue: PromptDialogue) -> AnswerOutcome | NotAnswered:
            saved = self._input_for(row)
            saved.root["values"] = values
            return await ask_for_answer(
                row.prompt,
                dialogue,
                console_sender(row.prompt),
                decision=decision,
                saved=saved,
                unseen=row.unseen,
                person=self._terminal.person,
            )

        return await self._run_dialogue(row, send)

    async def decide(
        self, row: Row[ConsolePrompt], decision: DecisionKind, comment: str, *, named: bool
    ) -> NotAnswered | None:
        """Decide at once if the person has `named` the prompt and read it; else ask them to confirm. Raises
        PermissionDenied if the prompt excludes the person."""
        self._check_exclusion(row)
        offered = [option.decision for option in row.prompt.decisions]
        if decision not in offered:
            raise ValueError(
                f"{row.number} offers {', '.join(map(verb_of, offered))}; use `answer {row.number}`"
            )
        form = decision in CARRIES_VALUES and form_of(row.prompt) is not None
        asks = decision is DecisionKind.EDIT or (form and self._terminal.has_keys)
        if named and row.has_shown(row.prompt) and not asks:
            return await self._run_dialogue(
                row, lambda dialogue: self._send_decision(row, dialogue, decision, None, comment)
            )
        return await self._ask_for_answer(row, decision, comment)

    def _check_exclusion(self, row: Row[ConsolePrompt]) -> None:
        if (error := exclusion_error(row.prompt, self._terminal.person)) is not None:
            raise error

    async def agree(self, row: Row[ConsolePrompt], name: str) -> None:
        """Vote like the person with this name, at once if that vote has been read; else ask. Raises
        LookupError, and PermissionDenied if the prompt excludes the person."""
        self._check_exclusion(row)
        votes = votes_to_follow(row.prompt, self._terminal.person)
        if name:
            votes = [find_vote(row.prompt, name)]
        elif not votes:
            raise LookupError(f"no other person has voted on {row.number}")

        async def follow(dialogue: PromptDialogue) -> AnswerOutcome | NotAnswered:
            if name and row.has_shown_vote(votes[0]):
                draft: Draft | None = draft_like(votes[0], self._input_for(row).comment)
            else:
                if not row.has_shown(row.prompt):
                    await show_prompt(self._terminal, row, dialogue)
                draft = await ask_for_agreement(dialogue, row.prompt, votes, self._input_for(row).comment)
            if draft is None or not await confirm_unseen(dialogue, row.unseen):
                return NotAnswered(Action.QUIT)
            return await console_sender(row.prompt)(draft)

        await self._run_dialogue(row, follow)

    async def withdraw(self, row: Row[ConsolePrompt]) -> None:
        """Withdraw the person's vote. Raises LookupError if there is none."""
        person = self._terminal.person
        if person is None:
            raise LookupError("the server did not say who you are; use `askback inbox withdraw`")
        await row.prompt.withdraw(find_vote(row.prompt, person.subject).answer_id)
        self._terminal.writer.line(f"your vote on {row.number} is withdrawn", "good")

    async def override(self, row: Row[ConsolePrompt]) -> None:
        """Ask an admin for a reason and a decision, and decide whatever exclusion and approval say."""
        prompt = row.prompt

        async def ask(dialogue: PromptDialogue) -> AnswerOutcome | NotAnswered:
            if not row.has_shown(prompt):
                await show_prompt(self._terminal, row, dialogue)
            dialogue.writer.line(
                "! You override the rules of this prompt; it is marked for the audit.", "warning"
            )
            reason = ""
            while not reason:
                reason = (await dialogue.ask("Why? ")).strip()
            return await ask_for_answer(
                prompt, dialogue, override_sender(prompt), comment=reason, unseen=row.unseen
            )

        await self._run_dialogue(row, ask)

    async def toggle_claim(self, row: Row[ConsolePrompt]) -> None:
        """Claim a prompt, or release the claim of this console."""
        prompt_id = row.prompt.prompt_id
        if prompt_id in self.claimed:
            await row.prompt.release()
            self.claimed.discard(prompt_id)
            self._terminal.notice("it is not yours any more")
            return
        await row.prompt.claim()
        self.claimed.add(prompt_id)
        self._terminal.notice("it is yours, for 10 minutes or until you leave", "good")

    def take_comment(self, row: Row[ConsolePrompt], text: str) -> None:
        """Save a comment for the next decision about this prompt."""
        self._input_for(row).comment = text

    def write_menu(self, row: Row[ConsolePrompt]) -> None:
        """Write the keys that decide about this prompt."""
        person = self._terminal.person
        deciding, _ = menu(row.prompt, fillable=form_of(row.prompt) is not None, person=person)
        self._terminal.writer.line()
        more = rule_menu(row.prompt, person, len(self._prompts.similar_rows(row)))
        for line in in_lines([*deciding, *more, "? help"], self._terminal.columns):
            self._terminal.writer.line(line, "title")

    async def _ask_for_answer(
        self, row: Row[ConsolePrompt], decision: DecisionKind | None = None, comment: str = ""
    ) -> NotAnswered | None:
        prompt = row.prompt

        async def fill_in(dialogue: PromptDialogue) -> AnswerOutcome | NotAnswered:
            if not row.has_shown(prompt):
                await show_prompt(self._terminal, row, dialogue)
            return await ask_for_answer(
                prompt,
                dialogue,
                console_sender(prompt),
                decision=decision,
                comment=comment or None,
                saved=self._input_for(row),
                unseen=row.unseen,
                person=self._terminal.person,
            )

        return await self._run_dialogue(row, fill_in)

    async def _send_decision(
        self,
        row: Row[ConsolePrompt],
        dialogue: PromptDialogue,
        decision: DecisionKind,
        values: Any,
        comment: str,
    ) -> AnswerOutcome | NotAnswered:
        """Send one decision about a prompt that the person has read."""
        prompt, comment = row.prompt, comment or self._input_for(row).comment
        option = next((o for o in prompt.decisions if o.decision is decision), None)
        if decision in CARRIES_VALUES and not await confirm_unseen(dialogue, row.unseen):
            return NotAnswered(Action.QUIT)
        while option and option.comment_required and not comment:
            comment = (await dialogue.ask("Comment: ")).strip()
        dialogue.check()
        return await prompt.decide(decision, values=values, comment=comment)

    def _input_for(self, row: Row[Any]) -> SavedInput:
        """The saved input for this prompt's key, so that it is offered again when the job asks again."""
        prompt: PromptInfo = row.prompt
        return self._saved.setdefault((prompt.job_id, prompt.key), SavedInput())

    async def _run_dialogue(
        self,
        row: Row[ConsolePrompt],
        work: Callable[[PromptDialogue], Awaitable[AnswerOutcome | NotAnswered]],
    ) -> NotAnswered | None:
        """Let the person work on one prompt and write the result, or return what they want instead."""
        self._prompts.current = self.working = row
        try:
            outcome = await work(PromptDialogue(self._terminal, row))
        except PromptChanged:
            await self._report_change(row)
            return None
        except EOFError:
            outcome = NotAnswered(Action.QUIT)
        finally:
            self.working = None
        if isinstance(outcome, NotAnswered):
            if outcome.action is not Action.SKIP:
                self._terminal.writer.line(f"{row.number} is left as it is", "quiet")
            return outcome
        self.settle(row)
        self._terminal.writer.line(accepted_words(outcome), "good")
        if outcome.status is AnswerStatus.ACCEPTED and may_make_rules(self._terminal.person):
            self._terminal.writer.line("  always so? `!` makes a rule of it", "quiet")
        return None

    def settle(self, row: Row[ConsolePrompt]) -> None:
        """Forget the claim and the saved input of a prompt that the person has answered."""
        self.claimed.discard(row.prompt.prompt_id)
        self._saved.pop((row.prompt.job_id, row.prompt.key), None)

    async def release_all(self) -> None:
        """Release every claim; claims that the server does not hear about expire."""
        prompts = [row.prompt for row in self._prompts.open_rows() if row.prompt.prompt_id in self.claimed]
        await asyncio.gather(*(prompt.release() for prompt in prompts), return_exceptions=True)

    async def _report_change(self, row: Row[ConsolePrompt]) -> None:
        """Say that the prompt has changed or ended during the dialogue; nothing that was typed is sent."""
        how = f"{row.number} {row.status_words(words.now())}"
        self._errors.append(Ended(how))
        await report_change(self._terminal, f"{how}: {row.prompt.title}", row.prompt, self._input_for(row))
        if row.closing is None:
            self._terminal.writer.line(f"  `answer {row.number}` offers it again", "quiet")
