"""How `explain` describes claims and deadlines, at times for which a test of a real service cannot wait."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from askback._model.jobs import JobInfo
from askback._model.prompts import PromptInfo
from askback._model.times import timestamp
from askback._text.spans import Times
from askback.cli.connection import Connection
from askback.cli.explanation import explain_job
from askback.v1 import job_pb2
from askback.v1 import prompt_pb2 as pb
from tests.support.zones import zone

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _utc() -> Iterator[None]:
    with zone("UTC"):
        yield


def _explain_prompt(prompt: pb.Prompt, connection: Connection | None = None) -> dict[str, object]:
    """The explanation of one open prompt."""
    job = JobInfo(job_pb2.Job(state=job_pb2.JOB_STATE_PENDING_HITL))
    found = explain_job(job, [(PromptInfo(prompt), [])], [], connection or Connection(), Times(NOW))
    [asked] = found["prompts"]
    return dict(asked)


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        (
            timedelta(minutes=5),
            "by eve; the claim ends in 5 min (12:05 UTC), until then no one else can answer",
        ),
        (
            -timedelta(minutes=5),
            "by eve; the claim ended 5 min ago (11:55 UTC), everyone named can answer",
        ),
    ],
    ids=["holds", "ran out"],
)
def test_explain_describes_a_claim(ends: timedelta, words: str) -> None:
    prompt = pb.Prompt(claimed_by="eve", claim_expire_time=timestamp(NOW + ends))
    assert _explain_prompt(prompt)["claim"] == {
        "by": "eve",
        "until": timestamp(NOW + ends).ToJsonString(),
        "words": words,
    }
    assert _explain_prompt(pb.Prompt())["claim"] is None


def test_explain_shows_a_default_answer_with_its_values() -> None:
    content = pb.PromptContent(
        final_action=pb.FINAL_ACTION_DEFAULT,
        default_answer=pb.DefaultAnswer(decision=pb.DECISION_RESPOND, values_json='{"n": 1}'),
    )
    deadline = _explain_prompt(pb.Prompt(content=content, expire_time=timestamp(NOW + timedelta(hours=4))))[
        "deadline"
    ]
    assert isinstance(deadline, dict)
    assert deadline["words"] == ('in 4 h (16:00 UTC): the default answer is taken: answered {"n": 1}')


def test_suggested_commands_do_not_impersonate_when_a_token_is_sent() -> None:
    """The token identifies the caller, so the suggested command names no user or group."""
    content = pb.PromptContent(
        decisions=[pb.DecisionOption(decision=pb.DECISION_ACCEPT)], audience=pb.Audience(groups=["release"])
    )
    prompt = pb.Prompt(prompt_id="p", content=content)
    assert _explain_prompt(prompt)["commands"] == ["askback inbox approve p --group release"]
    assert _explain_prompt(prompt, Connection(token="t"))["commands"] == ["askback inbox approve p"]
    ours = Connection(groups=("release",), flags=" --group release")
    assert _explain_prompt(prompt, ours)["commands"] == ["askback inbox approve p --group release"]


def test_the_commands_are_those_of_a_person_to_whom_the_prompt_was_delegated() -> None:
    content = pb.PromptContent(
        decisions=[pb.DecisionOption(decision=pb.DECISION_ACCEPT)], audience=pb.Audience(users=["ana"])
    )
    prompt = pb.Prompt(prompt_id="p", content=content)
    prompt.delegations.add(holder="ana", giver="ana", user="ben", transferred=True)
    explained = _explain_prompt(prompt, Connection(user="ben", flags=" --user ben"))
    assert explained["commands"] == ["askback inbox approve p --user ben"]
    assert explained["delegated"] == ["ana to ben"]
