"""The answers and checkpoints that a retry has carried over from the earlier job, for `job show`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from askback._client.client import Client
from askback._model.jobs import JobInfo
from askback._text.spans import Times
from askback._text.text import one_line


@dataclass
class CarriedOver:
    """The answers and checkpoints that the first events of a retry list."""

    retried_from: str
    answers: list[dict[str, Any]] = field(default_factory=list)
    """Each has `key`, `decision`, `by`, `at`, and in `from` the job in which the answer was given."""
    checkpoints: list[dict[str, Any]] = field(default_factory=list)
    """Each has `key` and `at`."""

    @classmethod
    async def read(cls, client: Client, job: JobInfo) -> CarriedOver | None:
        """Read the carry-over of a job; None if it is not a retry, or nothing was carried over.

        Raises NotFound.
        """
        if not job.retried_from_job_id:
            return None
        found = cls(job.retried_from_job_id)
        async with aclosing(client.run(job.job_id).watch()) as events:
            async for event in events:
                if event.type == "JOB_CARRIED_OVER":
                    found.answers += event.data.get("answers", ())
                    found.checkpoints += event.data.get("checkpoints", ())
                    if event.data.get("page") == event.data.get("pages"):
                        return found
                elif event.type != "JOB_CREATED" or event.data.get("keep") != "ALL":
                    return None
        return None

    @property
    def record(self) -> dict[str, Any]:
        """The carry-over as a JSON object."""
        return {
            "retriedFrom": self.retried_from,
            "answers": self.answers,
            "checkpoints": self.checkpoints,
        }

    def lines(self, times: Times) -> Iterator[str]:
        """The carry-over as lines for people."""
        counted = f"{len(self.answers)} answers, {len(self.checkpoints)} checkpoints"
        yield f"carried over from {one_line(self.retried_from)}: {counted}"
        for answer in self.answers:
            key, decision, by = (one_line(answer.get(name, "")) for name in ("key", "decision", "by"))
            yield f"   {key}: {decision} by {by}, {_when(answer, times)}"
        for point in self.checkpoints:
            yield f"   checkpoint {one_line(point.get('key', ''))}, {_when(point, times)}"


def _when(item: dict[str, Any], times: Times) -> str:
    return times.when(datetime.fromisoformat(item["at"]))
