"""Metrics over HTTP after real work: each number equals what was done."""

import asyncio
import urllib.request
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from askback._metrics import exposition
from askback.v1 import hitl_service_pb2 as hpb
from askback.v1 import job_service_pb2 as jpb
from askback.v1 import prompt_pb2 as prompts
from askback.v1 import worker_service_pb2 as wpb
from askback_server.domain import commands as c
from askback_server.domain.errors import StorageUnavailable
from askback_server.engine.event_log import EventLog
from askback_server.engine.observer import NullObserver
from askback_server.metrics import catalogue, collector
from askback_server.metrics.catalogue import Kind
from tests.support.aggregates import CLIENT
from tests.support.refusals import SOON, expect_refusal, outcome
from tests.support.requests import RESPOND, answer, confirm, form, seconds
from tests.support.service import ServiceWorld, serving
from tests.support.storage import GatedStore
from tests.support.streams import ABSENT_ID
from tests.support.waiting import until

Samples = Mapping[tuple[str, ...], float]


def read(port: int) -> str:
    """The page as Prometheus reads it."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=SOON) as response:
        assert response.headers["Content-Type"].startswith("text/plain")
        text: str = response.read().decode()
    return text


class Scrape:
    """One reading of a replica's metrics."""

    def __init__(self, text: str) -> None:
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self._samples: dict[str, dict[frozenset[tuple[str, str]], float]] = {}
        for family in self.families.values():
            for sample in family.samples:
                self._samples.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value

    def of(self, name: str, **labels: str) -> float:
        """The value of a sample, or 0 if it is absent."""
        return self._samples.get(name, {}).get(frozenset(labels.items()), 0)

    def all(self, name: str) -> float:
        """The sum of a metric's samples."""
        return sum(self._samples.get(name, {}).values())


async def scrape(world: ServiceWorld) -> Scrape:
    """Read over HTTP in a thread, because the event loop serves the page."""
    return Scrape(await asyncio.to_thread(read, world.service.metrics_port))


