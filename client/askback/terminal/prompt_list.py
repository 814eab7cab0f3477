"""The prompts of a live console: each has a number that is never reused, also after the prompt has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from askback._console.console_prompt import ConsolePrompt
from askback._console.console_view import Closing
from askback._model.approvals import Vote
from askback._model.inbox_order import inbox_order
from askback._model.prompts import PromptInfo
from askback._model.shown import shows_same
from askback._text.handle import is_handle
from askback.terminal.words import closing_words, now

P = TypeVar("P", bound=PromptInfo)
MAX_ENDED = 1_000
"""The number of ended prompts that are kept; older ones are forgotten."""


class Ended(LookupError):
    """The prompt has ended, or its content has changed."""


@dataclass(slots=True, eq=False)
class Row(Generic[P]):
    """One prompt. `number` is never reused; `seen` is the prompt as the person was shown it last."""

    number: int
    prompt: P
    closing: Closing | None = None
    seen: PromptInfo | None = None
    unseen: tuple[str, ...] = ()
    """The parts of it that were not shown, in words: cut, or on a page that was not reached."""
    skipped: bool = False
    before: PromptInfo | None = None
    """The prompt before its votes or delegations changed last."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the prompt ends or its content changes; a new dialogue about the prompt clears it."""

    def has_shown(self, prompt: PromptInfo) -> bool:
        """Whether the person was shown the content of this prompt."""
        return self.seen is not None and shows_same(self.seen, prompt)

    def has_shown_vote(self, vote: Vote) -> bool:
        """Whether the person was shown what this vote proposes, for this content."""
        shown = () if self.seen is None else self.seen.proto.votes
        return self.has_shown(self.prompt) and any(known.outcome == vote.outcome for known in shown)

    def status_words(self, at: datetime) -> str:
        """How the prompt ended, or which revision it is at now."""
        if self.closing is not None:
            return closing_words(self.closing, at)
        return f"changed: it is at revision {self.prompt.revision} now"


class PromptList:
    """All prompts that a console has received."""

    def __init__(self) -> None:
        self._rows: dict[str, Row[ConsolePrompt]] = {}
        self._numbers: dict[int, Row[ConsolePrompt]] = {}
        self._last = 0
        self.current: Row[ConsolePrompt] | None = None
        """The prompt that the person looks at. Only the person changes it, never an arriving prompt."""

    def put(self, prompt: ConsolePrompt) -> tuple[Row[ConsolePrompt], str]:
        """Store a prompt's newest state. Return its row and what happened: `new`, `changed`, `escalated`,
        `reminded`, `voted` (or a vote was withdrawn, or the prompt was delegated), `claimed` (or released) or
        `same`."""
        row = self._rows.get(prompt.prompt_id)
        if row is None:
            self._last += 1
            row = Row(self._last, prompt)
            self._rows[prompt.prompt_id] = self._numbers[row.number] = row
            return row, "new"
        back = row.closing is not None
        before, row.prompt, row.closing = row.prompt, prompt, None
        if not shows_same(before, prompt):
            row.changed.set()
            return row, "new" if back else "changed"
        if back:
            return row, "new"
        if before.escalation_step < prompt.escalation_step:
            return row, "escalated"
        if before.remind_count < prompt.remind_count:
            return row, "reminded"
        if [vote.answer_id for vote in before.proto.votes] != [
            v.answer_id for v in prompt.proto.votes
        ] or before.proto.delegations != prompt.proto.delegations:
            row.before = before
            return row, "voted"
        return row, "claimed" if before.claimed_by != prompt.claimed_by else "same"

    def close(self, closing: Closing) -> Row[ConsolePrompt] | None:
        """Mark a prompt as ended. Return its row; None if there is no open row for it."""
        row = self._rows.get(closing.prompt_id)
        if row is None or row.closing is not None:
            return None
        row.closing = closing
        row.changed.set()
        self._forget_ended()
        return row

    def open_rows(self) -> list[Row[ConsolePrompt]]:
        """The rows that are open and not skipped, the most urgent first."""
        return self.rows_with(None)

    def similar_rows(self, row: Row[ConsolePrompt]) -> list[Row[ConsolePrompt]]:
        """The open rows with the group key of this one, itself included; empty if it has none."""
        key = row.prompt.group_key
        return [other for other in self.open_rows() if other.prompt.group_key == key] if key else []

    def rows_with(self, kept: Row[ConsolePrompt] | None) -> list[Row[ConsolePrompt]]:
        """Like `open_rows`, with one row more that stays in its place when it has ended."""
        rows = [
            row for row in self._rows.values() if row is kept or (row.closing is None and not row.skipped)
        ]
        at = now()
        return sorted(rows, key=lambda row: inbox_order(row.prompt, at))

    def holds(self, prompt_ids: Iterable[str]) -> bool:
        """Whether all these prompts have a row."""
        return all(prompt_id in self._rows for prompt_id in prompt_ids)

    def find(self, word: str) -> Row[ConsolePrompt]:
        """The row with this number, prompt id or end of a prompt id; the current one for an empty word.

        Raises LookupError, with a message for the person, if no prompt or more than one matches.
        """
        if not word:
            if self.current is None:
                raise LookupError("which one? Say its number, as `list` shows it")
            return self.current
        row = self._numbers.get(int(word)) if word.isdecimal() else self._rows.get(word.lower())
        if row is not None:
            return row
        ending = [
            row for one, row in self._rows.items() if is_handle(word.lower()) and one.endswith(word.lower())
        ]
        if len(ending) > 1:
            numbers = ", ".join(str(row.number) for row in ending)
            raise LookupError(f"{word} fits more than one prompt: {numbers}; say which number")
        if not ending:
            raise LookupError(f"there is no prompt {word} here; `list` shows what there is")
        return ending[0]

    def _forget_ended(self) -> None:
        ended = [row for row in self._rows.values() if row.closing is not None and row is not self.current]
        for row in ended[: max(len(ended) - MAX_ENDED, 0)]:
            del self._rows[row.prompt.prompt_id], self._numbers[row.number]
