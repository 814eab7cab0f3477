"""The commit bus delivers each batch to its followers, and remembers the newest version of each job."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from askback_server.domain.aggregate import Aggregate
from askback_server.engine import commit_bus
from askback_server.engine.commit_bus import CommitBus
from askback_server.engine.committed import ChangedPrompts, Committed
from askback_server.engine.hot_jobs import HotJobs
from askback_server.engine.presence import PresenceIndex
from tests.support.rows import new_job, new_prompt


def commit(job_id: str, version: int = 1) -> Committed:
    return Committed(new_job(job_id=job_id, version=version))


def test_batch_followers_receive_the_batch_before_followers_of_single_jobs() -> None:
    bus, calls = CommitBus(), list[str]()

    def follow_batch(batch: Sequence[Committed]) -> None:
        calls.append("batch of " + " ".join(item.job.job_id for item in batch))

    bus.follow(lambda item: calls.append(f"any {item.job.job_id}"))
    bus.follow_job("a", lambda item: calls.append(f"a {item.job.job_id}"))
    bus.follow_batches(follow_batch)
    bus.publish([commit("a"), commit("b")])
    assert calls == ["batch of a b", "any a", "a a", "any b"]


def test_a_stopped_follower_receives_nothing() -> None:
    bus, received = CommitBus(), list[Committed]()
    stops = [bus.follow(received.append), bus.follow_job("a", received.append)]
    assert bus.has_followers("a")
    for stop in stops:
        stop()
        stop()
    bus.deliver(commit("a"))
    assert not received
    assert not bus.has_followers("a")


def test_a_follower_may_follow_again_before_it_stops() -> None:
    """As a console does whose filter changes: the same function, so that the two must not be one."""
    bus, received = CommitBus(), list[ChangedPrompts]()
    stop = bus.follow_prompts("", received.append)
    bus.follow_prompts("", received.append)
    stop()
    bus.deliver_prompts(ChangedPrompts("a", 1))
    assert [changed.job_id for changed in received] == ["a"]


def test_a_failing_follower_does_not_keep_a_commit_from_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bus, received = CommitBus(), list[str]()

    def fail(item: Committed) -> None:
        raise RuntimeError("a bug")

    bus.follow_job("a", fail)
    bus.follow_job("b", lambda item: received.append(item.job.job_id))
    bus.publish([commit("a"), commit("b")])
    assert received == ["b"]
    assert "a follower of job a failed" in caplog.text


def test_an_older_version_does_not_replace_a_newer_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit_bus, "MAX_VERSIONS", 2)
    bus = CommitBus()
    assert bus.version_of("a") == 0
    bus.note_version("a", 3)
    bus.note_version("a", 2)
    assert bus.version_of("a") == 3
    bus.note_version("b", 1)
    bus.note_version("a", 3)
    bus.note_version("c", 1)
    assert [bus.version_of(job_id) for job_id in "abc"] == [3, 0, 1], "the least recently noted is forgotten"


def test_a_read_overtaken_by_a_delivered_version_is_not_cached() -> None:
    bus = CommitBus()
    hot = HotJobs(lambda: 0.0, newest=bus.version_of)
    bus.note_version("a", 2)
    hot.put(Aggregate(new_job(job_id="a", version=1)))
    assert hot.peek("a") is None
    hot.put(Aggregate(new_job(job_id="a", version=2)))
    assert hot.peek("a") is not None


def test_a_suspended_cache_serves_nothing_until_it_is_resumed() -> None:
    hot = HotJobs(lambda: 0.0)
    hot.put(Aggregate(new_job(job_id="a")))
    hot.suspend()
    assert hot.get("a") is None
    hot.resume()
    assert hot.get("a") is not None


def test_every_prompt_counts_as_attended_until_the_index_is_settled() -> None:
    index = PresenceIndex()
    prompt = new_prompt(new_job())
    assert index.is_attended(prompt)
    index.settle()
    assert not index.is_attended(prompt)
