"""The figures of a namespace as tables for people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from askback._model.overview import Activity, ActivityCounts, ConnectedStreams, Overview, Waiting
from askback._text.handle import handles
from askback._text.spans import Times, exact_time, span_words
from askback._text.table import Column
from askback.cli.output import Output

_QUESTIONS = {
    "ASKED": "prompts_asked",
    "ANSWERED": "prompts_answered",
    "DEFAULT": "prompts_defaulted",
    "CARRIED": "prompts_carried",
    "EXPIRED": "prompts_expired",
    "WITHDRAWN": "prompts_withdrawn",
}
_JOBS = {
    "CREATED": "jobs_created",
    "COMPLETED": "jobs_completed",
    "FAILED": "jobs_failed",
    "CANCELLED": "jobs_cancelled",
}
_TIMES = {"P50": "p50", "P90": "p90", "P99": "p99"}
_ALL = "all"
_ALWAYS = {"ASKED", "ANSWERED", "EXPIRED", "CREATED", "COMPLETED", "FAILED", "P50", "P90"}
"""Columns that are shown even if nothing is in them."""


def write_overview(out: Output, overview: Overview) -> None:
    """Print what waits, the oldest of it, who is connected, and what happened."""
    times = Times(overview.time or datetime.now(UTC), out.verbose)
    out.line(_waits(overview))
    if overview.waiting.total:
        out.line()
        out.table(_by_kind(overview))
        out.line()
        out.table(_oldest(overview, times))
    if overview.connected is not None:
        out.line()
        out.line(_connected(overview.connected))
    if overview.activity is not None:
        _write_activity(out, overview.activity, times)
    else:
        out.note("these are the figures of the questions that you may answer; the role client sees all")


def _waits(overview: Overview) -> str:
    total = overview.waiting.total
    if not total:
        return "nothing waits for an answer"
    words = "1 question waits" if total == 1 else f"{total} questions wait"
    more = ", and younger ones that are not counted" if overview.partial else ""
    return f"{words}{more}; {overview.waiting.unattended} unattended"


def _by_kind(overview: Overview) -> list[Column]:
    rows = {**overview.by_kind, _ALL: overview.waiting}
    if len(rows) == 2:  # one kind, and the same again
        del rows[_ALL]
    classes = [_age(at, overview.waiting) for at in range(len(overview.waiting.by_age))]
    counts = list(rows.values())
    return [
        Column("KIND", list(rows), important=True),
        Column("WAIT", [each.total for each in counts], important=True),
        Column("UNATTENDED", [each.unattended for each in counts], important=True),
        *(Column(name, [each.by_age[at][1] for each in counts]) for at, name in enumerate(classes)),
    ]


def _age(at: int, waiting: Waiting) -> str:
    """The name of an age class: from the bound of the class before to its own."""
    bound = waiting.by_age[at][0]
    before = waiting.by_age[at - 1][0] if at else None
    if before is None:
        return f"<{span_words(bound)}" if bound else _ALL
    return f"{span_words(before)}-{span_words(bound)}" if bound else f">{span_words(before)}"


def _oldest(overview: Overview, times: Times) -> list[Column]:
    found, exact = overview.oldest, times.exact
    short = handles(prompt.prompt_id for prompt in found)
    ids = [each.prompt_id if exact else short[each.prompt_id] for each in found]
    ages = [times.age(each.created_at) for each in found]
    return [
        Column("OLDEST", ids, important=True),
        Column("ASKED" if exact else "AGE", ages, important=True),
        Column("KIND", [each.kind for each in found]),
        Column("TITLE", [each.title for each in found], wide=True, informative=True),
        Column("JOB", [each.job_type for each in found]),
        Column("PRIO", [each.priority or "" for each in found]),
        Column("CLAIMED", [each.claimed_by for each in found]),
        Column("UNATTENDED", ["yes" if each.unattended_since else "" for each in found]),
    ]


def _connected(found: ConnectedStreams) -> str:
    people = "1 person" if found.people == 1 else f"{found.people} people"
    views = "1 open view" if found.consoles == 1 else f"{found.consoles} open views"
    workers = "1 worker" if found.workers == 1 else f"{found.workers} workers"
    return f"connected: {people} with {views}, {workers}"


def _write_activity(out: Output, activity: Activity, times: Times) -> None:
    out.line()
    counted = times.when(activity.counted_until)
    out.line(f"since {times.when(activity.start)}; counted until: {counted or 'nothing is counted yet'}")
    questions = {f"{job} {kind}": counts for (job, kind), counts in activity.by_type.items() if kind}
    jobs = {job or "deleted": counts for (job, kind), counts in activity.by_type.items() if not kind}
    steps = {exact_time(begin): counts for begin, counts in activity.points.items()}
    for title, rows, measures in (("QUESTIONS OF", questions, _QUESTIONS), ("JOBS OF", jobs, _JOBS)):
        out.line()
        out.table(_counted(title, {**rows, _ALL: activity.total}, measures))
        if out.verbose:
            out.line()
            out.table(_counted("FROM", steps, measures))


def _counted(title: str, rows: dict[str, ActivityCounts], measures: dict[str, str]) -> list[Column]:
    counts: Sequence[ActivityCounts] = list(rows.values())
    columns = [Column(title, list(rows), important=True)]
    columns += [
        Column(name, [getattr(each, field) for each in counts], important=name in _ALWAYS)
        for name, field in measures.items()
    ]
    if measures is _QUESTIONS:
        columns += [
            Column(name, [_span(getattr(each, field)) for each in counts], important=name in _ALWAYS)
            for name, field in _TIMES.items()
        ]
    return columns


def _span(found: timedelta | None) -> str:
    return "-" if found is None else span_words(found)
