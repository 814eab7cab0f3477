"""Contents and requests that tests send, and the values of states and decisions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.protobuf.duration_pb2 import Duration

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import prompt_pb2 as prompts

PENDING, RUNNING, PENDING_HITL = 1, 2, 3
COMPLETED, FAILED, CANCELLED = 4, 5, 6
ACCEPT, EDIT, RESPOND = prompts.DECISION_ACCEPT, prompts.DECISION_EDIT, prompts.DECISION_RESPOND
REVISE, REJECT = prompts.DECISION_REVISE, prompts.DECISION_REJECT


def seconds(value: float) -> Duration:
    """A duration."""
    message = Duration()
    message.FromMicroseconds(int(value * 1_000_000))
    return message


def confirm(title: str = "Go on?", **fields: Any) -> prompts.PromptContent:
    """A prompt that asks for a decision only: ACCEPT, REVISE with a comment, or REJECT."""
    fields.setdefault("kind", "confirm")
    fields.setdefault("blocking", True)
    return prompts.PromptContent(title=title, **fields)


def form(title: str = "Which?", **fields: Any) -> prompts.PromptContent:
    """A prompt with two questions: a required integer and a text."""
    questions = [
        prompts.Question(question_id="n", title="How many?", required=True, integer=prompts.IntegerInput()),
        prompts.Question(question_id="why", title="Why?", text=prompts.TextInput()),
    ]
    return confirm(title, kind="clarify", questions=prompts.QuestionForm(questions=questions), **fields)


def audience(*users: str, groups: Sequence[str] = ()) -> prompts.Audience:
    """An audience of these users and groups."""
    return prompts.Audience(users=users, groups=groups)


def answer(prompt: prompts.Prompt, answer_id: str = "a-1", decision: Any = ACCEPT, **fields: Any) -> Any:
    """An answer to the given revision of a prompt."""
    fields.setdefault("revision", prompt.revision)
    return hitl.AnswerPromptRequest(
        prompt_id=prompt.prompt_id, answer_id=answer_id, decision=decision, **fields
    )


def of(leased: Any, **fields: Any) -> dict[str, Any]:
    """The fields of a worker's call for the leased job, and others."""
    return {"job_id": leased.job.job_id, "token": leased.token, **fields}
