"""What the scripted human was told to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from askback._model.answers import giving_values, saying_no
from askback._model.enums import DecisionKind
from askback._model.prompts import PromptInfo

Given = Any | Callable[[PromptInfo], Any]
"""Values (a mapping, a model, the value of an only field), or what makes them of the prompt."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One thing to do with a prompt; `decision` None: leave it alone."""

    said: str
    decision: Callable[[PromptInfo], DecisionKind] | None = None
    values: Given = None
    edits: Mapping[str, str] | None = None
    comment: str = ""
    without_end: bool = False
    """Of `never`: a prompt that has no deadline is meant."""

    def values_for(self, prompt: PromptInfo) -> Any:
        """The values that go with the answer."""
        values = self.values
        return values(prompt) if callable(values) and not hasattr(values, "model_dump") else values


class Rule:
    """Which prompts, and what to do with them. Made by `Human.on`.

    A rule needs at least one verb. Chain several verbs to answer successive prompts; the last one answers
    all further prompts: `human.on(key="notes").revises("shorter").approves()`.
    """

    def __init__(self, title: str, kind: str, key: str, job_type: str, *, optional: bool = False) -> None:
        self.title = title
        self.kind = kind
        self.key = key
        self.job_type = job_type
        self.optional = optional
        """Whether the test passes where it matches nothing."""
        self.prompts: list[PromptInfo] = []
        """The prompts that it matched, as they were shown."""
        self._replies: list[Reply] = []

    def answers(self, values: Given = None, /, comment: str = "", **named: Any) -> Rule:
        """Give the values asked for: RESPOND, or ACCEPT where that is what takes values.

        `values` is a mapping, a model, the value of the only field, or a function of the prompt that
        returns one of these; `named` gives fields by name.
        """
        if named and values is not None:
            raise TypeError("give the values as one argument, or each by its name")
        values = named or values
        said = f".answers({values!r}{_also(comment)})"
        return self._then(Reply(said, giving_values, values, comment=comment))

    def approves(self, comment: str = "", *, values: Given = None) -> Rule:
        """ACCEPT."""
        said = f".approves({comment!r})" if comment else ".approves()"
        return self._then(Reply(said, lambda _: DecisionKind.ACCEPT, values, comment=comment))

    def edits(
        self, edits: Mapping[str, str] | None = None, comment: str = "", *, values: Given = None
    ) -> Rule:
        """EDIT: accept with whole new texts by content id, or with values."""
        texts = dict(edits or {})
        said = f".edits({texts!r}{_also(comment)})"
        return self._then(Reply(said, lambda _: DecisionKind.EDIT, values, texts, comment))

    def declines(self, reason: str = "") -> Rule:
        """REJECT, or DISMISS where a no is not offered."""
        return self._then(Reply(f".declines({reason!r})", saying_no, comment=reason))

    def revises(self, comment: str) -> Rule:
        """REVISE: not so; do it again as the comment says."""
        return self._then(Reply(f".revises({comment!r})", lambda _: DecisionKind.REVISE, comment=comment))

    def dismisses(self, comment: str = "") -> Rule:
        """DISMISS: not answering this."""
        return self._then(Reply(f".dismisses({comment!r})", lambda _: DecisionKind.DISMISS, comment=comment))

    def never(self, *, without_deadline: bool = False) -> Rule:
        """See it, and leave it alone: its deadline decides, or the job's `timeout`.

        A blocking prompt that has neither would hang the test, so it fails it at once. Give
        `without_deadline=True` where the test ends it otherwise: by a cancel, or by an answer of its own.
        """
        said = ".never(without_deadline=True)" if without_deadline else ".never()"
        return self._then(Reply(said, without_end=without_deadline))

    def matches(self, prompt: PromptInfo) -> bool:
        """Whether the prompt is meant."""
        return (
            self.title.casefold() in prompt.title.casefold()
            and self.kind in ("", prompt.kind)
            and self.key in ("", prompt.key)
            and self.job_type in ("", prompt.job_type)
        )

    def reply_to(self, prompt: PromptInfo) -> Reply | None:
        """What to do with a prompt that matches; None for an unfinished rule."""
        self.prompts.append(prompt)
        if not self._replies:
            return None
        return self._replies[min(len(self.prompts), len(self._replies)) - 1]

    @property
    def has_more(self) -> bool:
        """Whether it has another verb for the time when the prompt is shown again."""
        return len(self.prompts) < len(self._replies)

    def _then(self, reply: Reply) -> Rule:
        self._replies.append(reply)
        return self

    def __repr__(self) -> str:
        named = {"kind": self.kind, "key": self.key, "job_type": self.job_type}
        parts = [repr(self.title)] if self.title else []
        parts += [f"{name}={value!r}" for name, value in named.items() if value]
        return f"human.on({', '.join(parts)})" + "".join(reply.said for reply in self._replies)


def _also(comment: str) -> str:
    return f", comment={comment!r}" if comment else ""
