"""Answers a prompt with a person: decision, form field by field, edits, comment; again what is refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from askback.console_prompt import ConsolePrompt
from askback.enums import DecisionKind
from askback.errors import AnswerInvalid, PromptClaimed, Violation
from askback.prompts import AnswerOutcome, Content, Option, PromptInfo
from askback.terminal.asking import NO_UNLESS_YES, YES_OR_NO, pick, unseen_is_meant
from askback.terminal.draft import Draft, Typed, write_draft, write_value
from askback.terminal.fields import NOTHING, Choice, Field, Group, Kind, entries
from askback.terminal.reading import fits, read, shown
from askback.terminal.sheet import write_field
from askback.terminal.terminal import Dialogue, dotted
from askback.terminal.verdicts import refused, tell
from askback.terminal.words import now

CARRIES_VALUES = frozenset({DecisionKind.ACCEPT, DecisionKind.EDIT, DecisionKind.RESPOND})
LEAVE = "leave it for now"
_SEND = {"y": "send", "yes": "send", "n": "change", "no": "change", "q": "quit", "quit": "quit"}
_KEEP = {"y": "keep", "yes": "keep", "e": "edit", "edit": "edit", "n": "drop", "no": "drop"}


Send = Callable[[Draft], Awaitable[AnswerOutcome]]


def by_console(prompt: ConsolePrompt) -> Send:
    """What sends a draft on a console's own stream."""

    async def send(draft: Draft) -> AnswerOutcome:
        return await prompt.decide(
            draft.decision, values=draft.object, edits=draft.edits, comment=draft.comment
        )

    return send


async def settle(
    prompt: PromptInfo,
    dialogue: Dialogue,
    send: Send,
    *,
    decision: DecisionKind | None = None,
    comment: str | None = None,
    typed: Typed | None = None,
    unseen: Sequence[str] = (),
) -> AnswerOutcome | None:
    """Ask until an answer is taken; None if the person leaves the prompt alone.

    What is given is not asked for. `typed` is offered again and holds what is typed now, `unseen` is what
    the person was not shown. An answer that the server refuses field by field is mended: only those
    fields are asked again. Raises EOFError at the end of the input, and what `send` raises.
    """
    wizard = Wizard(prompt, dialogue, typed, unseen)
    draft = await wizard.draft(decision=decision, comment=comment)
    while draft is not None:
        try:
            return await send(draft)
        except AnswerInvalid as error:
            tell(dialogue.paper, error, now())
            draft = await wizard.mend(draft, error.violations)
        except PromptClaimed as error:
            dialogue.paper.line(f"! {refused(error, now())}. What you typed is kept:", "warning")
            write_draft(dialogue.paper, prompt, draft)
            if not await pick(dialogue, "Try again? [y/n] ", YES_OR_NO):
                raise
    return None


