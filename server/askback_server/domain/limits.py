"""Every limit of the service, with its default, in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from askback_server.domain.forms import FormLimits


@dataclass(frozen=True, slots=True)
class Limits:
    """What one caller may ask for. Sizes are bytes of UTF-8, counts are counts."""

    json_bytes: int = 256 * 1024
    """One JSON text: input, result, values, checkpoint, metadata, schema."""
    json_depth: int = 64
    """Objects and arrays in one another."""
    content_bytes: int = 512 * 1024
    """A whole prompt: body, parts and form together."""
    title_chars: int = 500
    """A prompt's title."""
    reason_chars: int = 1_000
    """Why something is cancelled."""
    name_chars: int = 128
    """Job types, kinds, namespaces, worker and console ids."""
    key_chars: int = 200
    """request_id, answer_id, prompt and checkpoint keys."""
    labels: int = 32
    """Of a job, and of a prompt."""
    label_chars: int = 128
    """A label's name, and its value."""
    audience: int = 100
    """Users and groups that one prompt names."""
    parts: int = 20
    """Contents that one prompt shows, and edits of one answer."""
    decisions: int = 16
    """Decisions that one prompt offers."""
    url_bytes: int = 2_048
    """The link of a content."""
    pattern_bytes: int = 1_024
    """A text question's regular expression; `max_pattern_chars` of it."""
    progress_bytes: int = 4_000
    """A progress message."""
    filter_values: int = 100
    """Values in each list of a filter: states, job types, kinds, users, groups."""
    mask_paths: int = 32
    """Fields that one update names."""
    job_types: int = 500
    """Job types that one worker takes."""
    held_jobs: int = 10_000
    """Jobs that a worker's hello names as held."""
    acknowledged: int = 1_000
    """Prompts of one AcknowledgePrompts call."""
    frames_per_message: int = 1_000
    """Frames of one message of a stream."""
    token_bytes: int = 8_192
    """A page token or a resume token."""
    open_prompts_per_job: int = 64
    prompts_per_job: int = 10_000
    """Open and closed."""
    submissions_per_prompt: int = 1_000
    """Answers kept for the audit, refused and late ones included."""
    checkpoints_per_job: int = 10_000
    priority: int = 1_000
    """The highest; the lowest is its negative."""
    max_attempts: int = 100
    default_attempts: int = 3
    uncounted_leases: int = 100
    """How many leases of a job that no worker received are no attempts; every further one is."""
    page_size: int = 500
    """Items of one page of a list."""
    default_page_size: int = 50
    page_bytes: int = 900 * 1024
    """No answer of ours passes 1 MiB: other languages' clients refuse 4 MiB, and a page must leave
    room for its frame."""
    deadline_min: timedelta = timedelta(milliseconds=100)
    deadline_max: timedelta = timedelta(days=366)
    """A prompt without a deadline does not expire."""
    authorising_default_min: timedelta = timedelta(seconds=1)
    """The least time that people have before a default of ACCEPT or EDIT is taken."""
    escalation_steps: int = 10
    """Of one prompt."""
    reminders: int = 1_000
    """Of one prompt; as many where the asker names no number."""
    reminder_min: timedelta = timedelta(seconds=1)
    """Between two reminders."""
    claim_default: timedelta = timedelta(minutes=10)
    claim_max: timedelta = timedelta(days=1)
    cancel_grace: timedelta = timedelta(seconds=30)
    """How long a worker has to confirm a cancel."""
    retention_default: timedelta = timedelta(days=30)
    """How long a job is kept after its end, if neither its creator nor `retention` says else."""
    retention: Mapping[str, timedelta] = field(default_factory=dict)
    """The same by `STATE` or `NAMESPACE:STATE`, a state being `default` too; a setting."""
    retention_max: timedelta = timedelta(days=3660)
    backoff_base: timedelta = timedelta(seconds=1)
    backoff_max: timedelta = timedelta(minutes=5)
    """Between two attempts of a job; it doubles from the base."""
    stall_max: timedelta = timedelta(hours=24)
    """How long a job is tried again without counting its attempts."""
    wait_max: timedelta = timedelta(seconds=60)
    """The longest unary long poll."""
    capacity: int = 1_000
    """Jobs held by one worker session."""
    lease_jobs: int = 100
    """Jobs of one LeaseJobs call."""
    in_flight: int = 64
    """Frames of one stream that wait for their replies."""
    credit: int = 10_000
    """Prompts on their way to one console."""
    hello: timedelta = timedelta(seconds=5)
    """Until a stream must have said hello; then it ends."""
    unread: timedelta = timedelta(seconds=20)
    """How long one message to a client may wait to be read; then its stream ends."""
    unsent_frames: int = 256
    """Replies of one stream that are not written yet. Above that nothing more is read from it."""
    unsent_bytes: int = 1024 * 1024
    """The same in bytes, replies and the requests that wait for theirs together."""
    unsent_bytes_in_all: int = 128 * 1024 * 1024
    """The same of all streams of a replica; and once more what the transport is writing. Above that the
    principal with the most loses its stream with the most."""
    view_bytes_in_all: int = 32 * 1024 * 1024
    """Changes that views of a replica keep until they can tell them, each counted once however many keep it.
    Above that the views of the principal with the most forget them, and read them again."""
    received_bytes_in_all: int = 64 * 1024 * 1024
    """Messages of streams that are in memory because their frames wait for their turn or for room, of all
    streams of a replica. Above that the principal with the most loses its stream with the most."""
    unsent_bytes_per_principal: int = 16 * 1024 * 1024
    """The same of one principal, whose streams wait for room above that."""
    streams: int = 20_000
    """Open streams of one replica, LeaseJobs and AwaitPrompt calls that wait included."""
    streams_per_principal: int = 10_000
    """The same of one principal."""
    calls: int = 2_000
    """Unary calls that one replica serves at once. Calls of workers that end or extend a lease, and answers,
    are not refused by it."""
    calls_per_principal: int = 1_000
    """The same of one principal."""
    health_streams: int = 20_000
    """Open Watch calls of the health check, which need no token."""
    health_streams_per_connection: int = 64
    reflection_streams: int = 256
    """Open calls of server reflection, which need no token."""
    reflection_streams_per_connection: int = 16
    view_loads: int = 8
    """Views of consoles that one replica reads from the database at once."""
    forms: FormLimits = field(default_factory=FormLimits)
    """Questions, options, values, comments."""

    def keep(self, namespace: str, state: str) -> timedelta:
        """How long a job that ended in this state is kept: what is said most closely holds."""
        for name in (f"{namespace}:{state}", f"{namespace}:default", state, "default"):
            if name in self.retention:
                return self.retention[name]
        return self.retention_default
