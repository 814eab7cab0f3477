"""Answers a prompt with a person: decision, form field by field, edits, comment; again what is refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from askback.console_prompt import ConsolePrompt
from askback.enums import DecisionKind
from askback.errors import AnswerInvalid, Violation
from askback.prompts import AnswerOutcome, Option, PromptInfo
from askback.terminal.fields import NOTHING, Choice, Field, Group, Kind, entries
from askback.terminal.reading import nested, read, shown
from askback.terminal.sheet import write_field
from askback.terminal.terminal import Dialogue, dotted
from askback.terminal.verdicts import tell
from askback.terminal.words import now

CARRIES_VALUES = frozenset({DecisionKind.ACCEPT, DecisionKind.EDIT, DecisionKind.RESPOND})
LEAVE = "leave it for now"
_YES = ("", "y", "yes")


@dataclass(frozen=True, slots=True)
class Draft:
    """An answer before it is sent. `values` are by path; None: no form was asked."""

    decision: DecisionKind
    values: dict[tuple[str, ...], Any] | None = None
    edits: dict[str, str] = field(default_factory=dict)
    comment: str = ""

    @property
    def object(self) -> dict[str, Any] | None:
        """The values as they are sent."""
        return None if self.values is None else nested(self.values)


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
) -> AnswerOutcome | None:
    """Ask until an answer is taken; None if the person leaves the prompt alone.

    What is given is not asked for. An answer that the server refuses field by field is mended: only
    those fields are asked again. Raises EOFError at the end of the input, and what `send` raises.
    """
    wizard = Wizard(prompt, dialogue)
    draft = await wizard.draft(decision=decision, comment=comment)
    while draft is not None:
        try:
            return await send(draft)
        except AnswerInvalid as error:
            tell(dialogue.paper, error, now())
            draft = await wizard.mend(draft, error.violations)
    return None


class Wizard:
    """Asks for one answer to one prompt as it was shown."""

    def __init__(self, prompt: PromptInfo, dialogue: Dialogue) -> None:
        self._prompt = prompt
        self._dialogue = dialogue
        self._form = entries(prompt)

    async def draft(
        self, *, decision: DecisionKind | None = None, comment: str | None = None
    ) -> Draft | None:
        """Ask for everything, show it, and ask whether to send it. None: leave the prompt alone."""
        given: dict[tuple[str, ...], Any] = {}
        while True:
            chosen = decision or await self._decision()
            if chosen is None:
                return None
            draft = Draft(chosen)
            if chosen in CARRIES_VALUES and self._form:
                draft = replace(draft, values=await self._values(given))
                given = dict(draft.values or {})
            if chosen is DecisionKind.EDIT:
                draft = replace(draft, edits=await self._edits())
            said = comment if comment is not None else await self._comment(chosen)
            draft = replace(draft, comment=said)
            self._review(draft)
            reply = (await self._dialogue.ask("Send it? [Y]es, [n]o: once more, [q]uit: ")).strip().lower()
            if reply in _YES:
                return draft
            if reply in ("q", "quit"):
                return None

    async def mend(self, draft: Draft, violations: Sequence[Violation]) -> Draft | None:
        """Ask again for what was refused; for everything where that cannot be told. None: leave it."""
        wrong = [fault.field for fault in violations]
        paths = {tuple(_tokens(path)) for path in wrong if path.startswith("values_json/")}
        known = {path for path in paths if self._at(path)}
        fixable = bool(known) or "comment" in wrong or any(path.startswith("edits") for path in wrong)
        if not fixable or known != paths or "values_json" in wrong or "decision" in wrong:
            return await self.draft()
        if known:
            values = dict(draft.values or {})
            for entry in [entry for path in known for entry in self._at(path)]:
                values.pop(entry.path, None)
                await self._field(entry, values, NOTHING)
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
        await self._field(menu, answer, NOTHING)
        chosen = answer[menu.path]
        return None if chosen == LEAVE else chosen

    async def _values(self, given: dict[tuple[str, ...], Any]) -> dict[tuple[str, ...], Any]:
        values: dict[tuple[str, ...], Any] = {}
        for number, entry in enumerate(self._form, 1):
            place = f"{number}/{len(self._form)} "
            if isinstance(entry, Field):
                await self._field(entry, values, given.get(entry.path, NOTHING), place)
                continue
            self._dialogue.paper.line(f"{place}{entry.title}", "title")
            self._dialogue.paper.block(entry.help, "quiet", "     | ")
            if not entry.required:
                reply = (await self._dialogue.ask("     Fill it in? [y/N] ")).strip().lower()
                if reply not in _YES[1:]:
                    continue
            for item in entry.fields:
                await self._field(item, values, given.get(item.path, NOTHING))
            if entry.required and not entry.fields:
                values[entry.path] = {}
        return values

    async def _field(
        self, item: Field, values: dict[tuple[str, ...], Any], given: Any, place: str = ""
    ) -> None:
        """Ask for one field until what is typed fits, and put it into the values."""
        preset = item.default if given is NOTHING else given
        write_field(self._dialogue.paper, item, place)
        question = "     > "
        if preset is not NOTHING:
            clear = "" if item.required else ", - for none"
            question = f"     [Enter: {_brief(shown(item, preset))}{clear}]> "
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
                self._dialogue.paper.line("     ! must be given", "warning")
                continue
            if text.strip() == "-" and preset is not NOTHING and not item.required:
                return
            if item.multiline:
                text = text + "\n" + await dotted(self._dialogue)
            try:
                values[item.path] = "" if item.kind is Kind.TEXT and text == '""' else read(item, text)
                return
            except ValueError as error:
                self._dialogue.paper.line(f"     ! {error}", "warning")

    async def _edits(self) -> dict[str, str]:
        edits: dict[str, str] = {}
        for content in self._prompt.contents:
            if not content.editable:
                continue
            name = content.title or content.content_id
            reply = (await self._dialogue.ask(f"Edit {name!r}? [Y/n] ")).strip().lower()
            if reply not in _YES:
                continue
            try:
                text = await self._dialogue.rewrite(content.text, content.media_type)
            except OSError as error:
                self._dialogue.paper.line(f"! {error}", "warning")
                continue
            if text == content.text:
                self._dialogue.paper.line("unchanged", "quiet")
            else:
                edits[content.content_id] = text
        return edits

    async def _comment(self, decision: DecisionKind, *, required: bool = False) -> str:
        option = next((o for o in self._prompt.decisions if o.decision is decision), Option(decision))
        required = required or option.comment_required
        while True:
            hint = "" if required else " (Enter for none)"
            if (text := (await self._dialogue.ask(f"Comment{hint}: ")).strip()) or not required:
                return text
            self._dialogue.paper.line("! a comment must be given with this decision", "warning")

    def _review(self, draft: Draft) -> None:
        paper = self._dialogue.paper
        label = next((o.label for o in self._prompt.decisions if o.decision is draft.decision), "")
        paper.line(f"{label or draft.decision} ({draft.decision})", "title")
        for entry in self._form:
            for item in entry.fields if isinstance(entry, Group) else (entry,):
                if draft.values is not None and item.path in draft.values:
                    paper.line(f"  {item.title}: {_brief(shown(item, draft.values[item.path]))}")
        for content_id, text in draft.edits.items():
            paper.line(f"  {content_id}: {len(text.splitlines())} new lines")
        if draft.comment:
            paper.line(f"  comment: {draft.comment}")


def _tokens(path: str) -> list[str]:
    """The names of a JSON pointer below `values_json`."""
    return [token.replace("~1", "/").replace("~0", "~") for token in path.split("/")[1:]]


def _brief(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 60 else flat[:59] + "…"
