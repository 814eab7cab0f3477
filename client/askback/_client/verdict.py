"""What people decided, in one class that is true only for a yes."""

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
    """Written as JSON it would be an object, which a reader would take for a yes."""
    raise TypeError(
        "a Verdict cannot be written as JSON: return bool(verdict), verdict.decision or its values"
    )


@dataclass(frozen=True, slots=True, repr=False)
class Verdict(Generic[T_co]):
    """How a question ended. It is true for ACCEPT and EDIT, and false for everything else.

    RESPOND gives values and authorises nothing, so it is false; so are a question that expired or was
    withdrawn, and a decision that this version does not know. A default that the deadline took counts as
    what it decides: check `by_default` before you report it as a person's answer.

    Two verdicts with the same content are equal; a verdict cannot be hashed. `verdict["decision"]` and the
    other keys of the prompt's resolution (a job without a worker has it as its result) work as in a dict,
    with `in`, `get`, `keys`, `items`, `len`, iteration and `dict(verdict)`: `state`, `actor`, `reason` and
    `resolved_at`; of an answer also `answer_id`, `decision`, `comment`, `edits` (a list), `source`,
    `user_id`, `revision`, `at` (a text), and `values` if there are some.
    """

    state: PromptState
    """ANSWERED, EXPIRED, CANCELLED or SUPERSEDED. The methods of a job raise for all but the first."""
    decision: DecisionKind
    """UNSPECIFIED without an answer, and for a decision that this version does not know."""
    values: T_co
    """The form's values, as its type; None where none came: without a form, and with a no."""
    edits: dict[str, str]
    """New texts by content id; only what was changed."""
    comment: str
    by: str
    """Who decided; empty when the deadline's default did, and without an answer."""
    at: datetime | None
    """When it was decided, or when the question ended without an answer."""
    by_default: bool
    """Nobody answered in time, and the default was taken."""
    prompt: PromptInfo = field(compare=False)
    __hash__ = None  # type: ignore[assignment]
    __pydantic_serializer__ = SchemaSerializer(
        any_schema(serialization=plain_serializer_function_ser_schema(_refuse_json))
    )

    def __bool__(self) -> bool:
        return self.state is PromptState.ANSWERED and self.decision in AUTHORISING

    @property
    def answered(self) -> bool:
        """Whether a person gave values: a RESPOND, or a yes with values."""
        answer = self.prompt.answered
        if answer is None or self.by_default or self.state is not PromptState.ANSWERED:
            return False
        has_values = answer.values_json not in ("", "{}") or self.decision is DecisionKind.RESPOND
        return has_values and self.decision in GIVING_VALUES

    def text(self, content_id: str) -> str:
        """A content as it was accepted: edited, or as it was shown. Raises KeyError."""
        if content_id in self.edits:
            return self.edits[content_id]
        for content in self.prompt.contents:
            if content.content_id == content_id:
                return content.text
        raise KeyError(content_id)

    def __repr__(self) -> str:
        ended = self.decision if self.prompt.answered is not None else self.state
        who = "default" if self.by_default else repr(self.by) if self.by else ""
        told = [f"{ended} by {who}" if who else str(ended), short(self.prompt.title)]
        given = ("values", "edits", "comment")
        told += [f"{name}={short(value)}" for name in given if (value := getattr(self, name))]
        return f"<Verdict {bool(self)}: {', '.join(told)}>"

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
    """The verdict on a closed prompt. `edits` are those of earlier rounds; the prompt's own win."""
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
    """What was given with an answer, as the form's type (None: as plain values); None if nothing was.

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
            raise PromptExpired(f"nobody answered {prompt.title!r} in time", prompt)
        case _:
            reason = prompt.resolution.reason if prompt.resolution else ""
            raise PromptCancelled(f"{prompt.title!r} was withdrawn: {reason or prompt.state}", prompt)


def refusal(prompt: PromptInfo) -> PromptDeclined:
    """The error for an answer that gives no value."""
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
    return found | {
        "state": word(pb.PromptState, "PROMPT_STATE_", proto.state),
        "actor": resolution.actor,
        "reason": resolution.reason,
        "resolved_at": resolution.at.isoformat() if resolution.at else "",
    }
