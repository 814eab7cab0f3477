"""Jobs and events as JSON records and as a readable status."""

from datetime import UTC, datetime, timedelta
from typing import Any

from askback._model.enums import JobState
from askback._model.jobs import Event
from askback._model.times import timestamp
from askback._text.spans import day_words
from askback.cli.event_words import JobStatus, event_record, event_words
from askback.cli.record import record
from askback.v1 import job_pb2, prompt_pb2

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)


def test_a_record_has_camel_case_names_and_plain_values() -> None:
    """camelCase names, plain enum values and numbers, parsed JSON, no empty fields."""
    job = job_pb2.Job(
        job_id="j",
        state=job_pb2.JOB_STATE_PENDING_HITL,
        version=2**53 + 1,
        input_json='{"b": 1, "a": [null]}',
        labels={"z": "1", "a": "2"},
        create_time=timestamp(NOW),
        failure=job_pb2.Failure(code="X", details_json="[1]"),
    )
    job.retention.FromTimedelta(timedelta(seconds=1.5))
    assert record(job) == {
        "jobId": "j",
        "state": "PENDING_HITL",
        "input": {"b": 1, "a": [None]},
        "version": 2**53 + 1,
        "labels": {"a": "2", "z": "1"},
        "createTime": "2030-01-01T12:00:00Z",
        "failure": {"code": "X", "details": [1]},
        "retention": "1.500s",
    }
    assert list(record(job)["input"]) == ["b", "a"]
    prompt = prompt_pb2.Prompt(
        content=prompt_pb2.PromptContent(
            decisions=[prompt_pb2.DecisionOption(decision=prompt_pb2.DECISION_ACCEPT)],
            audience=prompt_pb2.Audience(users=["a", "b"]),
            final_action=prompt_pb2.FINAL_ACTION_FAIL_JOB,
        )
    )
    assert record(prompt)["content"] == {
        "decisions": [{"decision": "ACCEPT"}],
        "audience": {"users": ["a", "b"]},
        "finalAction": "FAIL_JOB",
    }


def test_a_record_shows_an_unknown_enum_value_as_its_number() -> None:
    """An unknown enum value is printed as its number."""
    assert record(job_pb2.Job.FromString(b"\x28\x63")) == {"state": 99}


def event(kind: str, state: str = "RUNNING", prompt: str = "", **data: Any) -> Event:
    """An event of a job."""
    return Event("j", 1, kind, JobState(state), "ana", NOW, prompt, data)


def test_every_event_type_has_a_line_in_words() -> None:
    """Each event is one line of English, even with hostile text in its fields."""
    for name in list(job_pb2.JobEventType.keys()):
        kind = name.removeprefix("JOB_EVENT_TYPE_")
        words = event_words(event(kind, message="a\x1b[2J\nb", title="t\u202e", code="c\r", round=1))
        assert words
        assert words.isprintable(), (kind, words)
        assert "_" not in words


def test_an_event_as_json_is_named_as_the_contract_names_it() -> None:
    proto = job_pb2.JobEvent(
        job_id="j",
        seq=7,
        type=job_pb2.JOB_EVENT_TYPE_PROMPT_ASKED,
        actor="w",
        time=timestamp(NOW),
        prompt_id="p",
        state=job_pb2.JOB_STATE_PENDING_HITL,
        data_json='{"round": 1}',
    )
    assert event_record(Event.from_proto(proto)) == record(proto)


def test_the_job_status_turns_to_the_human_and_back() -> None:
    status = JobStatus()
    assert status.description == "queued"
    status.apply(event("JOB_LEASED"))
    assert status.description == "running"
    status.apply(event("JOB_PROGRESSED", done=1, total=4, message="reading"))
    assert (status.description, status.done, status.total) == ("reading", 1, 4)
    status.apply(event("PROMPT_ASKED", "PENDING_HITL", "p", title="Pay?"))
    assert status.is_waiting
    assert status.description == "waiting for a human: Pay?"
    status.apply(event("PROMPT_ASKED", "PENDING_HITL", "q", title="Ship?"))
    assert status.description == "waiting for a human: Pay? (and 1 more)"
    status.apply(event("PROMPT_ANSWERED", "PENDING_HITL", "p"))
    assert status.description == "waiting for a human: Ship?"
    status.apply(event("PROMPT_EXPIRED", "RUNNING", "q"))
    assert not status.is_waiting
    assert status.description == "reading"
    status.apply(event("JOB_COMPLETED", "COMPLETED"))
    assert status.description == "completed"


def test_the_job_status_takes_the_title_from_an_open_prompt() -> None:
    """A watch that begins in the middle takes the title from the open prompt, or shows none."""
    status = JobStatus()
    status.apply(event("ANSWER_REFUSED", "PENDING_HITL", "p"))
    assert status.description == "waiting for a human"
    status.add_open_prompt("p", "Pay\x1b[2J?")
    assert status.description == "waiting for a human: Pay<U+001B>[2J?"


def test_events_of_delegations_say_who_acts_for_whom() -> None:
    given = {
        "round": 2,
        "holder": "ana",
        "giver": "ana",
        "user": "ben",
        "mode": "TRANSFER",
        "cause": "PERSON",
    }
    away = {**given, "mode": "ADD", "cause": "ABSENCE", "until": "2030-01-04T00:00:00+00:00"}
    passed_on = {**given, "giver": "ben", "user": "", "group": "ops", "mode": "ADD", "comment": "look"}
    skipped = {"round": 2, "giver": "ana", "user": "ben", "why": "SELF_REVIEW"}
    for kind, data, words in (
        ("PROMPT_DELEGATED", given, "ana delegates it to ben"),
        (
            "PROMPT_DELEGATED",
            passed_on,
            "ben delegates it to the group ops on behalf of ana, and ben may answer too: look",
        ),
        ("PROMPT_DELEGATED", away, f"ana is away until {local_day('2030-01-04')}; ben stands in"),
        (
            "DELEGATION_ENDED",
            {"round": 2, "why": "ABSENCE"},
            "the substitute's right has ended with the absence",
        ),
        ("DELEGATION_ENDED", {"round": 2, "votes": ["a"]}, "ana ends a delegation; 1 vote ended by it"),
        ("SUBSTITUTE_SKIPPED", skipped, "ana is away, and the substitute ben asked for it"),
        (
            "SUBSTITUTE_SKIPPED",
            {**skipped, "why": "NEW"},
            "ana is away, and the substitute ben may not answer it",
        ),
        (
            "PROMPT_REROUTED",
            {"round": 2, "users": [], "groups": ["ops"], "timeout_s": 60.0, "escalation": 2, "reason": "ill"},
            "ana reroutes it (asked of group ops; 1 min from then; escalation of 2 steps): ill",
        ),
    ):
        assert event_words(event(kind, prompt="p", **data)) == f"question 2: {words}"
    answered = event("PROMPT_ANSWERED", prompt="p", round=2, decision="ACCEPT", on_behalf_of="bob")
    assert event_words(answered) == "question 2 answered by ana on behalf of bob: ACCEPT"
    voted = event("PROMPT_VOTED", prompt="p", round=2, decision="ACCEPT", on_behalf_of="bob")
    assert event_words(voted) == "question 2: ana on behalf of bob votes ACCEPT"


def local_day(date: str) -> str:
    """The beginning of a day in UTC, as the words name it in the zone of this machine."""
    return day_words(datetime.fromisoformat(f"{date}T00:00:00+00:00"), NOW)
