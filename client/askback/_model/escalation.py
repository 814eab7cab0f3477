"""Who is asked next when there is no answer yet, and how often people are reminded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

from askback._model.times import duration
from askback.v1 import prompt_pb2 as pb


@dataclass(frozen=True, slots=True)
class After:
    """A step of an escalation, taken after this time without an answer (a timedelta, or seconds).

    `escalate=[After(timedelta(hours=1)).to("group:leads"), After(14_400).to("user:ana", instead=True)]`. The
    time counts from the asking. Answers to what was shown before the step stay valid.
    """

    after: timedelta | float
    names: tuple[str, ...] = ()
    instead: bool = False
    priority: int = 0

    def to(self, *names: str, instead: bool = False) -> After:
        """Ask `user:NAME` and `group:NAME` too; with `instead` in place of all who were asked before.

        A question for everyone stays for everyone, unless `instead`. `to(instead=True)` asks everyone.
        """
        return replace(self, names=names, instead=instead)

    def raising(self, priority: int) -> After:
        """The question's priority rises by so much."""
        return replace(self, priority=priority)

    def to_proto(self) -> pb.EscalationStep:
        """The contract's message. Raises InvalidTime, and ValueError for another form of a name."""
        step = pb.EscalationStep(
            after=duration(self.after, "after"), replace=self.instead, raise_priority=self.priority
        )
        address(step.to, self.names)
        return step


@dataclass(frozen=True, slots=True)
class Remind:
    """Consoles remind people `every` interval (a timedelta, or seconds) while the question is open.

    The first time `after` so long, if that is another span; at most `times`, 0: as often as the server
    allows.
    """

    every: timedelta | float
    after: timedelta | float | None = None
    times: int = 0

    def to_proto(self) -> pb.Reminders:
        """The contract's message. Raises InvalidTime."""
        reminders = pb.Reminders(every=duration(self.every, "every"), max_count=self.times)
        if self.after is not None:
            reminders.after.CopyFrom(duration(self.after, "after"))
        return reminders


def address(audience: pb.Audience, to: Iterable[str]) -> None:
    """Name `user:NAME` and `group:NAME`. Raises ValueError for another form."""
    for name in to:
        what, _, who = name.partition(":")
        if what == "user" and who:
            audience.users.append(who)
        elif what == "group" and who:
            audience.groups.append(who)
        else:
            raise ValueError(f"to= takes 'user:NAME' and 'group:NAME', not {name!r}")
