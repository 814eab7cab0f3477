"""Escalation steps and reminders of a question that has no answer yet."""

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
    time counts from the moment of asking. An answer that a person began before the step stays valid.
    """

    after: timedelta | float
    names: tuple[str, ...] = ()
    instead: bool = False
    priority: int = 0

    def to(self, *names: str, instead: bool = False) -> After:
        """Ask `user:NAME` and `group:NAME` too, or with `instead` in place of the earlier audience.

        A question to everyone stays a question to everyone, unless `instead`. `to(instead=True)` asks
        everyone.
        """
        return replace(self, names=names, instead=instead)

    def raising(self, priority: int) -> After:
        """Raise the question's priority by this number."""
        return replace(self, priority=priority)

    def to_proto(self) -> pb.EscalationStep:
        """The contract's message. Raises InvalidTime, and ValueError for a malformed name."""
        step = pb.EscalationStep(
            after=duration(self.after, "after"), replace=self.instead, raise_priority=self.priority
        )
        address(step.to, self.names)
        return step


@dataclass(frozen=True, slots=True)
class Remind:
    """Consoles remind people `every` interval (a timedelta, or seconds) while the question is open.

    `after` is the time until the first reminder, if it differs from `every`. `times` is the maximum number
    of reminders; 0: as many as the server allows.
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


def address(audience: pb.Audience, to: Iterable[str], argument: str = "to=") -> None:
    """Add `user:NAME` and `group:NAME` to the audience. Raises ValueError for a malformed name, which says
    that the `argument` has it."""
    for name in to:
        what, _, who = name.partition(":")
        if what == "user" and who:
            audience.users.append(who)
        elif what == "group" and who:
            audience.groups.append(who)
        else:
            raise ValueError(f"{argument} takes 'user:NAME' and 'group:NAME', not {name!r}")


_NAMES = "exclude=Exclude(names=)"


def _texts(given: Iterable[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


@dataclass(frozen=True, slots=True)
class Exclude:
    """Who may not answer a question, whatever their role: separation of duties.

    `exclude=Exclude(requester=True, answerers_of=["plan"])`: neither who started the job, nor who answered
    its question with the key `plan`.
    """

    requester: bool = False
    """Who started the job, and who did so in that user's name."""
    answerers_of: Iterable[str] = ()
    """Keys of questions of the same job, or one key."""
    names: Iterable[str] = ()
    """`user:NAME` and `group:NAME`, or one of them."""
    hide: bool = False
    """Whether they do not see the question either."""

    def __post_init__(self) -> None:
        """Keep tuples: a question may be asked again, and an iterator is empty the second time. One text is
        one key or name."""
        object.__setattr__(self, "answerers_of", _texts(self.answerers_of))
        object.__setattr__(self, "names", _texts(self.names))

    def covers(self, user: str, groups: Iterable[str] = ()) -> bool:
        """Whether this person may not answer, as a user or as a member of these groups."""
        named = pb.Audience()
        address(named, self.names, _NAMES)
        return user in named.users or not set(groups).isdisjoint(named.groups)

    @classmethod
    def from_proto(cls, exclusion: pb.Exclusion) -> Exclude:
        """The exclusion that a message describes. In a prompt that was read, `names` has also the people that
        `requester` and `answerers_of` stand for so far."""
        names = [f"user:{user}" for user in exclusion.users] + [f"group:{name}" for name in exclusion.groups]
        return cls(exclusion.requester, tuple(exclusion.answerers_of), tuple(names), exclusion.hide)

    def to_proto(self) -> pb.Exclusion:
        """The contract's message. Raises ValueError for a malformed name."""
        named = pb.Audience()
        address(named, self.names, _NAMES)
        return pb.Exclusion(
            requester=self.requester,
            answerers_of=self.answerers_of,
            users=named.users,
            groups=named.groups,
            hide=self.hide,
        )
