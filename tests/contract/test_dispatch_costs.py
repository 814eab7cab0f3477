"""What dispatch costs with many queues. Counted in statements and in looks at queues, without polls."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from askback_server.domain.commands import SessionRef
from askback_server.domain.errors import StorageUnavailable
from askback_server.engine import concurrency, queue_search
from askback_server.engine.backlog import MAX_QUEUES, Backlog
from askback_server.engine.concurrency import QueueKey
from askback_server.engine.consumers import Consumers
from askback_server.engine.queue_search import MAX_FOUND, MAX_STATEMENTS, QueueSearch
from tests.contract.test_dispatch import JobCompleter
from tests.contract.test_dispatch_namespaces import BlockingQueue, settle
from tests.support.fake_worker import FakeWorker, dispatching, new_dispatcher
from tests.support.rows import creation, new_job
from tests.support.storage import Node
from tests.support.waiting import until

AT_MOST = 1.2
"""Maximum growth of the cost of a job with ten times as many queues."""
TYPES_EACH = 50
"""Job types of a worker."""


@pytest.fixture(autouse=True)
def no_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_search, "POLL_SECONDS", 3_600.0)


async def put_one_each(node: Node, queues: list[QueueKey], times: int = 1) -> None:
    """Create jobs that no commit and no announcement reports."""
    ready = await node.database.ping()
    jobs = [new_job(namespace=n, job_type=t, ready_at=ready) for n, t in queues for _ in range(times)]
    assert not (await node.database.jobs.write([creation(job) for job in jobs])).lost


async def workers_for(
    node: Node, queues: list[QueueKey], room: int, each: int = TYPES_EACH
) -> list[FakeWorker]:
    """Workers that together take these queues, with room for `room` jobs for each queue."""
    types: dict[str, list[str]] = {}
    for namespace, job_type in queues:
        types.setdefault(namespace, []).append(job_type)
    found = []
    for namespace, names in types.items():
        session = await node.session(namespace=namespace)
        for at in range(0, len(names), each):
            mine = names[at : at + each]
            found.append(FakeWorker(session, *mine, maximum=room * len(mine), namespace=namespace))
    return found


def queues_of(namespaces: int, types: int) -> list[QueueKey]:
    return [(f"tenant{n:03}", f"type{t:04}") for n in range(namespaces) for t in range(types)]


def all_taken(workers: list[FakeWorker]) -> int:
    return sum(len(worker.taken) for worker in workers)


@pytest.fixture
def costs(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts the queues that are looked at in memory."""
    found: Counter[str] = Counter()
    own = Backlog.turn

    def turn(self: Backlog, queue: QueueKey) -> int:
        found["looks"] += 1
        return own(self, queue)

    monkeypatch.setattr(Backlog, "turn", turn)
    return found


@pytest.mark.parametrize(("namespaces", "types"), [(1, 50), (7, 7), (50, 1)])
async def test_a_job_costs_the_same_with_ten_times_as_many_queues(
    here: Node, monkeypatch: pytest.MonkeyPatch, costs: Counter[str], namespaces: int, types: int
) -> None:
    """Statements and looks for each leased job; all jobs are leased without a poll."""
    own = here.database.queue._read

    async def count(*args: Any) -> Any:
        costs["statements"] += 1
        return await own(*args)

    monkeypatch.setattr(here.database.queue, "_read", count)
    found = []
    for factor in (1, 10):
        queues = queues_of(namespaces * (factor if types == 1 else 1), types * (1 if types == 1 else factor))
        await put_one_each(here, queues, times=2)
        workers = await workers_for(here, queues, room=2)
        costs.clear()
        async with dispatching(here) as dispatcher:
            for worker in workers:
                dispatcher.add(worker)
            await until(lambda w=workers, q=queues: all_taken(w) == 2 * len(q), "all jobs are leased")
        found.append({what: n / len(queues) for what, n in costs.items()})
    assert found[0].keys() == {"statements", "looks"}
    assert {what: n for what, n in found[1].items() if n > AT_MOST * found[0][what]} == {}, found


