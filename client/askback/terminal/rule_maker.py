"""Makes the rule "always so for this" of an answered prompt at a live console, and deletes it again."""

from __future__ import annotations

from askback._client.rule_calls import Rules
from askback._console.console_prompt import ConsolePrompt
from askback._model.identity import Identity
from askback._model.rule_specs import RuleSpec
from askback._model.rules import Rule, RuleState, RuleSuggestion
from askback._text.spans import day_words
from askback.errors import InvalidArgument
from askback.terminal.prompt_list import Row
from askback.terminal.rule_words import condition_words, effect_words
from askback.terminal.short_questions import NO_UNLESS_YES, pick
from askback.terminal.terminal import PersonTerminal
from askback.terminal.words import now
from askback.v1 import rule_pb2


def may_make_rules(person: Identity | None) -> bool:
    """Whether a person is known to have the role that rules need."""
    return person is not None and person.has("policy")


class RuleMaker:
    """Shows what the server drafts of one answer, asks why, and creates the rule.

    It never creates one without a reason that the person has typed.
    """

    def __init__(self, rules: Rules | None, terminal: PersonTerminal) -> None:
        self._rules = rules
        self._terminal = terminal
        self._writer = terminal.writer
        self._made: dict[str, Rule] = {}
        """The rules made at this console, by the id of the prompt."""

    async def always(self, row: Row[ConsolePrompt]) -> None:
        """Draft and create the rule for a prompt; if that was done at this console, delete it. Raises
        LookupError if none can be made, EOFError, and the server's errors."""
        person = self._terminal.person
        if self._rules is None or (person is not None and not may_make_rules(person)):
            raise LookupError("you may not make rules: that needs the role policy")
        if (made := self._made.get(row.prompt.prompt_id)) is not None:
            await self._delete(self._rules, row, made)
            return
        draft = await self._draft(self._rules, row)
        # The server says what it would make of it: until when, and whether a second person must accept it.
        would_be = await self._rules.create(draft.spec, validate_only=True)
        self._show(draft, would_be)
        reason = (await self._terminal.ask("Why always so? (Enter: make no rule) ")).strip()
        if not reason:
            self._writer.line("no rule was made", "quiet")
            return
        spec = rule_pb2.RuleSpec()
        spec.CopyFrom(draft.spec.proto)
        spec.reason, spec.max_uses = reason, await self._ask_for_uses()
        made = await self._rules.create(RuleSpec(spec))
        self._made[row.prompt.prompt_id] = made
        self._report(made)

    async def _draft(self, rules: Rules, row: Row[ConsolePrompt]) -> RuleSuggestion:
        try:
            drafts = await rules.suggest(row.prompt.prompt_id)
        except InvalidArgument as error:
            why = "; ".join(each.description for each in error.violations) or error.message
            why = why.replace("names a prompt", "is a prompt", 1)
            raise LookupError(f"no rule can be made of {row.number}: it {why}") from None
        if not drafts:
            raise LookupError(f"no rule can be made of {row.number}")
        return drafts[0]

    def _show(self, draft: RuleSuggestion, would_be: Rule) -> None:
        spec, said = draft.spec, would_be.spec or would_be.proposed
        ends = said.expires_at if said is not None else None
        people = f" ({', '.join(draft.users)})" if draft.users else ""
        others = f", {draft.exceptions} otherwise" if draft.exceptions else ""
        opened = f"; {draft.open_prompts} open, which it leaves to people" if draft.open_prompts else ""
        person = self._terminal.person
        name = f"{person.subject}: " if person is not None else ""
        self._writer.line("A rule for questions like this one", "title")
        for what, value in [
            ("when", condition_words(spec)),
            ("then", effect_words(spec)),
            ("covers", f"{draft.support} decided so{people}{others}{opened}"),
            ("in whose name", f"{name}yours, and only what you could answer alone"),
            ("until", day_words(ends, now()) if ends is not None else ""),
            ("approval", "a second person must accept it" * (would_be.state is RuleState.PROPOSED)),
        ]:
            if value:
                self._writer.wrap(f"  {what:<15}{value}", "", " " * 17)

    async def _ask_for_uses(self) -> int:
        """How many prompts it may decide; 0 for no limit."""
        while True:
            word = (await self._terminal.ask("How often at most? (Enter: no limit) ")).strip()
            if not word or (word.isascii() and word.isdecimal() and int(word) > 0):
                return int(word or 0)
            self._writer.wrap("! type a number from 1, or nothing", "warning", "  ")

    def _report(self, rule: Rule) -> None:
        said = rule.spec or rule.proposed
        until = said.expires_at if said is not None else None
        when = f", until {day_words(until, now())}" if until is not None else ""
        if rule.state is RuleState.PROPOSED:
            text = f"rule {rule.rule_id} waits for a second person"
        else:
            text = f"rule {rule.rule_id} answers such questions from now on{when}"
        self._writer.wrap(text, "good", "  ")
        self._writer.wrap(f"  to undo: `!` again, or askback rules delete {rule.rule_id}", "quiet", "  ")

    async def _delete(self, rules: Rules, row: Row[ConsolePrompt], rule: Rule) -> None:
        if await pick(self._terminal, f"Delete the rule made of {row.number}? [y/N] ", NO_UNLESS_YES):
            await rules.delete(rule)
            del self._made[row.prompt.prompt_id]
            self._writer.line(f"rule {rule.rule_id} is deleted; what it has answered stays", "good")
