"""The queues of one group of workers that wait for a scan, in the order in which they are scanned."""

from __future__ import annotations

import heapq
from collections.abc import Callable


class WaitingQueues:
    """Job types of one namespace, the one with the lowest turn first.

    Adding, removing and finding the first cost the same for any number of them.
    """

    def __init__(self) -> None:
        self._has_jobs: dict[str, bool] = {}
        self._heap: list[tuple[int, str]] = []
        """An entry may have a former turn of its queue, which was lower, or stay behind after its queue was
        removed. `first` corrects it when it reaches the top."""
        self._in_heap: set[str] = set()
        """The job types that have an entry: at most one each."""

    def __len__(self) -> int:
        return len(self._has_jobs)

    def __contains__(self, job_type: str) -> bool:
        return job_type in self._has_jobs

    def has_jobs(self, job_type: str) -> bool:
        """Whether the queue waits and is known to have a job."""
        return self._has_jobs.get(job_type, False)

    def add(self, job_type: str, turn: int, *, has_jobs: bool) -> None:
        """Add a queue. One that waits already keeps its place, and is known to have jobs if it was."""
        self._has_jobs[job_type] = has_jobs or self.has_jobs(job_type)
        if job_type not in self._in_heap:
            self._in_heap.add(job_type)
            heapq.heappush(self._heap, (turn, job_type))

    def remove(self, job_type: str) -> None:
        """Remove a queue, if it waits."""
        self._has_jobs.pop(job_type, None)

    def first(self, turn_of: Callable[[str], int]) -> tuple[int, str] | None:
        """The turn and job type of the first queue; None if none waits."""
        while self._heap:
            noted, job_type = self._heap[0]
            if job_type not in self._has_jobs:
                heapq.heappop(self._heap)
                self._in_heap.discard(job_type)
            elif (turn := turn_of(job_type)) != noted:
                heapq.heapreplace(self._heap, (turn, job_type))
            else:
                return turn, job_type
        return None
