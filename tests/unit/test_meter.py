"""Counting what the engine does, and bounding the number of series that callers can create."""

from dataclasses import replace
from datetime import timedelta
from itertools import accumulate

from askback._metrics import families
from askback_server.domain.answers import Answer, AnswerSource
from askback_server.domain.decisions import Decision
from askback_server.domain.events import Event, EventType
from askback_server.domain.jobs import JobState
from askback_server.domain.overview import AGES
from askback_server.domain.prompts import Prompt, PromptState, Resolution
from askback_server.engine.committed import Committed
from askback_server.metrics import catalogue
from askback_server.metrics.collector import _limit_labels
from askback_server.metrics.meter import Histogram, Meter, Names
from askback_server.ports.storage import Lost
from tests.support.aggregates import question
from tests.support.rows import event, new_job, new_prompt


def commit_of(*events: Event, prompts: tuple[Prompt, ...] = (), **job: object) -> Committed:
    return Committed(new_job(**job), prompts, events)


def resolve(prompt: Prompt, state: PromptState, seconds: float, source: AnswerSource | None = None) -> Prompt:
    at = prompt.created_at + timedelta(seconds=seconds)
    answer = None
    if source is not None:
        answer = Answer("a", Decision.ACCEPT, "", (), "", source, "ann", 1, at)
    return replace(prompt, state=state, resolution=Resolution(state, "ann", at, answer=answer))


def test_a_histogram_counts_each_value_in_one_bucket() -> None:
    histogram = Histogram((1, 5, 10))
    for value in (0, 1, 1.5, 5, 7, 11, 100):
        histogram.observe(value)
    assert histogram.counts == [2, 2, 1, 2]  # an upper bound belongs to its bucket
    assert histogram.total == 125.5
    [*samples] = families.histogram(
        catalogue.Metric("x", catalogue.Kind.HISTOGRAM, "x", buckets=(1, 5, 10)), {(): histogram}
    ).samples
    assert [s.value for s in samples] == [*accumulate([2, 2, 1, 2]), 7, 125.5]
    assert [s.labels.get("le") for s in samples] == ["1", "5", "10", "+Inf", None, None]


def test_names_beyond_the_limit_share_one_label() -> None:
    names = Names(2)
    assert [names.label(n) for n in ("a", "b", "c", "a", "d")] == ["a", "b", "other", "a", "other"]
    numbers = {("a", "1m"): 1.0, ("c", "1m"): 2.0, ("d", "1m"): 3.0, ("d", "5m"): 4.0}
    assert _limit_labels(numbers, names) == {("a", "1m"): 1, ("other", "1m"): 5, ("other", "5m"): 4}
    assert _limit_labels({("c",): 2.0, ("d",): 9.0, ("e",): 3.0}, names, max) == {("other",): 9}


def test_invented_kinds_and_types_share_one_series() -> None:
    meter = Meter()
    for n in range(500):
        job = new_job(job_type=f"t{n}")
        asked = event(job, EventType.PROMPT_ASKED, data={"kind": f"k{n}"})
        meter.on_commit([Committed(job, (), (event(job, EventType.JOB_CREATED), asked))])
    assert sum(meter.created.values()) == sum(meter.asked.values()) == 500
    assert len(meter.created) == catalogue.MOST_TYPES + 1
    assert len(meter.asked) == catalogue.MOST_KINDS + 1
    assert meter.asked["other"] == 500 - catalogue.MOST_KINDS


