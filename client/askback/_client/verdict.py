"""The result of a question, true only for ACCEPT and EDIT."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, NoReturn

from pydantic_core import SchemaSerializer
from pydantic_core.core_schema import any_schema, plain_serializer_function_ser_schema

from askback._model.brief import short
from askback._model.enums import DecisionKind, PromptState, word
from askback._model.form import Form
from askback._model.json_text import loads
from askback._model.prompts import PromptInfo
from askback.errors import PromptCancelled, PromptDeclined, PromptExpired
from askback.v1 import prompt_pb2 as pb

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    # A plain `Verdict` is a Verdict[Any].
    T_co = TypeVar("T_co", covariant=True, default=Any)
else:
    from typing import TypeVar

    T_co = TypeVar("T_co", covariant=True)

T = TypeVar("T")

AUTHORISING = frozenset({DecisionKind.ACCEPT, DecisionKind.EDIT})
GIVING_VALUES = frozenset({DecisionKind.RESPOND, DecisionKind.ACCEPT, DecisionKind.EDIT})


def _refuse_json(verdict: object) -> NoReturn:
    """Refuse JSON: a verdict would become an object, and most programs treat any object as true."""
    raise TypeError(
        "a Verdict cannot be written as JSON: return bool(verdict), verdict.decision or its values"
    )


@dataclass(frozen=True, slots=True, repr=False)
class Verdict(Generic[T_co]):
    """The result of a question. It is true for ACCEPT and EDIT, and false otherwise.

    RESPOND gives values and authorises nothing, so it is false. A question that expired or was withdrawn is
    false too, as is a decision that this version does not know. The default of an expired deadline counts
    like an answer: check `by_default` before you report it as a person's decision.

    Verdicts with the same content are equal; they are not hashable. A verdict is also a read-only mapping of
    the prompt's resolution, with `verdict["decision"]`, `in`, `get`, `keys`, `items`, `len`, iteration and
    `dict(verdict)`: `state`, `actor`, `reason` and `resolved_at`; with an answer also `answer_id`,
    `decision`, `comment`, `edits` (a list), `source`, `user_id`, `revision`, `at` (a text), `values` if there
    are any, and `on_behalf_of` for an answer in another person's place.
    """

    state: PromptState
    """ANSWERED, EXPIRED, CANCELLED or SUPERSEDED. The methods of a Job raise for all but ANSWERED."""
    decision: DecisionKind
    """UNSPECIFIED without an answer, and for a decision that this version does not know."""
    values: T_co
    """The form's values, as its type; None without a form, and if the question was declined."""
    edits: dict[str, str]
    """The new texts by content id; only changed ones."""
    comment: str
    by: str
    """The person who decided; empty for the deadline's default, and without an answer."""
    at: datetime | None
    """The time of the decision, or of the end without an answer."""
    by_default: bool
    """Whether the deadline expired and its default was used."""
    prompt: PromptInfo = field(compare=False)
    __hash__ = None  # type: ignore[assignment]
    __pydantic_serializer__ = SchemaSerializer(
        any_schema(serialization=plain_serializer_function_ser_schema(_refuse_json))
    )

    def __bool__(self) -> bool:
        return self.state is PromptState.ANSWERED and self.decision in AUTHORISING

    @property
    def answered(self) -> bool:
        """Whether a person gave values: a RESPOND, or an ACCEPT or EDIT with values."""
        answer = self.prompt.answered
        if answer is None or self.by_default or self.state is not PromptState.ANSWERED:
            return False
        has_values = answer.values_json not in ("", "{}") or self.decision is DecisionKind.RESPOND
        return has_values and self.decision in GIVING_VALUES

    @property
    def by_override(self) -> bool:
        """Whether an admin decided by an override: exclusion and approval did not apply."""
        return self.prompt.answered is not None and self.prompt.answered.by_override

    @property
    def by_rule(self) -> bool:
        """Whether a rule decided, in the name of its author `by`; `prompt.answered` has the rule."""
        return self.prompt.answered is not None and self.prompt.answered.by_rule

    @property
    def on_behalf_of(self) -> str:
        """The person in whose place `by` decided, by a delegation; empty: by a right of its own."""
        return self.prompt.answered.on_behalf_of if self.prompt.answered is not None else ""

    @property
    def voters(self) -> tuple[str, ...]:
        """The people whose votes made the decision, in the order of their votes; empty without one."""
        votes, answer = self.prompt.votes, self.prompt.answered
        last = next((vote for vote in votes if answer and vote.answer_id == answer.answer_id), None)
        return tuple(vote.by for vote in votes if last and vote.outcome == last.outcome)

    def text(self, content_id: str) -> str:
        """The accepted text of a content: the edited one, else the one that was shown. Raises KeyError."""
        if content_id in self.edits:
            return self.edits[content_id]
        for content in self.prompt.contents:
            if content.content_id == content_id:
                return content.text
        raise KeyError(content_id)

    def __repr__(self) -> str:
        ended = self.decision if self.prompt.answered is not None else self.state
        who = "default" if self.by_default else repr(self.by) if self.by else ""
        parts = [f"{ended} by {who}" if who else str(ended), short(self.prompt.title)]
        given = ("values", "edits", "comment")
        parts += [f"{name}={short(value)}" for name in given if (value := getattr(self, name))]
        return f"<Verdict {bool(self)}: {', '.join(parts)}>"

    def __getitem__(self, key: str) -> Any:
        return _resolution(self.prompt)[key]

    def __iter__(self) -> Iterator[str]:
        return iter(_resolution(self.prompt))

    def __len__(self) -> int:
        return len(_resolution(self.prompt))

    def __contains__(self, key: object) -> bool:
        return key in _resolution(self.prompt)

    def get(self, key: str, default: Any = None) -> Any:
        """A value of the resolution, as of a dict."""
        return _resolution(self.prompt).get(key, default)

    def keys(self) -> list[str]:
        """The keys of the resolution."""
        return list(_resolution(self.prompt))

    def items(self) -> list[tuple[str, Any]]:
        """The keys and values of the resolution."""
        return list(_resolution(self.prompt).items())


