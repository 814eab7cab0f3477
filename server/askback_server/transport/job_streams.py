"""Serves WatchJob and WatchJobs: writes what their followers yield."""

from __future__ import annotations

from askback.v1 import job_service_pb2 as pb
from askback_server.domain.events import Event
from askback_server.domain.jobs import Job
from askback_server.domain.principals import Principal, Role
from askback_server.ports.queries import JobFilter
from askback_server.sessions.access import Access
from askback_server.sessions.job_follower import job_events
from askback_server.sessions.job_viewer import JobViewer
from askback_server.sessions.jobs_follower import JobsFollower, JobsUpdate
from askback_server.sessions.memory_budget import body_size
from askback_server.sessions.replica import Replica
from askback_server.transport.convert.jobs import event_message, job_message
from askback_server.transport.job_heads import event_head
from askback_server.transport.open_calls import StreamContext
from askback_server.transport.streams import open_accounts, write_all

READERS = (Role.CLIENT, Role.WORKER)
EVENT_BYTES = 200
"""Estimated bytes of an event without its data."""


def _event_size(event: Event) -> int:
    data = event.data or {}
    return EVENT_BYTES + sum(len(value) for value in data.values() if isinstance(value, str))


async def serve_job(
    replica: Replica,
    access: Access,
    principal: Principal,
    job: Job,
    after_seq: int,
    context: StreamContext,
) -> None:
    """Serve WatchJob until the job has ended. `principal` is the one that `job` was read for."""
    viewer = JobViewer(replica.queries, job, principal)

    def message(event: Event) -> bytes:
        # Decided when it is written: the access may have changed since.
        visible = event_message(event) if viewer.sees_all else event_head(event, viewer.sees_prompt_of(event))
        return pb.WatchJobResponse(events=[visible]).SerializeToString()

    with replica.watching() as watch, open_accounts(replica, access) as (unsent, writing):

        def change_access(now: Principal) -> None:
            viewer.change_access(now)
            watch.changed.set()

        access.follow(change_access, principal)
        async for events in job_events(replica.feed, replica.jobs, job, after_seq, watch, unsent, viewer):
            if events:
                await write_all(
                    context, writing, replica.admission.large_messages, events, message, _event_size
                )
            else:
                await context.write(b"")


def _update_message(news: JobsUpdate | Job) -> bytes:
    if isinstance(news, Job):
        return pb.WatchJobsResponse(jobs=[job_message(news)]).SerializeToString()
    rest = pb.WatchJobsResponse(
        removed_job_ids=news.removed, caught_up=news.caught_up, reset=news.reset, resume_token=news.token
    )
    return rest.SerializeToString()


async def serve_jobs(
    replica: Replica,
    access: Access,
    principal: Principal,
    filter: JobFilter,
    resume_token: str,
    context: StreamContext,
) -> None:
    """Serve WatchJobs until the client leaves or the server drains."""

    def change_access(now: Principal) -> None:
        now.require(*READERS)
        now.namespace(filter.namespace)

    access.follow(change_access, principal)
    with replica.watching() as watch, open_accounts(replica, access) as (unsent, writing):
        follower = JobsFollower(
            filter,
            principal.subject,
            replica.feed,
            replica.log,
            replica.jobs,
            replica.tokens,
            watch,
            replica.admission,
            replica.images,
            unsent,
        )
        async for news in follower.news(resume_token):
            # `write_all` combines the messages of the jobs and of the rest.
            items: list[JobsUpdate | Job] = [*news.jobs]
            if news.removed or news.caught_up or news.reset or news.token:
                items.append(news)
            del news
            await write_all(
                context, writing, replica.admission.large_messages, items, _update_message, body_size
            )
