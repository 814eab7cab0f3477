"""One decision on many prompts: how the SDK splits it into calls, and names its answers."""

from __future__ import annotations

from typing import Any

import pytest

from askback import DecisionKind, PromptInfo, Unavailable
from askback._model.batches import MAX_ITEMS, batch_requests
from askback._wire.batch import BatchAnswers
from askback.v1 import hitl_service_pb2 as pb
from askback.v1 import prompt_pb2
from askback_server.domain.limits import Limits

MANY = [
    PromptInfo(prompt_pb2.Prompt(prompt_id=f"p{n}", revision=1 + n % 3, shown_digest=f"d{n}"))
    for n in range(2 * MAX_ITEMS + 1)
]


def test_a_long_list_becomes_several_calls_of_one_batch() -> None:
    assert Limits().answers_per_call == MAX_ITEMS
    found = list(batch_requests(MANY, "ACCEPT", comment="fine"))
    assert [len(request.items) for _, request in found] == [MAX_ITEMS, MAX_ITEMS, 1]
    assert len({request.batch_id for _, request in found}) == 1
    assert [prompt for shown, _ in found for prompt in shown] == MANY
    items = [item for _, request in found for item in request.items]
    assert [(i.prompt_id, i.revision, i.shown_digest) for i in items] == [
        (p.prompt_id, p.revision, p.shown_digest) for p in MANY
    ]
    assert len({item.answer_id for item in items}) == len(MANY)


def test_repeating_a_named_batch_repeats_its_answers() -> None:
    def ids(*prompts: PromptInfo, **options: Any) -> list[str]:
        found = batch_requests(prompts, DecisionKind.REJECT, **options)
        return [item.answer_id for _, request in found for item in request.items]

    assert ids(*MANY[:3], batch_id="monday") == ids(*MANY[:3], batch_id="monday")
    assert ids(MANY[1], batch_id="monday") == ids(*MANY[:2], batch_id="monday")[1:]
    assert ids(MANY[0]) != ids(MANY[0])
    amended = PromptInfo(prompt_pb2.Prompt(prompt_id="p0", revision=2))
    assert ids(MANY[0], batch_id="monday") != ids(amended, batch_id="monday")


@pytest.mark.parametrize(
    ("prompts", "values", "message"),
    [
        ([MANY[0], MANY[1], MANY[0]], None, "named twice"),
        ([MANY[0], None], 3, "different fields"),
    ],
)
def test_lists_that_cannot_have_one_decision_are_refused(prompts: Any, values: Any, message: str) -> None:
    content = prompt_pb2.PromptContent(schema_json='{"properties": {"amount": {}}}')
    other = PromptInfo(prompt_pb2.Prompt(prompt_id="other", content=content))
    with pytest.raises(ValueError, match=message):
        list(batch_requests([p or other for p in prompts], "ACCEPT", values=values))


class Failing(BatchAnswers):
    """Accepts each answer up to the call with this number, which fails."""

    def __init__(self, failing: int) -> None:
        self.failing, self.calls = failing, 0

    async def _send_batch(self, request: pb.AnswerPromptsRequest) -> pb.AnswerPromptsResponse:
        self.calls += 1
        if self.calls == self.failing:
            raise Unavailable("gone")
        accepted = prompt_pb2.ANSWER_STATUS_ACCEPTED
        return pb.AnswerPromptsResponse(
            results=[
                pb.AnswerPromptsResult(prompt_id=item.prompt_id, answer_id=item.answer_id, status=accepted)
                for item in request.items
            ]
        )


async def test_a_later_call_that_fails_loses_no_result() -> None:
    failing = Failing(2)
    results = await failing.answer_prompts(MANY, "ACCEPT")
    assert [result.prompt for result in results] == MANY
    assert [result.error is None for result in results] == [True] * MAX_ITEMS + [False] * (MAX_ITEMS + 1)
    assert isinstance(results[-1].error, Unavailable)
    assert failing.calls == 2
    assert repr(results[-1]) == "<BatchResult Unavailable: ''>"
    with pytest.raises(Unavailable):
        await Failing(1).answer_prompts(MANY, "ACCEPT")