class Wizard:
    """Asks for one answer to one prompt as it was shown."""

    def __init__(
        self,
        prompt: PromptInfo,
        dialogue: Dialogue,
        typed: Typed | None = None,
        unseen: Sequence[str] = (),
    ) -> None:
        self._prompt = prompt
        self._dialogue = dialogue
        self._typed = typed or Typed()
        self._unseen = unseen
        self._form = entries(prompt)
        self._kept = self._typed.decision if self._typed.values else None
        self._refused: dict[tuple[str, ...], Any] = {}

    async def draft(
        self, *, decision: DecisionKind | None = None, comment: str | None = None
    ) -> Draft | None:
        """Ask for everything, show it, and ask whether to send it. None: leave the prompt alone."""
        while True:
            chosen = decision or self._kept or await self._decision()
            self._kept = None
            if chosen is None:
                return None
            self._typed.decision = chosen if chosen is DecisionKind.RESPOND else None
            if chosen in CARRIES_VALUES and not await unseen_is_meant(self._dialogue, self._unseen):
                return None
            draft = Draft(chosen)
            if chosen in CARRIES_VALUES and self._form:
                draft = replace(draft, values=await self._values())
            if chosen is DecisionKind.EDIT:
                draft = replace(draft, edits=await self._edits())
            said = comment if comment is not None else await self._comment(chosen)
            draft = replace(draft, comment=said)
            write_draft(self._dialogue.paper, self._prompt, draft)
            match await pick(self._dialogue, "Send it? [y]es, [n]o: change it, [q]uit: ", _SEND):
                case "send":
                    return draft
                case "quit":
                    return None

    async def mend(self, draft: Draft, violations: Sequence[Violation]) -> Draft | None:
        """Ask again for what was refused; for everything where that cannot be told. None: leave it."""
        wrong = [fault.field for fault in violations]
        paths = {tuple(_tokens(path)) for path in wrong if path.startswith("values_json/")}
        known = {path for path in paths if self._at(path)}
        fixable = bool(known) or "comment" in wrong or any(path.startswith("edits") for path in wrong)
        if not fixable or known != paths or "values_json" in wrong or "decision" in wrong:
            self._typed.values.clear()
            return await self.draft()
        if known:
            values = dict(draft.values or {})
            for entry in [entry for path in known for entry in self._at(path)]:
                self._typed.values.pop(entry.path, None)
                if (was := values.pop(entry.path, NOTHING)) is not NOTHING:
                    self._refused[entry.path] = was
                await self._field(entry, values)
            draft = replace(draft, values=values)
        if any(path.startswith("edits") for path in wrong):
            draft = replace(draft, edits=await self._edits())
        if "comment" in wrong:
            draft = replace(draft, comment=await self._comment(draft.decision, required=True))
        return draft

    def _at(self, path: tuple[str, ...]) -> list[Field]:
        """The fields that a refused path speaks of: the one it is in, or all of its group."""
        for entry in self._form:
            if isinstance(entry, Group) and path == entry.path:
                return list(entry.fields)
            for item in entry.fields if isinstance(entry, Group) else (entry,):
                if path[: len(item.path)] == item.path:
                    return [item]
        return []

    async def _decision(self) -> DecisionKind | None:
        options = self._prompt.decisions
        choices = [Choice(option.decision, option.label or option.decision) for option in options]
        menu = Field(
            path=("decision",),
            kind=Kind.SINGLE,
            title="Your decision",
            required=True,
            choices=(*choices, Choice(LEAVE)),
        )
        answer: dict[tuple[str, ...], Any] = {}
        await self._ask_field(menu, answer, NOTHING)
        chosen = answer[menu.path]
        return None if chosen == LEAVE else chosen

    async def _values(self) -> dict[tuple[str, ...], Any]:
        values: dict[tuple[str, ...], Any] = {}
        for number, entry in enumerate(self._form, 1):
            place = f"{number}/{len(self._form)} "
            if isinstance(entry, Field):
                await self._field(entry, values, place)
                continue
            self._dialogue.paper.line(f"{place}{entry.title}", "title")
            self._dialogue.paper.block(entry.help, "quiet", "     | ")
            if not entry.required and not await pick(
                self._dialogue, "     Fill it in? [y/N] ", NO_UNLESS_YES
            ):
                continue
            for item in entry.fields:
                await self._field(item, values)
            if entry.required and not entry.fields:
                values[entry.path] = {}
        return values

    async def _field(self, item: Field, values: dict[tuple[str, ...], Any], place: str = "") -> None:
        """Ask for one field of the form, and keep what was typed."""
        preset = self._typed.values.get(item.path, item.default)
        if preset is not NOTHING and (
            not fits(item, preset) or preset == self._refused.get(item.path, NOTHING)
        ):
            preset = NOTHING  # offered once more, it would be refused once more
        await self._ask_field(item, values, preset, place)
        if item.path in values:
            self._typed.values[item.path] = values[item.path]
        else:
            self._typed.values.pop(item.path, None)

    async def _ask_field(
        self, item: Field, values: dict[tuple[str, ...], Any], preset: Any, place: str = ""
    ) -> None:
        """Ask for one field until what is typed fits, and put it into the values."""
        paper = self._dialogue.paper
        self._dialogue.start_question()
        write_field(paper, item, place)
        question = "     > "
        if preset is not NOTHING:
            clear = "" if item.required else ", - for none"
            offered = shown(item, preset)
            if _brief(offered) != offered:
                write_value(paper, "     Enter takes", offered)
            question = f"     [Enter: {_brief(offered)}{clear}]> "
        elif not item.required:
            question = "     [Enter: none]> "
        while True:
            text = await self._dialogue.ask(question)
            if not text.strip():
                if preset is not NOTHING:
                    values[item.path] = preset
                    return
                if not item.required:
                    return
                if item.nullable:
                    values[item.path] = None
                    return
                paper.line("     ! must be given", "warning")
                continue
            if text.strip() == "-" and preset is not NOTHING and not item.required:
                return
            if item.multiline:
                text = text + "\n" + await dotted(self._dialogue)
            try:
                values[item.path] = "" if item.kind is Kind.TEXT and text == '""' else read(item, text)
                return
            except ValueError as error:
                paper.line(f"     ! {error}", "warning")

    async def _edits(self) -> dict[str, str]:
        edits: dict[str, str] = {}
        for content in self._prompt.contents:
            if not content.editable:
                continue
            text = await self._edited(content)
            if text is None:
                continue
            if text == content.text:
                self._dialogue.paper.line("unchanged", "quiet")
                continue
            edits[content.content_id] = text
            self._typed.edits[content.content_id] = (content.text, text)
        return edits

    async def _edited(self, content: Content) -> str | None:
        """The content's new text; None if it stays."""
        name = content.title or content.content_id
        before, text = self._typed.edits.pop(content.content_id, (content.text, content.text))
        if text != content.text:
            if before != content.text:
                self._dialogue.paper.line(f"! {name!r} is not the text any more that you edited", "warning")
            match await pick(self._dialogue, f"Keep your {name!r}? [y]es, [e]dit it, [n]o: ", _KEEP):
                case "keep":
                    return text
                case "drop":
                    return None
        elif not await pick(self._dialogue, f"Edit {name!r}? [y/n] ", YES_OR_NO):
            return None
        try:
            return await self._dialogue.rewrite(text, content.media_type)
        except OSError as error:
            self._dialogue.paper.line(f"! {error}", "warning")
            return None

    async def _comment(self, decision: DecisionKind, *, required: bool = False) -> str:
        option = next((o for o in self._prompt.decisions if o.decision is decision), Option(decision))
        required = required or option.comment_required
        kept = self._typed.comment
        hint = "" if required else " (Enter for none)"
        if kept:
            hint = f" [Enter: {_brief(kept)}{'' if required else ', - for none'}]"
        while True:
            text = (await self._dialogue.ask(f"Comment{hint}: ")).strip() or kept
            if text == "-" and kept and not required:
                text = ""
            if text or not required:
                self._typed.comment = text
                return text
            self._dialogue.paper.line("! a comment must be given with this decision", "warning")


def _tokens(path: str) -> list[str]:
    """The names of a JSON pointer below `values_json`."""
    return [token.replace("~1", "/").replace("~0", "~") for token in path.split("/")[1:]]


def _brief(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 60 else flat[:59] + "…"
