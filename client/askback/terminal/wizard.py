"""Guides a person to an answer: one key decides, a form is filled in, refused fields are asked again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from askback._console.console_prompt import ConsolePrompt
from askback._model.answers import values_decision
from askback._model.enums import DecisionKind
from askback._model.identity import Identity
from askback._model.options import Option
from askback._model.prompts import AnswerOutcome, PromptInfo
from askback._model.violations import place_in_values
from askback.errors import AnswerInvalid, PromptClaimed, Violation
from askback.terminal.draft import Draft, SavedInput, write_draft, write_value
from askback.terminal.editing import edit_contents
from askback.terminal.form_filler import FormFiller
from askback.terminal.keys import (
    KEYS,
    VOTE_KEYS,
    Action,
    actions,
    decision_of,
    help_lines,
    in_lines,
    menu,
    name_of,
)
from askback.terminal.prompt_form import form_of
from askback.terminal.short_questions import NO_UNLESS_YES, YES_OR_NO, confirm_unseen, pick
from askback.terminal.terminal import Dialogue
from askback.terminal.verdicts import refusal_words, write_refusal
from askback.terminal.vote_words import votes_to_follow
from askback.terminal.votes import ask_for_agreement
from askback.terminal.words import now

CARRIES_VALUES = frozenset({DecisionKind.ACCEPT, DecisionKind.EDIT, DecisionKind.RESPOND})
_SEND: Final = {
    "y": "send",
    "yes": "send",
    "n": "change",
    "no": "change",
    "c": "comment",
    "comment": "comment",
    "q": "quit",
    "quit": "quit",
}
_COMMENT_LABELS: Final = {
    DecisionKind.REJECT: "Reason",
    DecisionKind.REVISE: "What should change?",
    DecisionKind.RESPOND: "Your answer",
}
"""The label of a decision's comment, where it is not `Comment`."""

Send = Callable[[Draft], Awaitable[AnswerOutcome]]


@dataclass(frozen=True, slots=True)
class NotAnswered:
    """The person leaves the prompt without an answer: `action` says what they want, `text` what to search."""

    action: Action
    text: str = ""


def console_sender(prompt: ConsolePrompt) -> Send:
    """A function that sends a draft on a console's stream."""

    async def send(draft: Draft) -> AnswerOutcome:
        return await prompt.decide(
            draft.decision, values=draft.values, edits=draft.edits, comment=draft.comment
        )

    return send


def override_sender(prompt: ConsolePrompt) -> Send:
    """A function that sends a draft on a console's stream as the override of an admin."""

    async def send(draft: Draft) -> AnswerOutcome:
        return await prompt.override(draft.decision, draft.comment, values=draft.values, edits=draft.edits)

    return send


async def ask_for_answer(
    prompt: PromptInfo,
    dialogue: Dialogue,
    send: Send,
    *,
    decision: DecisionKind | None = None,
    comment: str | None = None,
    saved: SavedInput | None = None,
    unseen: Sequence[str] = (),
    many: bool = False,
    person: Identity | None = None,
) -> AnswerOutcome | NotAnswered:
    """Ask until the server accepts an answer, or the person leaves the prompt.

    A `decision` or `comment` that is given is not asked for. `saved` is offered again and stores the input.
    `unseen` lists the parts of the prompt that the person was not shown. With `many` they can move to other
    prompts. `person` is who answers, if it is known. If the server refuses fields of an answer, only those
    are asked again. Raises EOFError at the end of the input, and what `send` raises.
    """
    wizard = Wizard(prompt, dialogue, saved, unseen, many=many, person=person)
    draft = await wizard.draft(decision=decision, comment=comment)
    while isinstance(draft, Draft):
        try:
            return await send(draft)
        except AnswerInvalid as error:
            write_refusal(dialogue.writer, error, now())
            draft = await wizard.correct(draft, error.violations)
        except PromptClaimed as error:
            dialogue.writer.wrap(f"! {refusal_words(error, now())}. What you typed is kept:", "warning", "  ")
            write_draft(dialogue.writer, prompt, draft)
            if not await pick(dialogue, "Try again? [y/n] ", YES_OR_NO):
                raise
    return draft


