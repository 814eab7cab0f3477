"""The rules of the scripted human."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from askback._model.answers import negative_decision, values_decision
from askback._model.enums import DecisionKind
from askback._model.prompts import PromptInfo

Given = Any | Callable[[PromptInfo], Any]
"""Values (a mapping, a model, the value of the only field), or a function of the prompt that returns them."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply to a prompt; `decision` None: leave it unanswered."""

    spelling: str
    """The call that defined it, for `repr(rule)`."""
    decision: Callable[[PromptInfo], DecisionKind] | None = None
    values: Given = None
    edits: Mapping[str, str] | None = None
    comment: str = ""
    by: tuple[str, ...] = ()
    """The people who answer; empty: the user `human`, or as many people as are needed."""
    without_end: bool = False
    """Only for `never`: the prompt may lack a deadline."""

    def values_for(self, prompt: PromptInfo) -> Any:
        """The values that go with the answer."""
        values = self.values
        return values(prompt) if callable(values) and not hasattr(values, "model_dump") else values


class Rule:
    """Which prompts match, and how to reply to them. Made by `Human.on`.

    A rule needs at least one reply. Chain several to answer successive prompts; the last one answers all
    further prompts: `human.on(key="notes").revises("shorter").approves()`.
    """

    def __init__(self, title: str, kind: str, key: str, job_type: str, *, optional: bool = False) -> None:
        self.title = title
        self.kind = kind
        self.key = key
        self.job_type = job_type
        self.optional = optional
        """Whether the test passes if the rule matches nothing."""
        self.prompts: list[PromptInfo] = []
        """The prompts that the rule has matched."""
        self._replies: list[Reply] = []

    def answers(self, values: Given = None, /, comment: str = "", **named: Any) -> Rule:
        """Give the requested values: RESPOND, or ACCEPT where RESPOND is not offered.

        `values` is a mapping, a model, the value of the only field, or a function of the prompt that
        returns one of these; `named` gives fields by name.
        """
        if named and values is not None:
            raise TypeError("give the values as one argument, or each by its name")
        values = named or values
        spelling = f".answers({values!r}{_also(comment)})"
        return self._then(Reply(spelling, values_decision, values, comment=comment))

    def approves(self, comment: str = "", *, values: Given = None, by: Iterable[str] = ()) -> Rule:
        """Decide ACCEPT; `by` names the people, of whom each casts a vote."""
        spelling = f".approves({repr(comment) if comment else ''})"
        return self._then(
            Reply(spelling, lambda _: DecisionKind.ACCEPT, values, comment=comment, by=tuple(by))
        )

    def edits(
        self,
        edits: Mapping[str, str] | None = None,
        comment: str = "",
        *,
        values: Given = None,
        by: Iterable[str] = (),
    ) -> Rule:
        """Decide EDIT: accept with complete new texts by content id, or with values; `by` as in approves."""
        texts = dict(edits or {})
        spelling = f".edits({texts!r}{_also(comment)})"
        return self._then(Reply(spelling, lambda _: DecisionKind.EDIT, values, texts, comment, tuple(by)))

    def declines(self, reason: str = "", *, by: Iterable[str] = ()) -> Rule:
        """Decide REJECT, or DISMISS where REJECT is not offered. `by` as in `approves`."""
        return self._then(Reply(f".declines({reason!r})", negative_decision, comment=reason, by=tuple(by)))

    def revises(self, comment: str) -> Rule:
        """Decide REVISE: have it done again as the comment says."""
        return self._then(Reply(f".revises({comment!r})", lambda _: DecisionKind.REVISE, comment=comment))

    def dismisses(self, comment: str = "") -> Rule:
        """Decide DISMISS: do not answer the question."""
        return self._then(Reply(f".dismisses({comment!r})", lambda _: DecisionKind.DISMISS, comment=comment))

    def never(self, *, without_deadline: bool = False) -> Rule:
        """Leave the prompt unanswered, so that its deadline or the job's `timeout` ends it.

        A blocking prompt without either would hang the test, so it fails the test at once. Give
        `without_deadline=True` if the test ends the prompt itself, by cancelling or answering it.
        """
        spelling = ".never(without_deadline=True)" if without_deadline else ".never()"
        return self._then(Reply(spelling, without_end=without_deadline))

    def matches(self, prompt: PromptInfo) -> bool:
        """Whether the rule applies to the prompt."""
        return (
            self.title.casefold() in prompt.title.casefold()
            and self.kind in ("", prompt.kind)
            and self.key in ("", prompt.key)
            and self.job_type in ("", prompt.job_type)
        )

    def reply_to(self, prompt: PromptInfo) -> Reply | None:
        """The reply to a prompt that matches; None for a rule without a reply."""
        self.prompts.append(prompt)
        if not self._replies:
            return None
        return self._replies[min(len(self.prompts), len(self._replies)) - 1]

    @property
    def has_more(self) -> bool:
        """Whether it has another reply for the next time the prompt is shown."""
        return len(self.prompts) < len(self._replies)

    def _then(self, reply: Reply) -> Rule:
        self._replies.append(reply)
        return self

    def __repr__(self) -> str:
        named = {"kind": self.kind, "key": self.key, "job_type": self.job_type}
        parts = [repr(self.title)] if self.title else []
        parts += [f"{name}={value!r}" for name, value in named.items() if value]
        return f"human.on({', '.join(parts)})" + "".join(reply.spelling for reply in self._replies)


def _also(comment: str) -> str:
    return f", comment={comment!r}" if comment else ""