async def test_queues_without_jobs_cost_nothing(here: Node) -> None:
    """20 queues have a job, among 1,000 and among 10,000 that workers take."""
    statements = []
    for types in (100, 1_000):
        queues = queues_of(10, types)
        full = queues[:: len(queues) // 20]
        await put_one_each(here, full)
        queue = CountedQueue(here.database.queue)
        workers = await workers_for(here, queues, room=1, each=500)
        async with dispatching(here, queue=queue) as dispatcher:
            for worker in workers:
                dispatcher.add(worker)
            await until(lambda w=workers, f=full: all_taken(w) == len(f), "all jobs are leased")
            dispatcher._look_at_all()
            before = queue.searches
            await until(lambda q=queue, b=before: q.searches > b, "the poll has searched")
        assert queue.searches == 2
        statements.append(queue.reads)
    assert statements[1] <= statements[0] <= 10


async def test_jobs_of_many_queues_wait_for_no_poll(here: Node) -> None:
    """300 queues with two jobs each, and workers that have room for a few."""
    queues = queues_of(3, 100)
    await put_one_each(here, queues, times=2)
    workers = await workers_for(here, queues, room=1)
    for worker in workers:
        worker.maximum = 7
    async with dispatching(here) as dispatcher:
        for worker in workers:
            JobCompleter(here, dispatcher, worker)
        await until(lambda: all_taken(workers) == 600, "all jobs are leased")
    halves = [Counter(worker.types_taken[:TYPES_EACH]) for worker in workers]
    assert [max(half.values()) for half in halves] == [1] * 6, (
        "each queue was served before any a second time"
    )


async def test_two_replicas_serve_many_queues_without_a_poll(here: Node, there: Node) -> None:
    queues = queues_of(2, 150)
    await put_one_each(here, queues)
    mine, others = [await workers_for(node, queues, room=1) for node in (here, there)]
    async with dispatching(here) as at_a, dispatching(there) as at_b:
        for dispatcher, workers in ((at_a, mine), (at_b, others)):
            for worker in workers:
                dispatcher.add(worker)
        await until(lambda: all_taken(mine) + all_taken(others) >= 300, "all jobs are leased")
    ids = [job.job_id for worker in (*mine, *others) for job in worker.taken]
    assert len(ids) == len(set(ids)) == 300


class CountedQueue:
    """The queue of a node: counts its statements. Searches wait for `may_search` after they have read, and
    reads for `may_read`."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue
        self.searches = self.reads = 0
        self.may_search, self.may_read = asyncio.Event(), asyncio.Event()
        self.may_search.set()
        self.may_read.set()

    async def list_queues(self, after: Mapping[str, str], limit: int) -> dict[str, dict[str, bool]]:
        found: dict[str, dict[str, bool]] = await self._queue.list_queues(after, limit)
        self.searches += 1
        await self.may_search.wait()
        return found

    async def claimable(self, limits: Mapping[QueueKey, int]) -> dict[QueueKey, list[str]]:
        self.reads += 1
        await self.may_read.wait()
        found: dict[QueueKey, list[str]] = await self._queue.claimable(limits)
        return found


class CallingWorker(FakeWorker):
    """A worker that waits until its queues have been read, like a call of LeaseJobs."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.unread = set(self.job_types)

    def note_queues_read(self, job_types: Any) -> None:
        self.unread.difference_update(job_types)


async def test_a_worker_that_arrives_during_a_search_is_searched_for(here: Node) -> None:
    """The search may have passed its queues."""
    types = [f"type{n:03}" for n in range(2 * MAX_QUEUES)]
    queue = CountedQueue(here.database.queue)
    queue.may_search.clear()
    async with dispatching(here, queue=queue) as dispatcher:
        dispatcher.add(FakeWorker(await here.session(), *types, maximum=1))
        await until(lambda: queue.searches == 1, "the queues are searched, and empty")
        await put_one_each(here, [("default", "late000")])
        late = CallingWorker(await here.session(), *(t.replace("type", "late") for t in types), maximum=1)
        dispatcher.add(late)
        queue.may_search.set()
        await until(lambda: late.taken, "its job is leased")
        await until(lambda: not late.unread, "it knows that all its queues have been read")


async def test_a_worker_learns_of_a_found_queue_when_its_job_is_reserved(here: Node) -> None:
    """Else a call that does not wait would return without the job."""
    types = [f"type{n:03}" for n in range(2 * MAX_QUEUES)]
    await put_one_each(here, [("default", types[7])])
    queue = CountedQueue(here.database.queue)
    queue.may_read.clear()
    async with dispatching(here, queue=queue) as dispatcher:
        worker = CallingWorker(await here.session(), *types, maximum=1)
        dispatcher.add(worker)
        await until(lambda: len(worker.unread) <= 1, "it knows that the other queues are empty")
        assert worker.unread == {types[7]}
        queue.may_read.set()
        await until(lambda: not worker.unread, "the queue is read")
        assert worker.room() == 0


async def test_a_search_goes_on_after_the_database_has_answered_again(
    here: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_search, "POLL_SECONDS", 0.01)
    queues = queues_of(1, MAX_FOUND + 10)
    await put_one_each(here, queues[-1:])
    worker = CallingWorker(await here.session(), *(t for _, t in queues), maximum=1, namespace="tenant000")
    own, failures = here.database.queue.list_queues, iter([True, True])

    async def list_queues(after: Mapping[str, str], limit: int) -> dict[str, dict[str, bool]]:
        if next(failures, False):
            raise StorageUnavailable("planted")
        return await own(after, limit)

    monkeypatch.setattr(here.database.queue, "list_queues", list_queues)
    async with dispatching(here) as dispatcher:
        dispatcher.add(worker)
        await until(lambda: worker.taken, "the job is leased")
        await until(lambda: not worker.unread, "it knows that the other queues are empty")


async def test_a_queue_that_gets_a_job_during_a_scan_is_scanned_after_it(here: Node) -> None:
    queue = CountedQueue(here.database.queue)
    async with dispatching(here, queue=queue) as dispatcher:
        worker = CallingWorker(await here.session(), "a", "b", maximum=1)
        dispatcher.add(worker)
        await until(lambda: not worker.unread, "both queues are read")
        queue.may_read.clear()
        dispatcher._request_scan(("default", "a"))
        await until(lambda: queue.reads == 2, "one is being read again")
        await here.create(job_type="b")
        await until(lambda: not dispatcher._wake.is_set(), "the dispatcher has taken note")
        queue.may_read.set()
        await until(lambda: worker.taken, "the job is leased")


async def test_a_scan_takes_no_more_of_many_full_queues_than_there_is_room_for(here: Node) -> None:
    queues = queues_of(1, 2 * MAX_QUEUES)
    await put_one_each(here, queues)
    queue = BlockingQueue(here.database.queue)
    async with dispatching(here, queue=queue) as dispatcher:
        [worker] = await workers_for(here, queues, room=1, each=len(queues))
        worker.maximum = 3
        dispatcher.add(worker)
        await until(lambda: len(worker.taken) == 3, "it is full")
    assert [len(read) for read in queue.reads] == [3]


class FullQueue:
    """A queue with jobs of many types. After each statement it calls `then`."""

    def __init__(self, types: int, then: Callable[[], None] = lambda: None) -> None:
        self._types = types
        self._then = then

    async def list_queues(self, after: Mapping[str, str], limit: int) -> dict[str, dict[str, bool]]:
        self._then()
        [last] = after.values()
        start = int(last or 0)
        return {"default": {f"{n:09}": True for n in range(start + 1, min(start + limit, self._types) + 1)}}


async def test_a_large_search_is_not_repeated_at_each_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    """The more statements a search takes, the later is the next poll."""
    monkeypatch.setattr(queue_search, "POLL_SECONDS", 0.5)
    consumers = Consumers()
    consumers.add(FakeWorker(SessionRef("s", 1), *map(str, range(MAX_QUEUES + 1)), maximum=1))
    pauses = []
    for statements in (1, MAX_STATEMENTS, 4 * MAX_STATEMENTS):
        queue: Any = FullQueue(MAX_FOUND * statements - 1)
        search = QueueSearch(queue, consumers, lambda namespace, queues: None)
        search.add_all()
        await search.run()
        pauses.append(search.pause)
    assert pauses == [0.5, 0.5, 2.0]


async def test_room_that_a_full_queue_gives_back_is_used(here: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """A place is reserved for a job whose queue is at its limit. The job of the other queue gets it."""
    monkeypatch.setattr(concurrency, "RECOUNT_DELAY", timedelta(hours=1))
    for job_type in ("limited", "limited", "plain"):
        await put_one_each(here, [("default", job_type)])
    async with dispatching(here, limits={"limited": 1}) as dispatcher:
        first = FakeWorker(await here.session(), "limited", maximum=1)
        dispatcher.add(first)
        await until(lambda: first.taken, "the limit is reached")
        worker = FakeWorker(await here.session(), "limited", "plain", maximum=1)
        for job_type in ("limited", "plain"):  # in this order
            dispatcher._backlog.note_lease(("default", job_type))
        dispatcher._concurrency._closed.clear()
        dispatcher._consumers.add(worker)
        dispatcher._request_scans("default", {"limited": True, "plain": True})
        await until(lambda: worker.taken, "the other queue's job is leased")
        assert worker.types_taken == ["plain"]


async def test_a_worker_for_few_types_does_not_wait_for_a_large_search() -> None:
    consumers = Consumers()
    large = FakeWorker(SessionRef("s", 1), *map(str, range(MAX_QUEUES + 1)), maximum=1)
    small = FakeWorker(SessionRef("s", 1), "small", maximum=1)
    requests: list[Mapping[str, bool]] = []

    def arrive() -> None:
        if not requests:
            search.add(small)

    queue: Any = FullQueue(5 * MAX_FOUND - 1, arrive)
    search = QueueSearch(queue, consumers, lambda namespace, queues: requests.append(queues))
    consumers.add(large)
    search.add(large)
    consumers.add(small)
    await search.run()
    assert [len(queues) for queues in requests[:3]] == [MAX_FOUND, 1, MAX_FOUND]
    assert requests[1] == {"small": False}


async def test_a_search_that_has_begun_ends_before_that_of_a_late_worker() -> None:
    """However many workers arrive, each learns which of its queues are empty."""
    consumers = Consumers()
    first, late = [
        CallingWorker(SessionRef("s", 1), *(f"{name}{n}" for n in range(MAX_QUEUES + 1)), maximum=1)
        for name in ("first", "late")
    ]
    told: list[int] = []

    def arrive() -> None:
        told.append(len(first.unread))
        if len(told) == 1:
            search.add(late)

    queue: Any = FullQueue(3 * MAX_FOUND - 1, arrive)
    search = QueueSearch(queue, consumers, lambda namespace, queues: None)
    consumers.add(first)
    consumers.add(late)
    search.add(first)
    await search.run()
    assert [bool(unread) for unread in told] == [True] * 3 + [False] * 3
    assert not late.unread


async def test_a_change_wakes_a_namespace_and_no_other(here: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Full workers of 50 namespaces have a backlog: room at one of them is a look at its queues."""
    queues = queues_of(50, 4)
    await put_one_each(here, queues)
    workers = await workers_for(here, queues, room=1)
    for worker in workers:
        worker.maximum = 1
    dispatcher = new_dispatcher(here)

    for worker in workers:
        dispatcher.add(worker)
    await settle(dispatcher)
    assert all_taken(workers) == 50
    asked = []
    own = FakeWorker.room

    def room(self: FakeWorker) -> int:
        asked.append(self.namespace)
        return own(self)

    monkeypatch.setattr(FakeWorker, "room", room)
    workers[7].maximum = 2
    dispatcher.wake(workers[7].namespace)
    await settle(dispatcher)
    assert len(workers[7].taken) == 2
    assert set(asked) == {workers[7].namespace}