class Wizard:
    """Asks for one answer to the revision of a prompt that was shown."""

    def __init__(
        self,
        prompt: PromptInfo,
        dialogue: Dialogue,
        saved: SavedInput | None = None,
        unseen: Sequence[str] = (),
        *,
        many: bool = False,
        person: Identity | None = None,
    ) -> None:
        self._person = person
        self._prompt = prompt
        self._dialogue = dialogue
        self._saved = SavedInput() if saved is None else saved
        self._unseen = unseen
        self._many = many
        self._form = form_of(prompt)
        self._filler = FormFiller(self._form, dialogue, self._saved)
        self._saved_decision = self._saved.decision if self._saved.values else None

    async def draft(
        self, *, decision: DecisionKind | None = None, comment: str | None = None
    ) -> Draft | NotAnswered:
        """Ask for the parts that are not given, and whether to send the answer."""
        if comment is not None:
            self._saved.comment = comment
        while True:
            chosen = decision or self._saved_decision or await self._ask_decision()
            self._saved_decision = None
            if isinstance(chosen, NotAnswered | Draft):
                return chosen
            self._saved.decision = chosen if chosen is DecisionKind.RESPOND else None
            found = await self._draft_with(chosen)
            if found is not None:
                return found
            if decision is not None:
                return NotAnswered(Action.QUIT)

    async def _ask_decision(self) -> DecisionKind | Draft | NotAnswered:
        """Ask for a key until one decides or leaves the prompt; a Draft votes like another person."""
        writer, fillable = self._dialogue.writer, self._form is not None
        known = actions(self._prompt, fillable=fillable, many=self._many, person=self._person)
        while True:
            self._dialogue.start_question()
            deciding, others = menu(self._prompt, fillable=fillable, many=self._many, person=self._person)
            writer.line()
            for parts, style in ((deciding, "title"), (others, "quiet")):
                for text in in_lines(parts, self._dialogue.columns):
                    writer.line(text, style)
            line = (await self._dialogue.choose("Decide: ")).strip()
            if self._many and line.startswith("/"):
                return NotAnswered(Action.SEARCH, line[1:].strip())
            word, _, rest = line.partition(" ")
            action = known.get(line.casefold())
            if rest and known.get(word.casefold()) is Action.COMMENT and word.casefold() != rest.casefold():
                self._take_comment(rest.strip())
            elif action is Action.COMMENT:
                self._take_comment((await self._dialogue.ask("Comment: ")).strip())
            elif action is Action.HELP:
                shown = set(known.values())
                for text in help_lines(key for key in (*KEYS, *VOTE_KEYS) if key.action in shown):
                    writer.line(f"  {text}")
            elif action is Action.AGREE:
                if await confirm_unseen(self._dialogue, self._unseen):
                    votes = votes_to_follow(self._prompt, self._person)
                    agreed = await ask_for_agreement(self._dialogue, self._prompt, votes, self._saved.comment)
                    if agreed is not None:
                        return agreed
            elif action is Action.FILL:
                return values_decision(self._prompt)
            elif action is not None:
                return decision_of(action) or NotAnswered(action)
            else:
                writer.line(
                    f"! {line!r} is none of these keys" if line else "! type one of these keys", "warning"
                )

    def _take_comment(self, text: str) -> None:
        self._saved.comment = text
        self._dialogue.writer.line("  the next decision carries it" if text else "  no comment", "quiet")

    async def _draft_with(self, decision: DecisionKind) -> Draft | NotAnswered | None:
        """Ask for the rest of an answer with this decision; None if the person changes their mind."""
        if decision in CARRIES_VALUES and not await confirm_unseen(self._dialogue, self._unseen):
            return None
        draft, before = Draft(decision), self._saved.comment
        while True:
            if decision in CARRIES_VALUES and self._form is not None:
                draft = replace(draft, values=await self._filler.ask_all())
            if decision is DecisionKind.EDIT:
                draft = replace(draft, edits=await edit_contents(self._dialogue, self._prompt, self._saved))
                if not draft.edits and not draft.values:
                    self._dialogue.writer.line("nothing was changed", "quiet")
                    return None
            if not self._saved.comment and (self._needs_comment(decision) or decision is DecisionKind.REJECT):
                self._saved.comment = await self._ask_comment(
                    decision, required=self._needs_comment(decision)
                )
            draft = replace(draft, comment=self._saved.comment)
            if draft.values is None and not draft.edits and decision is not DecisionKind.RESPOND:
                return draft if await self._confirm(draft, asked=not before) else None
            write_draft(self._dialogue.writer, self._prompt, draft)
            sending = "Send it? [y]es, [n]o: change it, [c]omment, [q]uit: "
            while (what := await pick(self._dialogue, sending, _SEND)) == "comment":
                self._take_comment((await self._dialogue.ask("Comment: ")).strip())
                draft = replace(draft, comment=self._saved.comment)
            if what != "change":
                return draft if what == "send" else NotAnswered(Action.QUIT)
            if self._needs_comment(decision) and draft.values is None:
                self._saved.comment = ""

    async def _confirm(self, draft: Draft, *, asked: bool) -> bool:
        """Whether to send a decision without values. A comment that was just typed for it counts as a yes."""
        if asked and (self._needs_comment(draft.decision) or draft.decision is DecisionKind.REJECT):
            return True
        if draft.comment:
            write_value(self._dialogue.writer, "comment", draft.comment)
        option = self._option(draft.decision)
        name = name_of(draft.decision, option.label)
        question = f"{name[:1].upper()}{name[1:]}? [y/N] "
        return await pick(self._dialogue, question, NO_UNLESS_YES)

    def _option(self, decision: DecisionKind) -> Option:
        return next((o for o in self._prompt.decisions if o.decision is decision), Option(decision))

    def _needs_comment(self, decision: DecisionKind) -> bool:
        """Whether the decision requires a comment."""
        return self._option(decision).comment_required

    async def _ask_comment(self, decision: DecisionKind, *, required: bool) -> str:
        """Ask for the comment of a decision. Raises EOFError."""
        name = _COMMENT_LABELS.get(decision, "Comment")
        question = name if name.endswith("?") else f"{name}{'' if required else ' (Enter for none)'}:"
        while True:
            text = (await self._dialogue.ask(f"{question} ")).strip()
            if text or not required:
                return text
            self._dialogue.writer.line("! must be given with this decision", "warning")

    async def correct(self, draft: Draft, violations: Sequence[Violation]) -> Draft | NotAnswered:
        """Ask again for the refused fields; for everything if a violation names no field of the form."""
        wrong = [fault.field for fault in violations]
        paths = [place for path in wrong if (place := place_in_values(path))]
        known = [path for path in paths if self._filler.has_entry(path)]
        fixable = bool(known) or "comment" in wrong or any(path.startswith("edits") for path in wrong)
        if not fixable or known != paths or "values_json" in wrong or "decision" in wrong:
            return await self.draft()
        if known:
            await self._filler.ask_again(known)
            draft = replace(draft, values=self._filler.values())
        if any(path.startswith("edits") for path in wrong):
            draft = replace(draft, edits=await edit_contents(self._dialogue, self._prompt, self._saved))
        if "comment" in wrong:
            self._saved.comment = await self._ask_comment(draft.decision, required=True)
            draft = replace(draft, comment=self._saved.comment)
        return draft
