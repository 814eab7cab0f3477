"""The frames of the bench, equal for all servers, and the contents of `seeding` and `waiting`."""

from __future__ import annotations

from askback.v1 import hitl_service_pb2, prompt_pb2, worker_service_pb2
from tests.bench.questions import Question

TYPES = 4
"""Number of job types. Each console watches some of them, so that a prompt is shown to one console."""

BODY = (
    "Version 4.2.0 is built and its tests have passed. Two migrations run before the rollout; the second "
    "one locks the table `orders` for about a minute. Traffic is lowest between two and four in the "
    "morning. Say how the release goes on."
)
VALUES_JSON = '{"when":"tonight"}'


def job_type(number: int, types: int = TYPES) -> str:
    """The job type for a job or worker with this number."""
    return f"bench.{number % types}"


def content(kind: str) -> prompt_pb2.PromptContent:
    """The content of a prompt: `form`, a question with three options, or `plain`, yes or no."""
    message = prompt_pb2.PromptContent(
        kind="confirm", title="Roll version 4.2.0 out?", body=BODY, blocking=True
    )
    if kind == "form":
        message.kind = "clarify"
        question = message.questions.questions.add(question_id="when", title="When?", required=True)
        for value, title in (("now", "At once"), ("tonight", "At 02:00 UTC"), ("never", "Not at all")):
            question.single.options.add(value=value, title=title)
    return message


def ask(job_id: str, token: int, question: Question) -> worker_service_pb2.WorkClientFrame:
    """The worker's frame that asks a question; expects a reply."""
    request = worker_service_pb2.AskPromptRequest(
        job_id=job_id, token=token, key=question.key, content=question.content
    )
    return worker_service_pb2.WorkClientFrame(ref=question.number, ask_prompt=request)


def answer(prompt: prompt_pb2.Prompt, question: Question) -> hitl_service_pb2.ConverseClientFrame:
    """The console's frame that answers the prompt of a question; expects a reply."""
    request = hitl_service_pb2.AnswerPromptRequest(
        prompt_id=prompt.prompt_id,
        answer_id=prompt.key,
        revision=prompt.revision,
        decision=prompt_pb2.DECISION_RESPOND if question.values_json else prompt_pb2.DECISION_ACCEPT,
        values_json=question.values_json,
    )
    return hitl_service_pb2.ConverseClientFrame(ref=question.number, answer_prompt=request)
