"""Invariants 8 and 9 for WatchJob and WatchJobs: no event is skipped, and all see the same order."""

from __future__ import annotations

from collections.abc import Iterator

from askback.v1 import job_pb2
from tests.faults.checker.evidence import ENDED_JOBS, JOB_STATES, Evidence
from tests.faults.checker.violation import Violation, violation
from tests.faults.history import Line

_TYPE = {number: name.removeprefix("JOB_EVENT_TYPE_") for name, number in job_pb2.JobEventType.items()}


def check(e: Evidence) -> Iterator[Violation]:
    """Check the watches of single jobs and of all jobs."""
    yield from _check_watch_job(e)
    yield from _check_watch_jobs(e)


def _check_watch_job(e: Evidence) -> Iterator[Violation]:
    reached: dict[tuple[str, str, str], int] = {}
    for line in e.clients:
        if line["e"] == "watch":
            reached[line["who"], line["start"], line["j"]] = line["after"]
        elif line["e"] == "event":
            key = line["who"], line["start"], line["j"]
            if line["n"] != reached[key] + 1:
                yield violation(9, f"a watch of job {line['j']} sent {line['n']} after {reached[key]}", line)
            reached[key] = line["n"]
            events = e.log.get(line["j"], [])
            stored = events[line["n"] - 1] if len(events) >= line["n"] else None
            if stored is None:
                if events or line["j"] in e.jobs:
                    yield violation(
                        9, f"event {line['n']} of job {line['j']} was sent, but is not stored", line
                    )
            elif (_TYPE[line["type"]], line["st"]) != (stored["type"], JOB_STATES[stored["state"]]):
                text = f"event {line['n']} of job {line['j']} was sent as {_TYPE[line['type']]}, {line['st']}"
                yield violation(9, text, line, stored)


def _check_watch_jobs(e: Evidence) -> Iterator[Violation]:
    last: dict[str, Line] = {}
    resumes: dict[int, bool] = {}
    is_whole = True
    """Whether the watch never started afresh: a fresh start does not show jobs that have already ended."""
    versions: dict[tuple[int, str], Line] = {}
    finished = False
    for line in e.clients:
        if line["e"] == "jobs_hello":
            resumes[line["s"]] = line["resumes"]
            is_whole = is_whole and (line["resumes"] or line["s"] == 1)
        elif line["e"] == "jobs_reset":
            is_whole = False
        elif line["e"] == "finished":
            finished = finished or not line["left"]
        elif line["e"] == "job":
            before = versions.get((line["s"], line["j"]))
            if before is not None and before["v"] > line["v"]:
                yield violation(
                    7, f"a watch of all jobs sent an older version of job {line['j']}", before, line
                )
            versions[line["s"], line["j"]] = line
            known = last.get(line["j"])
            if known is not None and known["st"] in ENDED_JOBS and line["st"] != known["st"]:
                yield violation(10, f"job {line['j']} was {known['st']}, and then {line['st']}", known, line)
            if known is None or known["v"] <= line["v"]:
                last[line["j"]] = line
    if not resumes or not finished or not is_whole:
        return
    for job_id, row in e.jobs.items():
        if row["job_type"] != "chaos":
            continue
        line = last.get(job_id)
        state = JOB_STATES[row["status"]]
        if line is None or line["st"] != state:
            number = 8 if any(resumes.values()) else 6
            shown = line["st"] if line else "nothing"
            yield violation(
                number, f"a watch of all jobs sent {shown} of job {job_id}, which is {state}", line, row
            )
