"""Jobs are distributed among workers by their room."""

from __future__ import annotations

from typing import Any

from askback_server.domain.commands import SessionRef
from askback_server.engine.consumers import Places
from tests.support.fake_worker import FakeWorker


class CountedWorker(FakeWorker):
    """A worker that counts how often it is asked for its room."""

    asked = 0

    def room(self) -> int:
        self.asked += 1
        return super().room()


def worker(*job_types: str, maximum: int) -> Any:
    return CountedWorker(SessionRef("s", 1), *job_types, maximum=maximum)


def test_the_worker_with_the_most_room_is_next() -> None:
    a, b, full = worker("x", maximum=2), worker("x", maximum=3), worker("x", maximum=0)
    places = Places([a, full, b])
    assert [places.take("x") for _ in range(6)] == [b, a, b, a, b, None]


def test_a_worker_gets_only_jobs_of_its_types() -> None:
    x, both = worker("x", maximum=1), worker("x", "y", maximum=2)
    places = Places([x, both])
    assert places.take("z") is None
    assert [places.take(job_type) for job_type in "yxyx"] == [both, x, both, None]


def test_a_worker_is_asked_once_for_any_number_of_jobs() -> None:
    workers = [worker("x", maximum=100) for _ in range(50)]
    places = Places(workers)
    taken = [places.take("x") for _ in range(1_000)]
    assert {taken.count(each) for each in workers} == {20}
    assert {each.asked for each in workers} == {1}