def test_outcomes_and_the_latency_of_answers_are_counted() -> None:
    meter = Meter()
    job = new_job()
    made = {
        "human": (EventType.PROMPT_ANSWERED, PromptState.ANSWERED, 70.0, AnswerSource.HUMAN),
        "default": (EventType.PROMPT_ANSWERED, PromptState.ANSWERED, 90.0, AnswerSource.TIMEOUT_DEFAULT),
        "expired": (EventType.PROMPT_EXPIRED, PromptState.EXPIRED, 90.0, None),
        "cancelled": (EventType.PROMPT_CANCELLED, PromptState.CANCELLED, 5.0, None),
        "superseded": (EventType.PROMPT_SUPERSEDED, PromptState.SUPERSEDED, 5.0, None),
    }
    for kind, (type, state, seconds, source) in made.items():
        prompt = resolve(new_prompt(job, question(kind=kind)), state, seconds, source)
        bystander = new_prompt(job, question(kind="open"))
        meter.on_commit(
            [commit_of(event(job, type, prompt_id=prompt.prompt_id), prompts=(bystander, prompt))]
        )
    assert meter.resolved == {
        ("human", "answered"): 1,
        ("default", "defaulted"): 1,
        ("expired", "expired"): 1,
        ("cancelled", "cancelled"): 1,
        ("superseded", "superseded"): 1,
    }
    assert set(meter.answer_seconds) == {"human"}
    assert meter.answer_seconds["human"].total == 70


def test_a_resolution_is_counted_once_however_often_its_prompt_changes_later() -> None:
    meter = Meter()
    job = new_job()
    prompt = resolve(new_prompt(job), PromptState.ANSWERED, 3, AnswerSource.HUMAN)
    meter.on_commit(
        [commit_of(event(job, EventType.PROMPT_ANSWERED, prompt_id=prompt.prompt_id), prompts=(prompt,))]
    )
    meter.on_commit(
        [commit_of(event(job, EventType.PROMPT_CONSUMED, prompt_id=prompt.prompt_id), prompts=(prompt,))]
    )
    assert sum(meter.resolved.values()) == 1


def test_job_ends_lost_leases_and_refused_answers_are_counted() -> None:
    meter = Meter()
    for state, type in (
        (JobState.COMPLETED, EventType.JOB_COMPLETED),
        (JobState.FAILED, EventType.JOB_FAILED),
        (JobState.CANCELLED, EventType.JOB_CANCELLED),
        (JobState.PENDING, EventType.JOB_LEASE_LOST),
        (JobState.PENDING, EventType.JOB_UPDATED),
    ):
        job = new_job(state=state)
        meter.on_commit([Committed(job, (), (event(job, type),))])
    job = new_job()
    for status in ("INVALID", "STALE"):
        meter.on_commit([commit_of(event(job, EventType.ANSWER_REFUSED, data={"status": status}))])
    meter.on_commit([commit_of(event(job, EventType.ANSWER_LATE, data={"status": "CLOSED"}))])
    assert meter.ended == {("refund", s): 1 for s in ("COMPLETED", "FAILED", "CANCELLED")}
    assert meter.leases_lost == {"refund": 1}
    assert meter.refused == {"INVALID": 1, "STALE": 1, "CLOSED": 1}


def test_rules_that_could_not_be_evaluated_are_counted() -> None:
    meter, job = Meter(), new_job()
    for data in ({"errors": ["a@1", "b@2"]}, {"matched": ["a@1"]}):
        meter.on_commit([commit_of(event(job, EventType.PROMPT_RULED, data=data))])
    assert meter.rule_errors == 2


def test_batches_and_writes_are_counted() -> None:
    meter = Meter()
    for commands in (1, 3, 300):
        meter.on_batch(commands)
    meter.on_write(0.002, [])
    meter.on_write(0.004, [Lost.VERSION, Lost.VERSION, Lost.SESSION])
    meter.on_failure(3)
    assert (sum(meter.batch_commands.counts), meter.batch_commands.total) == (3, 304)
    assert sum(meter.commit_seconds.counts) == 2
    assert meter.guards_lost == {"VERSION": 2, "SESSION": 1}
    assert meter.batches_failed == 1


def test_every_age_has_a_class() -> None:
    assert len(catalogue.AGE_CLASSES) == len(AGES) + 1


def test_metrics_of_the_catalogue_follow_the_naming_rules() -> None:
    names = [metric.name for metric in catalogue.CATALOGUE]
    assert len(names) == len(set(names)) > 25
    for metric in catalogue.CATALOGUE:
        assert metric.name.startswith("askback_"), metric
        assert not metric.name.endswith("_total"), metric
        assert metric.help.endswith("."), metric
        assert bool(metric.buckets) == (metric.kind is catalogue.Kind.HISTOGRAM), metric
        assert list(metric.buckets) == sorted(metric.buckets), metric
