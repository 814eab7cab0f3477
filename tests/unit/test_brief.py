"""`repr` and `str` of the SDK's objects are short, whatever content they have."""

from __future__ import annotations

import json
from typing import Any

import pytest

from askback import errors
from askback._client.prompt_calls import PromptPage
from askback._client.verdict import verdict_of
from askback._console.console_view import Closing
from askback._model.jobs import Event, JobInfo
from askback._model.prompts import AnswerOutcome, Content, PromptInfo
from askback._model.resolutions import AnswerInfo, Resolution
from askback._wire.status import make_error
from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_pb2
from askback.v1 import prompt_pb2 as pb

LONG = "a long text. " * 200
LINE = 300


def _prompt() -> pb.Prompt:
    prompt = pb.Prompt(prompt_id="p-1", job_id="j-1", key="pay", state=pb.PROMPT_STATE_ANSWERED)
    prompt.content.title, prompt.content.kind, prompt.content.body = LONG, "confirm", LONG
    prompt.resolution.state, prompt.resolution.actor = pb.PROMPT_STATE_ANSWERED, "ana"
    answer = prompt.resolution.answer
    answer.answer_id, answer.user_id, answer.comment = "a-1", "ana", LONG
    answer.decision = pb.DECISION_ACCEPT
    answer.values_json = json.dumps({f"field {n}": LONG for n in range(50)})
    answer.edits.add(content_id="notes", text=LONG)
    return prompt


def _cancellation() -> pb.Resolution:
    return pb.Resolution(state=pb.PROMPT_STATE_CANCELLED, actor="bob", reason=LONG)


PROMPT = PromptInfo(_prompt())
OUTCOME = AnswerOutcome.from_proto(
    hitl.AnswerResult(status=pb.ANSWER_STATUS_ACCEPTED, answer_id="a-1", prompt=_prompt())
)
CLOSED = make_error(
    "FAILED_PRECONDITION",
    "ERROR_REASON_PROMPT_CLOSED",
    "the prompt had ended already",
    result=hitl.AnswerResult(prompt=_prompt()),
)
assert isinstance(CLOSED, errors.PromptClosed)
EVENT = Event(
    "j-1", 3, "PROMPT_ASKED", JobInfo(job_pb2.Job()).state, "w", None, "p-1", {"title": LONG, "x": LONG}
)
CASES: list[tuple[Any, str]] = [
    (PROMPT, "<PromptInfo confirm 'a long text."),
    (PROMPT.resolution, "<Resolution ANSWERED: ACCEPT by 'ana', values={"),
    (PROMPT.answered, "<AnswerInfo ACCEPT by 'ana', values={"),
    (Resolution.from_proto(_cancellation()), "<Resolution CANCELLED by 'bob': 'a long"),
    (AnswerInfo.from_proto(pb.Answer(source=pb.ANSWER_SOURCE_TIMEOUT_DEFAULT)), "by the default>"),
    (OUTCOME, "<AnswerOutcome ACCEPTED: 'a long"),
    (CLOSED.resolution, "<Resolution ANSWERED: ACCEPT by 'ana'"),
    (CLOSED, "the prompt had ended already"),
    (verdict_of(PROMPT, {"x": LONG}), "<Verdict True: ACCEPT by 'ana', 'a long"),
    (Content("notes", LONG), "<Content 'notes' text/markdown: 'a long"),
    (EVENT, "<Event 3 PROMPT_ASKED by 'w' of j-1: 'a long"),
    (PromptPage((PROMPT,) * 20, 272, ""), "<PromptPage of 20 prompts, 272 in all>"),
    (Closing("p-1", "j-1", "closed", PROMPT.resolution, "a-1"), "resolution=<Resolution ANSWERED"),
]


@pytest.mark.parametrize(("shown", "says"), CASES, ids=lambda case: type(case).__name__)
def test_repr_and_str_fit_one_line_and_name_the_essentials(shown: Any, says: str) -> None:
    for text in (repr(shown), str(shown)):
        assert says in text
        assert len(text) <= LINE, text
        assert "\n" not in text