ON_POSTGRES = pytest.mark.parametrize("database_kind", ["postgres"], indirect=True)
"""For tests with two replicas, because a SQLite file has one server."""


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each reading asks the database."""
    monkeypatch.setattr(collector, "CACHE_SECONDS", 0.0)


@pytest.fixture
async def world_with_metrics(migrated_db_url: str) -> AsyncIterator[ServiceWorld]:
    """The service on each database in turn, with its metrics on a port."""
    async with serving(migrated_db_url, metrics_listen="127.0.0.1:0") as world:
        yield world


@pytest.fixture
async def lite_measured(lite_url: str) -> AsyncIterator[ServiceWorld]:
    """The same on SQLite."""
    async with serving(lite_url, metrics_listen="127.0.0.1:0") as world:
        yield world


async def test_metrics_count_commands_events_and_streams(
    world_with_metrics: ServiceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = world_with_metrics
    submitted = []
    engine = world.service.replica.engine
    submit = engine.submit
    monkeypatch.setattr(engine, "submit", lambda command: (submitted.append(command), submit(command))[1])

    console, worker = world.console(), world.worker()
    await console.hello()
    await console.snapshot()
    await worker.hello("t", capacity=1)
    # Three jobs of type `t`, of which one at a time is held, and one of a type without workers.
    for _ in range(3):
        await world.create()
    await world.create("nobody")
    # Three prompts: one answered after a refused try, one cancelled, one left open.
    first = await worker.next_job()
    of = {"job_id": first.job.job_id, "token": first.token}
    content = form("How many?", blocking=False)
    asked = (await worker.ask(ask_prompt=wpb.AskPromptRequest(**of, key="a", content=content))).prompt
    wrong = answer(asked, "wrong", RESPOND, values_json='{"n": "many"}')
    await expect_refusal(world.hitl.AnswerPrompt(wrong), "INVALID_ARGUMENT", "ANSWER_INVALID")
    await world.hitl.AnswerPrompt(answer(asked, "right", RESPOND, values_json='{"n": 1}'))
    await worker.expect("prompt_resolved")
    content = confirm(blocking=False)
    asked = (await worker.ask(ask_prompt=wpb.AskPromptRequest(**of, key="b", content=content))).prompt
    await world.hitl.CancelPrompt(hpb.CancelPromptRequest(prompt_id=asked.prompt_id))
    await worker.expect("prompt_resolved")
    await worker.ask(complete_job=wpb.CompleteJobRequest(**of, result_json="1"))
    second = await worker.next_job()
    of = {"job_id": second.job.job_id, "token": second.token}
    left = (await worker.ask(ask_prompt=wpb.AskPromptRequest(**of, key="c", content=content))).prompt
    assert await outcome(world.jobs.GetJob(jpb.GetJobRequest(job_id=ABSENT_ID))) == "NOT_FOUND"
    # Five commands that wait together are one batch.
    burst = c.CreateJob(principal=CLIENT, namespace="", job_type="burst")
    await asyncio.gather(*(engine.submit(burst) for _ in range(5)))

    found = await scrape(world)
    # The content of the database.
    assert found.of("askback_open_prompts", kind="confirm", age="1m") == 1
    assert found.all("askback_open_prompts") == 1
    assert 0 < found.of("askback_open_prompt_oldest_seconds", kind="confirm") < 3600
    assert found.of("askback_jobs_held", job_type="t") == found.all("askback_jobs_held") == 1
    assert found.of("askback_jobs_runnable", job_type="t") == 1
    assert found.of("askback_jobs_runnable", job_type="nobody") == 1
    assert 0 < found.of("askback_job_runnable_oldest_seconds", job_type="nobody") < 3600
    assert found.of("askback_worker_sessions") == 1
    assert found.of("askback_counts_partial") == 0
    # Counted events.
    assert found.of("askback_jobs_created_total", job_type="t") == 3
    assert found.of("askback_jobs_ended_total", job_type="t", state="COMPLETED") == 1
    assert found.of("askback_prompts_asked_total", kind="clarify") == 1
    assert found.of("askback_prompts_asked_total", kind="confirm") == 2
    assert found.of("askback_prompts_resolved_total", kind="clarify", outcome="answered") == 1
    assert found.of("askback_prompts_resolved_total", kind="confirm", outcome="cancelled") == 1
    assert found.all("askback_prompts_resolved_total") == 2
    assert found.of("askback_answers_refused_total", status="INVALID") == 1
    assert found.of("askback_answer_seconds_count", kind="clarify") == 1
    assert 0 < found.of("askback_answer_seconds_sum", kind="clarify") < 3600
    assert found.of("askback_answer_seconds_bucket", kind="clarify", le="+Inf") == 1
    # The engine: every command was in one batch, every batch in one bucket.
    assert found.of("askback_engine_batch_commands_sum") == len(submitted) >= 13
    batches = found.of("askback_engine_batch_commands_count")
    assert 0 < batches <= len(submitted) - 4
    assert found.of("askback_engine_batch_commands_bucket", le="4") == batches - 1
    assert found.of("askback_engine_batch_commands_bucket", le="8") == batches
    assert 0 < found.of("askback_engine_commit_seconds_count") <= batches
    assert found.of("askback_engine_commit_seconds_sum") > 0
    assert found.of("askback_engine_queue_commands") == 0
    assert found.of("askback_engine_batches_failed_total") == 0
    # Calls and streams.
    calls = "askback_grpc_calls_total"
    assert found.of(calls, method="JobService/CreateJob", code="OK") == 4
    assert found.of(calls, method="JobService/GetJob", code="NOT_FOUND") == 1
    assert found.of(calls, method="HitlService/AnswerPrompt", code="OK") == 1
    assert found.of(calls, method="HitlService/AnswerPrompt", code="INVALID_ARGUMENT") == 1
    assert found.of("askback_streams_open", method="HitlService/Converse") == 1
    assert found.of("askback_streams_open", method="WorkerService/Work") == 1
    # The cache of hot jobs: 9 jobs were created here, and the unknown one was a miss.
    assert found.of("askback_hot_jobs") == 9
    assert found.of("askback_hot_job_lookups_total", result="hit") > 5
    assert found.of("askback_hot_job_lookups_total", result="miss") >= 1
    # The replica.
    assert found.of("askback_ready") == found.of("askback_database_up") == found.of("askback_feed_live") == 1
    assert found.of("askback_build_info", version=collector.version("askback"), replica="r1") == 1
    assert found.of("process_resident_memory_bytes") > 1_000_000
    await world.catch_up()
    assert (await scrape(world)).of("askback_feed_lag_seconds") == 0
    # Streams end, and the gauges of open ones fall.
    await world.hitl.AnswerPrompt(answer(left))
    await console.aclose()
    await until(lambda: world.service.replica.streams and len(world.service.replica.streams) == 1)
    found = await scrape(world)
    assert found.all("askback_open_prompts") == 0
    assert found.of("askback_streams_open", method="HitlService/Converse") == 0
    assert found.of("askback_streams_open", method="WorkerService/Work") == 1


async def test_metrics_distinguish_defaults_from_expiries(lite_measured: ServiceWorld) -> None:
    world = lite_measured
    fields: dict[str, Any] = {"timeout": seconds(0.2)}
    await world.create_prompt(confirm(final_action=prompts.FINAL_ACTION_EXPIRE, **fields))
    default = prompts.DefaultAnswer(decision=prompts.DECISION_REJECT)
    await world.create_prompt(
        confirm(final_action=prompts.FINAL_ACTION_DEFAULT, default_answer=default, **fields)
    )
    meter = world.service._exposition.collector._meter
    await until(lambda: sum(meter.resolved.values()) == 2)
    found = await scrape(world)
    assert found.of("askback_prompts_resolved_total", kind="confirm", outcome="expired") == 1
    assert found.of("askback_prompts_resolved_total", kind="confirm", outcome="defaulted") == 1
    assert found.all("askback_answer_seconds_count") == 0


async def test_the_metrics_page_exposes_the_whole_catalogue(lite_measured: ServiceWorld) -> None:
    await lite_measured.create_prompt()
    text = await asyncio.to_thread(read, lite_measured.service.metrics_port)
    found = Scrape(text)
    ours = {name: family for name, family in found.families.items() if name.startswith("askback_")}
    assert set(ours) == {metric.name for metric in catalogue.CATALOGUE}
    for metric in catalogue.CATALOGUE:
        family = ours[metric.name]
        assert (family.type, family.documentation) == (metric.kind.value, metric.help)
        for sample in family.samples:
            suffix = sample.name.removeprefix(metric.name)
            assert (
                suffix
                in {
                    Kind.COUNTER: ("_total",),
                    Kind.GAUGE: ("",),
                    Kind.HISTOGRAM: ("_bucket", "_sum", "_count"),
                }[metric.kind]
            )
            assert set(sample.labels) - {"le"} == set(metric.labels), sample


@ON_POSTGRES
async def test_lost_guards_are_counted_by_reason(
    world_with_metrics: ServiceWorld, migrated_db_url: str
) -> None:
    """Another replica changes a job that this one has cached."""
    job = await world_with_metrics.create()
    replica = world_with_metrics.service.replica
    stale = replica.engine.hot.peek(job.job_id)
    assert stale is not None
    replica.feed._poll = 3600  # it receives no announcements of the other
    async with serving(migrated_db_url) as other:
        await other.jobs.CancelJob(jpb.CancelJobRequest(job_id=job.job_id))
    # The feed may have delivered the change meanwhile, so restore the old cached job.
    replica.engine.hot._newest = lambda job_id: 0
    replica.engine.hot.drop(job.job_id)
    replica.engine.hot.put(stale)
    await outcome(world_with_metrics.jobs.CancelJob(jpb.CancelJobRequest(job_id=job.job_id)))
    found = await scrape(world_with_metrics)
    assert found.of("askback_engine_guards_lost_total", reason="VERSION") == 1
    assert found.all("askback_engine_guards_lost_total") == 1


@ON_POSTGRES
async def test_counters_of_two_replicas_add_up_and_their_gauges_agree(migrated_db_url: str) -> None:
    settings = {"metrics_listen": "127.0.0.1:0"}
    async with serving(migrated_db_url, **settings) as a, serving(migrated_db_url, **settings) as b:
        prompts = [await a.create_prompt() for _ in range(3)]
        await b.hitl.AnswerPrompt(answer(prompts[0]))
        for world in (a, b):
            await world.catch_up()
        both = [await scrape(world) for world in (a, b)]
        asked, answered = "askback_prompts_asked_total", "askback_prompts_resolved_total"
        assert [s.all(asked) for s in both] == [3, 0]
        assert [s.all(answered) for s in both] == [0, 1]
        assert [s.all("askback_open_prompts") for s in both] == [2, 2]


async def test_waiting_commands_and_failed_batches_are_counted(lite_measured: ServiceWorld) -> None:
    engine = lite_measured.service.replica.engine
    engine._store = gated = GatedStore(engine._store)
    command = c.CreateJob(principal=CLIENT, namespace="", job_type="t")
    gated.gate.clear()
    first = engine.submit(command)
    await gated.waiting.wait()
    more = [engine.submit(command) for _ in range(3)]
    found = await scrape(lite_measured)
    gated.gate.set()
    await asyncio.gather(first, *more)
    assert found.of("askback_engine_queue_commands") == 3
    found = await scrape(lite_measured)
    assert found.of("askback_engine_queue_commands") == 0
    assert found.of("askback_engine_batches_failed_total") == 0

    async def away(batch: Any) -> None:
        raise StorageUnavailable("gone")

    gated.write = away  # type: ignore[assignment, method-assign]
    assert await outcome(lite_measured.jobs.CreateJob(jpb.CreateJobRequest(job_type="t"))) == "UNAVAILABLE"
    found = await scrape(lite_measured)
    assert found.of("askback_engine_batches_failed_total") == 1
    assert found.of("askback_engine_commit_seconds_count") == 2  # a failed write is not counted as a commit
    assert found.of("askback_jobs_created_total", job_type="t") == 4


async def test_metrics_show_a_feed_that_is_down_or_behind(world_with_metrics: ServiceWorld) -> None:
    feed = world_with_metrics.service.replica.feed
    own, down = feed._log.after, True

    async def after(*args: Any, **kwargs: Any) -> Any:
        if down:
            raise StorageUnavailable("away")
        return await own(*args, **kwargs)

    feed._log.after = after  # type: ignore[method-assign]
    await until(lambda: not world_with_metrics.service.replica.engine.hot.is_live)
    await world_with_metrics.create()
    found = await scrape(world_with_metrics)
    assert found.of("askback_feed_live") == 0
    behind = found.of("askback_feed_lag_seconds")
    assert 0 < behind < (await scrape(world_with_metrics)).of("askback_feed_lag_seconds")
    down = False
    await world_with_metrics.catch_up()
    await until(lambda: world_with_metrics.service.replica.engine.hot.is_live)
    found = await scrape(world_with_metrics)
    assert (found.of("askback_feed_live"), found.of("askback_feed_lag_seconds")) == (1, 0)


async def test_metrics_stay_readable_while_the_database_is_unreachable(
    lite_measured: ServiceWorld, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await lite_measured.create_prompt()
    census = lite_measured.service._exposition.collector._census

    async def away(maximum: int) -> None:
        raise StorageUnavailable("gone")

    with monkeypatch.context() as patched:
        patched.setattr(census, "take", away)
        found = await scrape(lite_measured)
    assert found.of("askback_database_up") == 0
    [said] = [r for r in caplog.records if r.name == "askback.server.metrics"]
    assert (said.levelname, said.getMessage()) == ("WARNING", "the database is not counted: gone")
    assert "askback_open_prompts" not in found.families
    assert found.of("askback_prompts_asked_total", kind="confirm") == 1
    assert (await scrape(lite_measured)).of("askback_database_up") == 1


async def test_many_readers_share_one_database_query(
    lite_measured: ServiceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, "CACHE_SECONDS", 3600.0)
    census = lite_measured.service._exposition.collector._census
    asked, take = [], census.take

    async def count_and_take(maximum: int) -> Any:
        asked.append(maximum)
        return await take(maximum)

    monkeypatch.setattr(census, "take", count_and_take)
    await asyncio.gather(*(scrape(lite_measured) for _ in range(8)))
    assert asked == [collector.MAX_ROWS]


async def test_metrics_stay_readable_while_the_event_loop_is_blocked(
    lite_measured: ServiceWorld, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(exposition, "COLLECT_TIMEOUT", 0.05)

    async def never(asked: float) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(lite_measured.service._exposition.collector, "_read", never)
    found = await scrape(lite_measured)
    assert "process_open_fds" in found.families
    assert "askback_ready" not in found.families
    assert "the event loop is too busy" in caplog.text


async def test_without_the_setting_no_port_is_open_and_nothing_is_measured(lite: ServiceWorld) -> None:
    assert lite.service.metrics_port == 0
    observers = lite.service.replica.engine._observer._observers
    assert [type(observer) for observer in observers] == [EventLog, NullObserver]


async def test_a_metrics_port_in_use_is_refused_with_the_flag(
    lite_measured: ServiceWorld, lite_url: str
) -> None:
    taken = f"127.0.0.1:{lite_measured.service.metrics_port}"
    with pytest.raises(OSError, match=f"{taken} is in use: choose another with --metrics-listen"):
        async with serving(f"{lite_url}2", metrics_listen=taken):
            pass
