"""Delivers other replicas' changes: reads what the sessions of this replica can get, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from askback_server.domain.jobs import Job, JobState
from askback_server.domain.prompts import Prompt
from askback_server.engine.commit_bus import CommitBus
from askback_server.engine.committed import ChangedPrompts, Committed
from askback_server.engine.hot_jobs import HotJobs
from askback_server.feed.interests import Interests
from askback_server.feed.known import KnownChanges
from askback_server.ports.announcements import Announcement
from askback_server.ports.storage import JobStore

_NEVER = datetime.fromtimestamp(0, UTC)


class Delivery:
    """Decides which changes concern a session, and delivers them.

    A change is decided at one instant, before anything is read for it. A session that follows a job by its id
    from then on finds the job's new version in `KnownChanges`, and reads the job itself; views and watchers
    read after they have begun to follow.
    """

    def __init__(
        self, jobs: JobStore, hot: HotJobs, bus: CommitBus, known: KnownChanges, interests: Interests
    ) -> None:
        self._jobs = jobs
        self._hot = hot
        self._bus = bus
        self._known = known
        self._interests = interests

    def concerns_a_session(self, change: Announcement) -> bool:
        """Whether something must be read to know or to deliver the change."""
        if self._bus.has_followers(change.job_id):
            return True
        if change.is_bare:
            return bool(self._interests)
        return self._interests.wants_job(change) or bool(self._interests.wanted_prompts(change))

    def settle(self, change: Announcement) -> None:
        """Note a change that no session here can get as a whole. A job that lives elsewhere is not kept in
        memory once it is outdated."""
        self._known.note(change.job_id, change.after, change.seq)
        self._hot.outdate(change.job_id, change.seq)
        self._bus.deliver_events(change.job_id)

    async def deliver(self, changes: Sequence[Announcement]) -> None:
        """Deliver changes; none of them is bare. Raises StorageUnavailable; then the log brings them.

        If a newer change of a job is decided during the read, what was read may be older than what sessions
        have: a console would show a prompt that has ended, until it reconnects. So it is read again.
        """
        while changes:
            changes = await self._deliver(changes)

    async def _deliver(self, changes: Sequence[Announcement]) -> list[Announcement]:
        """Deliver changes, except those that were overtaken. Returns these."""
        held: set[str] = set()
        job_ids: list[str] = []
        prompt_ids: dict[str, list[str]] = {}
        for change in changes:
            job_id = change.job_id
            if self._bus.has_followers(job_id):
                held.add(job_id)
                prompt_ids[job_id] = [p.prompt_id for p in change.prompts]
            else:
                prompt_ids[job_id] = self._interests.wanted_prompts(change)
            if job_id in held or self._interests.wants_job(change):
                job_ids.append(job_id)
            self._known.note(job_id, change.after, change.seq)
            if job_id not in held:
                self._hot.outdate(job_id, change.seq)
        decided = {change.job_id: self._bus.version_of(change.job_id) for change in changes}
        try:
            every = [i for ids in prompt_ids.values() for i in ids]
            jobs, prompts = await self._jobs.get_jobs_and_prompts(job_ids, every)
        except BaseException:
            self._known.retract(changes)
            raise
        after = {change.job_id: change.after for change in changes}
        rows: list[Job | Prompt] = [*jobs, *prompts]
        for row in rows:
            if row.version > after[row.job_id]:
                self._known.see(row.job_id, row.version)
        jobs_by_id = {job.job_id: job for job in jobs}
        prompts_by_id = {prompt.prompt_id: prompt for prompt in prompts}
        overtaken = []
        for change in changes:
            job_id = change.job_id
            if self._bus.version_of(job_id) != decided[job_id]:
                overtaken.append(change)
                continue
            found = tuple(prompts_by_id[i] for i in prompt_ids[job_id] if i in prompts_by_id)
            lost = frozenset(i for i in prompt_ids[job_id] if i not in prompts_by_id)
            job = jobs_by_id.get(job_id)
            if job is not None:
                if job_id in held:
                    self._learn(change, job, found)
                late = frozenset(p.prompt_id for p in change.prompts if p.late)
                self._bus.deliver(Committed(job, found, learnt_late=late, lost=lost))
            elif change.deleted or job_id in job_ids:
                self._hot.drop(job_id)
                self._bus.deliver(_to_deletion(change, lost))
            elif found or lost:
                self._bus.deliver_prompts(ChangedPrompts(job_id, change.seq, found, lost))
            self._bus.deliver_events(job_id)
        return overtaken

    def _learn(self, change: Announcement, job: Job, prompts: Sequence[Prompt]) -> None:
        """Keep the job in memory, because a session of this replica holds it.

        At a newer version than the change's, other prompts may have changed too.
        """
        self._hot.learn(job, prompts, change.after if job.version <= change.seq else None)


def _to_deletion(change: Announcement, lost: frozenset[str]) -> Committed:
    """The deletion of a job, of which only the id and the namespace are known."""
    deleted = Job(
        job_id=change.job_id,
        namespace=change.namespace,
        job_type="",
        user_id="",
        version=change.seq,
        state=JobState.CANCELLED,
        created_at=_NEVER,
        updated_at=_NEVER,
    )
    return Committed(deleted, deleted=True, lost=lost)
