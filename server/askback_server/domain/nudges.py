"""The progress of a prompt's escalation and reminders."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from askback_server.domain.content import PromptContent
from askback_server.domain.limits import Limits


@dataclass(frozen=True, slots=True)
class Nudges:
    """The steps taken, the reminders sent, and the times of the next ones.

    The times are counted from when the prompt was asked or last amended, not from when a timer fired.
    """

    steps: int = 0
    """How many steps of the escalation have been taken."""
    step_at: datetime | None = None
    """When the next step is due; None if there is none."""
    reminded: int = 0
    """How many reminders were sent."""
    reminded_at: datetime | None = None
    """When the last one was sent."""
    remind_at: datetime | None = None
    """When the next reminder is due; None if there is none."""

    @property
    def next_at(self) -> datetime | None:
        """The time of the next step or reminder; None if there is none."""
        if self.step_at is None or self.remind_at is None:
            return self.step_at or self.remind_at
        return min(self.step_at, self.remind_at)

    def after_step(self, content: PromptContent) -> Nudges:
        """The progress after one more step."""
        done, at = content.escalation[self.steps], self.step_at
        assert at is not None
        more = content.escalation[self.steps + 1 :]
        following = at + (more[0].after - done.after) if more else None
        return replace(self, steps=self.steps + 1, step_at=following)

    def after_reminder(self, content: PromptContent, now: datetime, limits: Limits) -> Nudges:
        """The progress after one more reminder. Missed reminders are skipped."""
        asked, at = content.reminders, self.remind_at
        assert asked is not None
        assert at is not None
        count = self.reminded + 1
        following = at + asked.every * ((now - at) // asked.every + 1)
        more = count < (asked.maximum or limits.reminders)
        return replace(self, reminded=count, reminded_at=now, remind_at=following if more else None)

    def after_end(self) -> Nudges:
        """The progress of a closed prompt: no next step, no next reminder."""
        return replace(self, step_at=None, remind_at=None)


def first_nudges(content: PromptContent, now: datetime) -> Nudges | None:
    """The progress of a prompt that is asked at `now`; None if its content has no steps and no reminders."""
    steps, reminders = content.escalation, content.reminders
    if not steps and reminders is None:
        return None
    return Nudges(
        step_at=now + steps[0].after if steps else None,
        remind_at=now + reminders.after if reminders is not None else None,
    )
