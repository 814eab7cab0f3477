"""Jobs and their events, as the SDK returns them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from askback._model.brief import short
from askback._model.enums import JobState, member_of, word
from askback._model.json_text import loads
from askback._model.times import moment
from askback.v1 import job_pb2 as pb


def parse_json(text: str) -> Any:
    """Parse JSON text; None for an empty one. Key order and every digit are kept; see json_text."""
    return loads(text) if text else None


@dataclass(frozen=True, slots=True)
class ProgressInfo:
    """The progress of a job; `total` is 0 if it is not known, `percent` is from 0 to 100."""

    done: int
    total: int
    percent: float
    message: str


class JobInfo:
    """A snapshot of a job. `proto` is the contract's message with every field."""

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
        """The type; it decides which workers run the job."""
        return self.proto.job_type

    @property
    def state(self) -> JobState:
        """The state of the job."""
        return member_of(JobState, pb.JobState, "JOB_STATE_", self.proto.state)

    @property
    def head_only(self) -> bool:
        """Whether you see the job only because you may see one of its prompts: then input, result, failure
        and worker are always empty, and `open_prompts` counts only the prompts that you may see."""
        return self.proto.head_only

    @property
    def created_by(self) -> str:
        """The user who created the job, and on whose behalf it runs."""
        return self.proto.user_id

    @property
    def input(self) -> Any:
        """The input, parsed."""
        return parse_json(self.proto.input_json)

    @property
    def result(self) -> Any:
        """The result, parsed; None unless the job is COMPLETED and has one."""
        return parse_json(self.proto.result_json)

    @property
    def failure(self) -> tuple[str, str, Any] | None:
        """Code, message and details of the failure, or of the previous attempt's; None if there is none."""
        if not self.proto.HasField("failure"):
            return None
        failure = self.proto.failure
        return failure.code, failure.message, parse_json(failure.details_json)

    @property
    def progress(self) -> ProgressInfo:
        """The newest progress that the worker reported."""
        progress = self.proto.progress
        return ProgressInfo(progress.done, progress.total, progress.percent, progress.message)

    @property
    def labels(self) -> dict[str, str]:
        """Labels: free key-value pairs."""
        return dict(self.proto.labels)

    @property
    def attempt(self) -> int:
        """The number of the current attempt, from 1."""
        return self.proto.attempt

    @property
    def retried_from_job_id(self) -> str:
        """The job that this one retries; empty if it is not a retry."""
        return self.proto.retried_from_job_id

    @property
    def root_job_id(self) -> str:
        """The first job of the chain of retries; the job's own id if it is not a retry."""
        return self.proto.root_job_id or self.proto.job_id

    @property
    def version(self) -> int:
        """Increases with every change; it is the `seq` of the newest event."""
        return self.proto.version

    @property
    def open_prompts(self) -> int:
        """The number of open prompts."""
        return self.proto.open_prompts

    @property
    def worker_id(self) -> str:
        """The worker that holds the job's lease; empty if none does."""
        return self.proto.worker_id

    @property
    def created_at(self) -> datetime | None:
        """The time of creation."""
        return moment(self.proto, "create_time")

    @property
    def ready_at(self) -> datetime | None:
        """The time from which a worker may lease it: its start, or the end of a backoff. Only if PENDING."""
        return moment(self.proto, "ready_time")

    @property
    def expires_at(self) -> datetime | None:
        """The time at which the job fails unless it has ended; None: never."""
        return moment(self.proto, "expire_time")

    @property
    def run_expires_at(self) -> datetime | None:
        """The time at which the attempt expires; None unless the job is RUNNING with a `run_timeout`."""
        return moment(self.proto, "run_expire_time")

    @property
    def cancel_reason(self) -> str:
        """The reason given for the cancellation; empty if none was given."""
        return self.proto.cancel_reason

    @property
    def cancelled_by(self) -> str:
        """The user who requested the cancellation; empty if there is none."""
        return self.proto.cancelled_by

    @property
    def completed_at(self) -> datetime | None:
        """The time at which the job ended."""
        return moment(self.proto, "complete_time")


@dataclass(frozen=True, slots=True, repr=False)
class Event:
    """One committed change of a job: `seq` is 1, 2, 3 … without a gap.

    `type` is the contract's name without its prefix, for example `PROMPT_ASKED`; `state` is the job's
    state after the event; `data` depends on the type. `WITHHELD` stands for an event that you may not see.
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
        message = f": {short(self.message)}" if self.message else ""
        return f"<Event {self.seq} {self.type} by {short(self.actor)} of {self.job_id}{message}>"

    @classmethod
    def from_proto(cls, event: pb.JobEvent) -> Event:
        """The event that a message describes."""
        data = parse_json(event.data_json)
        return cls(
            event.job_id,
            event.seq,
            word(pb.JobEventType, "JOB_EVENT_TYPE_", event.type),
            member_of(JobState, pb.JobState, "JOB_STATE_", event.state),
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
        """The steps done, in a JOB_PROGRESSED event."""
        return int(self.data.get("done", 0))

    @property
    def total(self) -> int:
        """All steps, in a JOB_PROGRESSED event; 0: not known."""
        return int(self.data.get("total", 0))

    @property
    def message(self) -> str:
        """Text for people: the progress message, prompt title, failure or reason."""
        for name in ("message", "title", "reason"):
            if text := self.data.get(name):
                return str(text)
        return ""


@dataclass(frozen=True, slots=True)
class JobChange:
    """One item of `Client.watch_all()`: `kind` is `changed` (with `job`), `removed` (with `job_id`),
    `caught_up`, or `reset` (discard the jobs received so far; a snapshot follows)."""

    kind: str
    job_id: str = ""
    job: JobInfo | None = None
