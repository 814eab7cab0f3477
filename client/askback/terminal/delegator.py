"""Lets a person pass a prompt of a live console on, give it back, and take it back."""

from __future__ import annotations

from askback._console.console_prompt import ConsolePrompt
from askback._model.delegations import Delegation
from askback._model.enums import DelegationCause
from askback.terminal.delegation_words import delegation_of, parse_target, target_words
from askback.terminal.prompt_list import Ended, Row
from askback.terminal.short_questions import NO_UNLESS_YES, YES_OR_NO, pick
from askback.terminal.terminal import PersonTerminal
from askback.terminal.words import now

Target = tuple[str, str]
"""A person and a group, one of them empty."""


class Delegator:
    """Delegates prompts and ends delegations, by words of a command or by questions.

    What a delegation says does not depend on the content of the prompt, so a change meanwhile is no reason to
    ask again; if the prompt has ended, the server says so.
    """

    def __init__(self, terminal: PersonTerminal) -> None:
        self._terminal = terminal
        self._writer = terminal.writer
        self._given: dict[str, Target] = {}
        """To whom a prompt was transferred last at this console, by its id."""
        self._leaving: set[str] = set()
        """The ids of prompts that are about to leave the view because they were transferred here."""

    async def delegate(self, row: Row[ConsolePrompt], words: str, *, add: bool = False) -> None:
        """Delegate to `NAME [comment]`; without words ask to whom. Raises ValueError for a wrong name,
        EOFError, and the server's errors."""
        name, _, comment = words.partition(" ")
        target = parse_target(name or await self._terminal.ask("To whom? (a name, or group:NAME) "))
        if not name:
            add = await pick(self._terminal, "Keep your right to answer too? [y/n] ", YES_OR_NO)
            comment = await self._terminal.ask("Comment (Enter for none): ")
        user, group = target
        prompt_id = row.prompt.prompt_id
        if not add:
            self._leaving.add(prompt_id)  # before the call: the prompt may leave the view before the reply
        try:
            await row.prompt.delegate(to=user, group=group, add=add, comment=comment.strip())
        except BaseException:
            self._leaving.discard(prompt_id)
            raise
        if not add:
            self._given[prompt_id] = target
        both = "; the first answer counts" if add else "; `return` takes it back"
        self._writer.line(f"{row.number} is delegated to {target_words(user, group)}{both}", "good")

    def take_leaving(self, row: Row[ConsolePrompt]) -> bool:
        """Whether the prompt leaves the view because it was transferred here: the person knows why. Only the
        first call for a transfer says so."""
        known = row.prompt.prompt_id in self._leaving
        self._leaving.discard(row.prompt.prompt_id)
        return known

    async def end(self, row: Row[ConsolePrompt], name: str, *, confirm: bool = False) -> None:
        """Take it back from `name`; without one give it back, or take back what the person has delegated.

        Raises LookupError if there is nothing to end, Ended for a prompt that has ended, ValueError,
        EOFError.
        """
        if row.closing is not None and row.closing.why != "removed":
            raise Ended(f"{row.number} {row.status_words(now())}")
        if name:
            await self._take_back(row, parse_target(name), confirm=confirm)
        elif (mine := self._received(row)) is not None:
            if not confirm or await self._is_sure(f"Give it back to {mine.giver}? [y/N] "):
                comment = (await self._terminal.ask("Comment (Enter for none): ")) if confirm else ""
                await row.prompt.give_back(comment.strip())
                self._writer.line(f"{row.number} is given back to {mine.giver}", "good")
        else:
            await self._take_back(row, await self._choose(row), confirm=confirm)

    def _received(self, row: Row[ConsolePrompt]) -> Delegation | None:
        """The delegation to the person by name; one to a group is not given back by a member."""
        found = delegation_of(row.prompt, self._terminal.person) if row.closing is None else None
        return found if found is not None and found.user else None

    async def _take_back(self, row: Row[ConsolePrompt], target: Target, *, confirm: bool) -> None:
        user, group = target
        if row.closing is None and all((d.user, d.group) != target for d in row.prompt.delegations):
            raise LookupError(f"{row.number} is not delegated to {target_words(user, group)}")
        if confirm and not await self._is_sure(f"Take it back from {target_words(*target)}? [y/N] "):
            return
        await row.prompt.take_back(to=user, group=group)
        self._given.pop(row.prompt.prompt_id, None)
        self._writer.line(f"{row.number} is taken back from {target_words(*target)}", "good")

    async def _choose(self, row: Row[ConsolePrompt]) -> Target:
        """The delegation of the person to end: the only one, or the one that it names."""
        person = self._terminal.person
        if row.closing is not None:
            given = self._given.get(row.prompt.prompt_id)
            found = [] if given is None else [given]
        else:
            own = person.subject if person is not None else ""
            mine = (d for d in row.prompt.delegations if d.giver == own)
            found = [(d.user, d.group) for d in mine if d.cause is DelegationCause.PERSON]
        if not found:
            raise LookupError(f"{row.number} was not delegated by you, nor to you by name")
        if len(found) == 1:
            return found[0]
        by_name = {(user or f"group:{group}").casefold(): (user, group) for user, group in found}
        names = ", ".join(user or f"group:{group}" for user, group in found)
        return await pick(self._terminal, f"From whom? ({names}) ", by_name)

    async def _is_sure(self, question: str) -> bool:
        return await pick(self._terminal, question, NO_UNLESS_YES)
