"""Jobs and their events as a program sees them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from askback._model.brief import short
from askback._model.enums import JobState, named, word
from askback._model.json_text import loads
from askback._model.times import moment
from askback.v1 import job_pb2 as pb


def parsed(text: str) -> Any:
    """JSON text as Python values (None for no text). Key order and every digit are kept; see json_text."""
    return loads(text) if text else None


@dataclass(frozen=True, slots=True)
class ProgressInfo:
    """How far a job is; `total` is 0 when not known, `percent` is from 0 to 100."""

    done: int
    total: int
    percent: float
    message: str


class JobInfo:
    """A job as it was when it was read. `proto` is the contract's message with everything."""

    def __init__(self, proto: pb.Job) -> None:
        self.proto = proto

    def __repr__(self) -> str:
        return f"<JobInfo {self.job_type} {self.state} {self.job_id}>"

    @property
    def job_id(self) -> str:
        """The server's id."""
        return self.proto.job_id

    @property
    def job_type(self) -> str:
        """Which workers run it."""
        return self.proto.job_type

    @property
    def state(self) -> JobState:
        """Where the job is in its life."""
        return named(JobState, pb.JobState, "JOB_STATE_", self.proto.state)

    @property
    def head_only(self) -> bool:
        """Whether you see the job only because you may see one of its prompts: then input, result, failure
        and worker are empty here, whatever the job has, and `open_prompts` counts those that you may see."""
        return self.proto.head_only

    @property
    def created_by(self) -> str:
        """The creator: on whose behalf the job runs."""
        return self.proto.user_id

    @property
    def input(self) -> Any:
        """Its input, parsed."""
        return parsed(self.proto.input_json)

    @property
    def result(self) -> Any:
        """Its result, parsed; None unless COMPLETED with one."""
        return parsed(self.proto.result_json)

    @property
    def failure(self) -> tuple[str, str, Any] | None:
        """Code, message and details of the failure, or of the attempt before; None if there is none."""
        if not self.proto.HasField("failure"):
            return None
        failure = self.proto.failure
        return failure.code, failure.message, parsed(failure.details_json)

    @property
    def progress(self) -> ProgressInfo:
        """The newest progress that the worker reported."""
        progress = self.proto.progress
        return ProgressInfo(progress.done, progress.total, progress.percent, progress.message)

    @property
    def labels(self) -> dict[str, str]:
        """Free marks."""
        return dict(self.proto.labels)

    @property
    def attempt(self) -> int:
        """Number of the current attempt, from 1."""
        return self.proto.attempt

    @property
    def retried_from_job_id(self) -> str:
        """The job that it repeats; empty if it repeats none."""
        return self.proto.retried_from_job_id

    @property
    def root_job_id(self) -> str:
        """The first job of the chain of retries; its own id if it repeats none."""
        return self.proto.root_job_id or self.proto.job_id

    @property
    def version(self) -> int:
        """Rises on every change; the `seq` of the newest event."""
        return self.proto.version

    @property
    def open_prompts(self) -> int:
        """How many prompts are open."""
        return self.proto.open_prompts

    @property
    def worker_id(self) -> str:
        """The worker that holds it; empty if none does."""
        return self.proto.worker_id

    @property
    def created_at(self) -> datetime | None:
        """When it was created."""
        return moment(self.proto, "create_time")

    @property
    def ready_at(self) -> datetime | None:
        """When a worker may take it: its start, or the end of a backoff; None unless PENDING."""
        return moment(self.proto, "ready_time")

    @property
    def expires_at(self) -> datetime | None:
        """When it fails unless it has ended; None: never."""
        return moment(self.proto, "expire_time")

    @property
    def run_expires_at(self) -> datetime | None:
        """When its attempt's time is over; None unless it is RUNNING with a `run_timeout`."""
        return moment(self.proto, "run_expire_time")

    @property
    def cancel_reason(self) -> str:
        """Why it was cancelled, or is to be; empty if no reason was given."""
        return self.proto.cancel_reason

    @property
    def cancelled_by(self) -> str:
        """Who asked for the cancel; empty if it was not cancelled."""
        return self.proto.cancelled_by

    @property
    def completed_at(self) -> datetime | None:
        """When it ended."""
        return moment(self.proto, "complete_time")


@dataclass(frozen=True, slots=True, repr=False)
class Event:
    """One committed change of a job: `seq` is 1, 2, 3 … without a gap.

    `type` is the contract's name without its prefix, for example `PROMPT_ASKED`; `state` is the job's
    state after it; `data` has more, by type. `WITHHELD` is something that you may not see.
    """

    job_id: str
    seq: int
    type: str
    state: JobState
    actor: str
    at: datetime | None
    prompt_id: str
    data: dict[str, Any]

    def __repr__(self) -> str:
        said = f": {short(self.message)}" if self.message else ""
        return f"<Event {self.seq} {self.type} by {short(self.actor)} of {self.job_id}{said}>"

    @classmethod
    def from_proto(cls, event: pb.JobEvent) -> Event:
        """The event that a message describes."""
        data = parsed(event.data_json)
        return cls(
            event.job_id,
            event.seq,
            word(pb.JobEventType, "JOB_EVENT_TYPE_", event.type),
            named(JobState, pb.JobState, "JOB_STATE_", event.state),
            event.actor,
            moment(event, "time"),
            event.prompt_id,
            data if isinstance(data, dict) else {},
        )

    @property
    def is_last(self) -> bool:
        """Whether the job ended with this event."""
        return self.type in ("JOB_COMPLETED", "JOB_FAILED", "JOB_CANCELLED", "JOB_DELETED")

    @property
    def done(self) -> int:
        """Steps done, of a JOB_PROGRESSED event."""
        return int(self.data.get("done", 0))

    @property
    def total(self) -> int:
        """Steps in all, of a JOB_PROGRESSED event; 0: not known."""
        return int(self.data.get("total", 0))

    @property
    def message(self) -> str:
        """What it is about, for people: progress message, prompt title, failure or reason."""
        for name in ("message", "title", "reason"):
            if text := self.data.get(name):
                return str(text)
        return ""


@dataclass(frozen=True, slots=True)
class JobChange:
    """One step of `Client.watch_all()`: `kind` is `changed` (with `job`), `removed` (with `job_id`),
    `caught_up`, or `reset` (forget what you have; a snapshot follows)."""

    kind: str
    job_id: str = ""
    job: JobInfo | None = None
