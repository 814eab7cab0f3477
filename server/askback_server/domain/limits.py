"""All limits of the service, with their defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from askback_server.domain.forms import FormLimits


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of requests, jobs, prompts, streams and calls. All sizes are bytes of UTF-8."""

    json_bytes: int = 256 * 1024
    """One JSON text: input, result, values, checkpoint, metadata, schema."""
    json_depth: int = 64
    """Levels of nested objects and arrays."""
    content_bytes: int = 512 * 1024
    """A whole prompt: body, parts and form together."""
    title_chars: int = 500
    """A prompt's title."""
    reason_chars: int = 1_000
    """The reason for a cancel."""
    name_chars: int = 128
    """Job types, kinds, namespaces, worker and console ids."""
    key_chars: int = 200
    """request_id, answer_id, prompt and checkpoint keys."""
    labels: int = 32
    """Per job, and per prompt."""
    label_chars: int = 128
    """A label's name, and its value."""
    audience: int = 100
    """Users and groups that one prompt names."""
    approvers: int = 50
    """People whose approval one prompt needs."""
    votes_bytes: int = 256 * 1024
    """The live votes of one prompt: values, edits and comments together."""
    parts: int = 20
    """Contents that one prompt shows, and edits of one answer."""
    decisions: int = 16
    """Decisions that one prompt offers."""
    url_bytes: int = 2_048
    """The link of a content."""
    pattern_bytes: int = 1_024
    """The regular expression of a text question; `FormLimits.max_pattern_chars` limits its characters."""
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
    answers_per_call: int = 200
    """Prompts that one AnswerPrompts call answers."""
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
    """How many leases of a job that no worker received are not counted as attempts; further ones are."""
    page_size: int = 500
    """Items of one page of a list."""
    default_page_size: int = 50
    page_bytes: int = 900 * 1024
    """Keeps responses below 1 MiB: gRPC clients refuse 4 MiB by default, and a page needs room for its
    frame."""
    deadline_min: timedelta = timedelta(milliseconds=100)
    deadline_max: timedelta = timedelta(days=366)
    """The longest deadline. A prompt may have none; then it does not expire."""
    authorising_default_min: timedelta = timedelta(seconds=1)
    """The shortest timeout of a prompt whose default answer is ACCEPT or EDIT."""
    escalation_steps: int = 10
    """Per prompt."""
    reminders: int = 1_000
    """Per prompt, and the default if the asker names no number."""
    violations: int = 20
    """Of one correction."""
    violation_bytes: int = 1_000
    """The field of such a violation, and its description."""
    reminder_min: timedelta = timedelta(seconds=1)
    """The shortest time between two reminders."""
    claim_default: timedelta = timedelta(minutes=10)
    claim_max: timedelta = timedelta(days=1)
    cancel_grace: timedelta = timedelta(seconds=30)
    """How long a worker has to confirm a cancel request."""
    retention_default: timedelta = timedelta(days=30)
    """How long an ended job is kept, unless its creator or `retention` says otherwise."""
    retention: Mapping[str, timedelta] = field(default_factory=dict)
    """How long ended jobs are kept, by `STATE` or `NAMESPACE:STATE`; the state `default` stands for all."""
    retention_max: timedelta = timedelta(days=3660)
    backoff_base: timedelta = timedelta(seconds=1)
    backoff_max: timedelta = timedelta(minutes=5)
    """The longest backoff between two attempts of a job. It doubles from `backoff_base`."""
    stall_max: timedelta = timedelta(hours=24)
    """How long an attempt is repeated without being counted."""
    wait_max: timedelta = timedelta(seconds=60)
    """The longest wait of a unary long poll."""
    capacity: int = 1_000
    """Jobs held by one worker session."""
    lease_jobs: int = 100
    """Jobs per LeaseJobs call."""
    in_flight: int = 64
    """Frames of one stream without a reply."""
    credit: int = 10_000
    """The largest credit of one console: prompts that the server may send before it waits for more."""
    hello: timedelta = timedelta(seconds=30)
    """A stream without a hello is closed after this time. When thousands reconnect at once, many seconds pass
    before the last hello is read."""
    unread: timedelta = timedelta(seconds=20)
    """A stream is closed if its client does not read a message for this time."""
    unsent_frames: int = 256
    """Unwritten replies of one stream. Above it the stream is not read."""
    unsent_bytes: int = 1024 * 1024
    """Bytes of one stream's unwritten replies and of its requests without a reply. Above it the stream is
    not read."""
    unsent_bytes_in_all: int = 128 * 1024 * 1024
    """As `unsent_bytes`, for all streams of a replica; counted apart, also the bytes that the transport is
    writing. Above it the largest stream of the principal with the most bytes is closed."""
    view_bytes_in_all: int = 32 * 1024 * 1024
    """Unsent changes of all views of a replica; a change that several views keep counts once. Above it the
    views of the principal with the most bytes drop theirs and read them again from the database."""
    received_bytes_in_all: int = 64 * 1024 * 1024
    """Received messages of all streams of a replica whose frames wait to be processed. Above it the largest
    stream of the principal with the most bytes is closed."""
    unsent_bytes_per_principal: int = 16 * 1024 * 1024
    """The share of one principal of each of the two limits above (unsent and received). Above it the
    principal's streams wait for room."""
    streams: int = 20_000
    """Open streams of one replica, LeaseJobs and AwaitPrompt calls that wait included."""
    streams_per_principal: int = 10_000
    """Open streams per principal."""
    calls: int = 2_000
    """Unary calls that one replica serves at once. Answers, and calls of workers that end or extend a lease,
    are never refused by it."""
    calls_per_principal: int = 1_000
    """Unary calls per principal."""
    sign_outs_per_subject: int = 1_000
    """Ended sign-in sessions of one subject that would still go on."""
    subject_bytes: int = 800
    """The subject of a person: 200 characters, as credentials have it."""
    display_name_bytes: int = 400
    """A person's display name."""
    email_bytes: int = 254
    """A person's e-mail address."""
    groups_per_person: int = 200
    """Groups of a person in the directory, from its credentials, and as many set by admins."""
    health_streams: int = 20_000
    """Open Watch calls of the health check, which need no token."""
    health_streams_per_connection: int = 64
    reflection_streams: int = 256
    """Open calls of server reflection, which need no token."""
    reflection_streams_per_connection: int = 16
    overview_prompts: int = 100_000
    """Open prompts of a namespace that an overview counts, the oldest first."""
    overview_reads: int = 2
    """Overviews that one replica reads from the database at once; others wait."""
    view_loads: int = 8
    """Console views that one replica reads from the database at once."""
    forms: FormLimits = field(default_factory=FormLimits)
    """Limits of questions, options, values and comments."""

    preview_prompts: int = 1_000
    """Prompts that one preview, or one search for suggestions, looks at."""
    rules_per_namespace: int = 500
    """Rules that are not deleted. Each is evaluated for each prompt that is asked."""
    rule_source_bytes: int = 4_096
    """An expression of a rule, and the values of its answer."""
    rule_names: int = 100
    """Job types, kinds and labels of a rule, each."""
    rule_bytes: int = 256 * 1024
    """All that a rule says, its examples too: a reply with two revisions of it stays below 1 MiB, and 500
    rules fit into memory."""
    rule_examples: int = 20
    """Examples that a rule must match, and that it must not, each."""
    rule_life_max: timedelta = timedelta(days=366)
    """The longest time until a rule expires."""
    requester_excluded: frozenset[str] = frozenset()
    """Namespaces in which who asks may not answer, unless the prompt has its own exclusion. `*`: all."""

    def excludes_requester(self, namespace: str) -> bool:
        """Whether prompts of a namespace exclude who asks by default."""
        return namespace in self.requester_excluded or "*" in self.requester_excluded

    override_allowed: frozenset[str] = frozenset()
    """Namespaces in which admins may override exclusions and approvals (OverridePrompt). `*`: all."""

    def allows_override(self, namespace: str) -> bool:
        """Whether admins may override in a namespace."""
        return namespace in self.override_allowed or "*" in self.override_allowed

    rule_approvers: Mapping[str, str] = field(default_factory=dict)
    """The group that must approve changed rules, by namespace. `*`: all."""

    def rule_approvers_of(self, namespace: str) -> str:
        """The group that must approve changed rules of a namespace; empty if they need no approval."""
        return self.rule_approvers.get(namespace) or self.rule_approvers.get("*", "")

    def retention_of(self, namespace: str, state: str) -> timedelta:
        """How long a job that ended in this state is kept. The most specific setting applies."""
        for name in (f"{namespace}:{state}", f"{namespace}:default", state, "default"):
            if name in self.retention:
                return self.retention[name]
        return self.retention_default