def verdict_of(prompt: PromptInfo, values: T, edits: dict[str, str] | None = None) -> Verdict[T]:
    """Build the verdict on a closed prompt. `edits` are of earlier rounds; the prompt's own override them."""
    answer, resolution = prompt.answered, prompt.resolution
    return Verdict(
        state=prompt.state,
        decision=answer.decision if answer else DecisionKind.UNSPECIFIED,
        values=values,
        edits={**(edits or {}), **(answer.edits if answer else {})},
        comment=answer.comment if answer else "",
        by=answer.by if answer else "",
        at=answer.at if answer else resolution.at if resolution else None,
        by_default=answer is not None and answer.by_default,
        prompt=prompt,
    )


def values_of(prompt: PromptInfo, form: Form | None) -> Any:
    """The values of the answer, converted to the form's type (`form` None: plain values); None without any.

    Raises ValueError for values that do not fit the type.
    """
    answer = prompt.answered
    if answer is None or answer.decision not in GIVING_VALUES:
        return None
    return answer.values if form is None else form.parse(answer.values_json)


def require_answer(prompt: PromptInfo) -> None:
    """Raise PromptExpired or PromptCancelled for a prompt that ended without an answer."""
    match prompt.state:
        case PromptState.ANSWERED:
            return
        case PromptState.EXPIRED:
            raise PromptExpired(f"no answer to {prompt.title!r} in time", prompt)
        case _:
            reason = prompt.resolution.reason if prompt.resolution else ""
            raise PromptCancelled(f"{prompt.title!r} was withdrawn: {reason or prompt.state}", prompt)


def refusal(prompt: PromptInfo) -> PromptDeclined:
    """The error for an answer that declines to give values."""
    answer = prompt.answered
    assert answer is not None
    who = "the default of its deadline" if answer.by_default else answer.by or "a person"
    words = f": {answer.comment}" if answer.comment else ""
    return PromptDeclined(f"{who} decided {answer.decision} on {prompt.title!r}{words}", prompt)


def _resolution(prompt: PromptInfo) -> dict[str, Any]:
    """The prompt's resolution as the server writes it into the result of a job without a worker."""
    found: dict[str, Any] = {}
    proto, resolution = prompt.proto.resolution, prompt.resolution
    if resolution is None:
        return {"state": str(prompt.state)}
    if resolution.answer is not None:
        answer = resolution.answer
        if answer.values_json:
            found["values"] = loads(answer.values_json)
        found |= {
            "answer_id": answer.answer_id,
            "decision": word(pb.Decision, "DECISION_", proto.answer.decision),
            "comment": answer.comment,
            "edits": [{"content_id": name, "text": text} for name, text in answer.edits.items()],
            "source": word(pb.AnswerSource, "ANSWER_SOURCE_", proto.answer.source),
            "user_id": answer.by,
            "revision": answer.revision,
            "at": answer.at.isoformat() if answer.at else "",
        }
        if answer.rule_id:
            found["rule"] = f"{answer.rule_id}@{answer.rule_revision}"
        if answer.on_behalf_of:
            found["on_behalf_of"] = answer.on_behalf_of
    return found | {
        "state": word(pb.PromptState, "PROMPT_STATE_", proto.state),
        "actor": resolution.actor,
        "reason": resolution.reason,
        "resolved_at": resolution.at.isoformat() if resolution.at else "",
    }
