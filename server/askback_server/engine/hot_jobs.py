"""A cache of the jobs in flight (docs/design.md 5).

It is filled by commits and reads, and kept coherent by the feed. A stale entry can only cost a retry: every
write is guarded by the job's version, and a decision without a write is not made on a cached entry alone.

A job stays for `IDLE_SECONDS` after its last command or read, so that a question and its answer cost no read
while they follow each other quickly. A job that waits for longer leaves nothing here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from askback_server.domain.aggregate import Aggregate
from askback_server.domain.commands import PromptRef
from askback_server.domain.jobs import Job
from askback_server.domain.prompts import Prompt

MAX_BYTES = 48 * 1024 * 1024
IDLE_SECONDS = 60.0
"""Seconds after its last use at which a job is dropped. Its next command costs one statement more."""
MAX_CLOSED_PROMPTS = 32
"""Closed prompts cached per job, so that a job that asks for weeks does not fill the cache."""


def _unknown(_: str) -> int:
    return 0


@dataclass(slots=True, eq=False)
class _Entry:
    """A cached job."""

    aggregate: Aggregate
    used_at: float
    """The monotonic time of its last use."""


class HotJobs:
    """Aggregates by job id, the least recently used first, bounded in bytes and in time without use."""

    def __init__(
        self,
        monotonic: Callable[[], float],
        *,
        max_bytes: int = MAX_BYTES,
        newest: Callable[[str], int] = _unknown,
    ) -> None:
        """`newest` returns the newest version of a job that is known to exist, 0 if none is. A read older
        than that was overtaken by another replica's commit, and is not cached."""
        self._newest = newest
        self._monotonic = monotonic
        self.max_bytes = max_bytes
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self.bytes = 0
        """Approximate size of all entries."""
        self._by_prompt: dict[str, str] = {}
        self.hits = self.misses = 0
        """Cache hits and misses of `get`."""
        self._live = True

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def is_live(self) -> bool:
        """Whether entries are served; False after `suspend`."""
        return self._live

    def suspend(self) -> None:
        """Serve nothing until `resume`: the feed is down, so entries may be stale."""
        self._live = False

    def resume(self) -> None:
        """Serve entries again: the feed has caught up."""
        self._live = True

    def get(self, job_id: str) -> Aggregate | None:
        """A cached job, if the cache is live."""
        entry = self._entries.get(job_id) if self._live else None
        if entry is None:
            self.misses += 1
            return None
        self.hits += 1
        entry.used_at = self._monotonic()
        self._entries.move_to_end(job_id)
        return entry.aggregate

    def peek(self, job_id: str) -> Aggregate | None:
        """A cached entry even while the cache is suspended; for the feed, which repairs entries."""
        entry = self._entries.get(job_id)
        return entry.aggregate if entry is not None else None

    def locate(self, ref: PromptRef) -> Prompt | None:
        """Find a cached prompt by its id, or by job and key."""
        job_id = self._by_prompt.get(ref.prompt_id) if ref.prompt_id else ref.job_id
        if not job_id:
            self.misses += 1
            return None
        aggregate = self.get(job_id)
        return aggregate.find(ref) if aggregate is not None else None

    def put(self, aggregate: Aggregate) -> Aggregate:
        """Cache an aggregate unless a newer version is cached. Equal versions are merged. Returns the merged
        aggregate."""
        job = aggregate.job
        if job is None or job.version < self._newest(job.job_id):
            return aggregate
        known = self.peek(job.job_id) or Aggregate()
        if known.job is not None:
            if known.job.version > job.version:
                return aggregate
            # Carry nothing over from an older version: a closed prompt may have received a late answer since.
            if known.job.version == job.version:
                aggregate = self._join(known, aggregate)
        kept = self._trim(aggregate)
        self.bytes += kept.size - known.size
        self._entries[job.job_id] = _Entry(kept, self._monotonic())
        self._entries.move_to_end(job.job_id)
        for prompt_id in known.prompts:
            if prompt_id not in kept.prompts:
                self._by_prompt.pop(prompt_id, None)
        for prompt_id in kept.prompts:
            if prompt_id not in known.prompts:
                self._by_prompt[prompt_id] = job.job_id
        while self.bytes > self.max_bytes:
            self.drop(next(iter(self._entries)))
        return aggregate

    def outdate(self, job_id: str, version: int) -> None:
        """Drop a job if the entry is older than a version."""
        known = self.peek(job_id)
        if known is not None and known.job is not None and known.job.version < version:
            self.drop(job_id)

    def learn(self, job: Job, changed: Sequence[Prompt], after: int | None) -> None:
        """Apply another replica's change of a job that a session of this replica holds.

        `changed` are its prompts that changed after the seq `after`, as of the job's version; `after` is None
        if further ones may have changed. An entry that cannot be completed is dropped, and read again when it
        is needed.
        """
        # Done even while the cache is suspended: after an outage this brings the missed changes.
        known = self.peek(job.job_id) or Aggregate()
        version = known.job.version if known.job is not None else 0
        if version >= job.version:
            return
        if after is not None and all(p.version <= job.version for p in changed):
            # The job's counter of open prompts shows whether one is missing.
            before = known if version >= after else Aggregate()
            is_open = before.job.open_prompts if before.job is not None else 0
            for prompt in changed:
                old = before.prompts.get(prompt.prompt_id)
                is_open += prompt.is_open - (old is not None and old.is_open)
            if is_open == job.open_prompts:
                self.put(before.with_changes(job, {p.prompt_id: p for p in changed}))
                return
        self.drop(job.job_id)

    @staticmethod
    def _join(old: Aggregate, new: Aggregate) -> Aggregate:
        if old.prompts is new.prompts and old.submissions is new.submissions:
            return new
        missing = [p for pid, p in old.prompts.items() if pid not in new.prompts and not p.is_open]
        prompts = {**{p.prompt_id: p for p in missing}, **new.prompts} if missing else new.prompts
        submissions = new.submissions
        if any(key not in submissions for key in old.submissions):
            submissions = {**old.submissions, **submissions}
        return replace(new, prompts=prompts, submissions=submissions)

    def _trim(self, aggregate: Aggregate) -> Aggregate:
        if len(aggregate.prompts) <= MAX_CLOSED_PROMPTS * 2:
            return aggregate
        closed = sorted((p for p in aggregate.prompts.values() if not p.is_open), key=lambda p: p.round)
        drop = {p.prompt_id for p in closed[:-MAX_CLOSED_PROMPTS]}
        return replace(
            aggregate,
            prompts={k: p for k, p in aggregate.prompts.items() if k not in drop},
            submissions={k: s for k, s in aggregate.submissions.items() if k[0] not in drop},
        )

    def drop(self, job_id: str) -> None:
        """Drop a job: it was deleted, its entry is stale, or it makes room for others."""
        entry = self._entries.pop(job_id, None)
        if entry is not None:
            self.bytes -= entry.aggregate.size
            for prompt_id in entry.aggregate.prompts:
                self._by_prompt.pop(prompt_id, None)

    def drop_idle(self) -> None:
        """Drop the jobs that were not used for `IDLE_SECONDS`."""
        idle_since = self._monotonic() - IDLE_SECONDS
        idle = takewhile(lambda item: item[1].used_at <= idle_since, self._entries.items())
        for job_id in [job_id for job_id, _ in idle]:
            self.drop(job_id)
