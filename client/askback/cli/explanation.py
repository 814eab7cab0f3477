"""Explains what a job waits for: who may answer, until when, what happened so far, which command to type.

`explain_job` collects it in a JSON object, which `askback explain --json` prints; `lines` formats it for
people.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from askback._model.enums import AnswerStatus, FinalAction, JobState, member_of
from askback._model.jobs import Event, JobInfo
from askback._model.prompts import PromptInfo
from askback._model.resolutions import AnswerInfo
from askback._model.times import moment, timestamp
from askback._text.spans import Times, span_words
from askback._text.text import one_line
from askback.cli.answer_commands import commands_for_caller
from askback.cli.connection import Connection
from askback.cli.event_words import event_words
from askback.cli.record import record
from askback.cli.words import audience_words, decision_words, fields, json_words
from askback.terminal.author_words import answer_author
from askback.terminal.delegation_words import delegation_words
from askback.terminal.vote_words import exclusion_words, progress_words
from askback.terminal.words import names_words
from askback.v1 import prompt_pb2 as pb

Submissions = Sequence[tuple[AnswerInfo, AnswerStatus]]
_WHY = {
    AnswerStatus.STALE: "the question had changed since it was shown",
    AnswerStatus.CLOSED: "it came after the end",
}


def explain_job(
    job: JobInfo,
    asked: Iterable[tuple[PromptInfo, Submissions]],
    events: Sequence[Event],
    connection: Connection,
    times: Times,
) -> dict[str, Any]:
    """The explanation of a job. `asked` has its open prompts, each with the answers submitted so far."""
    prompts = [
        _prompt(
            prompt, submissions, [e for e in events if e.prompt_id == prompt.prompt_id], connection, times
        )
        for prompt, submissions in asked
    ]
    verb = "watch" if not job.state.is_terminal else "" if job.proto.workerless else "retry"
    again = verb == "watch" or (job.state in (JobState.FAILED, JobState.CANCELLED) and not job.head_only)
    return {
        "job": record(job.proto),
        "summary": job_summary(job, times, events[-1].at if events else None),
        "prompts": prompts,
        "byDefault": _by_default(events),
        "commands": [connection.command(f"job {verb} {job.job_id}")] if verb and again else [],
    }


def _by_default(events: Sequence[Event]) -> list[dict[str, Any]]:
    """The prompts that their deadline's default has answered, oldest first, as JSON objects."""
    return [
        {
            "promptId": event.prompt_id,
            "time": timestamp(event.at).ToJsonString() if event.at else "",
            "decision": str(event.data.get("decision", "")),
            "words": f"{event_words(event)}; no answer in time",
        }
        for event in events
        if event.type == "PROMPT_ANSWERED" and event.data.get("source") == "TIMEOUT_DEFAULT"
    ]


def job_summary(job: JobInfo, times: Times, changed: datetime | None) -> str:
    """What the job waits for, to follow its name; `changed` is the time of its last event."""
    lasted = span_words(times.now - changed) if changed else ""
    since = f" for {lasted}" if lasted else ""
    failure = f"{one_line(job.failure[0])}: {one_line(job.failure[1])}" if job.failure else ""
    ready = moment(job.proto, "ready_time")
    match job.state:
        case JobState.PENDING_HITL if job.head_only and not job.proto.open_blocking_prompts:
            text = "waits for people: others must answer questions that you may not see"
        case JobState.PENDING_HITL:
            blocking = job.proto.open_blocking_prompts
            text = f"waits for people: {blocking} question{'' if blocking == 1 else 's'} must be answered"
        case JobState.PENDING if job.head_only and ready is not None and ready > times.now:
            text = f"waits, and goes on {times.when(ready)}"
        case JobState.PENDING if ready is not None and ready > times.now and not failure:
            text = f"starts {times.when(ready)}"
        case JobState.PENDING if ready is not None and ready > times.now:
            text = f"tries again {times.when(ready)} after a failed attempt ({failure})"
        case JobState.PENDING:
            kind = one_line(job.job_type)
            waited = f"has waited {lasted}" if lasted else "waits"
            text = f"{waited} for a worker: start one for the job type {kind!r} if no worker serves it, "
            text += "or look why none is free"
        case JobState.RUNNING if job.head_only:
            text = f"runs; no news{since}"
        case JobState.RUNNING:
            text = f"runs at the worker {one_line(job.worker_id)}, attempt {job.attempt}; no news{since}"
            if job.run_expires_at is not None:
                text += f"; the attempt times out {times.when(job.run_expires_at)}"
        case JobState.FAILED:
            text = f"has failed: {failure}" if failure else "has failed"
        case other:
            text = f"is {other.lower()}: it waits for nothing"
    if job.expires_at is not None and not job.state.is_terminal:
        text += f"; it fails {times.when(job.expires_at)} unless it has ended by then"
    asked_to_stop = moment(job.proto, "cancel_request_time")
    if asked_to_stop is not None and not job.state.is_terminal:
        text += f"; it was asked to stop {times.when(asked_to_stop)} and ends when its worker agrees"
    return text


def _prompt(
    prompt: PromptInfo,
    submissions: Submissions,
    events: Sequence[Event],
    connection: Connection,
    times: Times,
) -> dict[str, Any]:
    audience = prompt.proto.content.audience
    return {
        "prompt": record(prompt.proto),
        "canAnswer": {
            "everybody": not audience.users and not audience.groups,
            "users": sorted(audience.users),
            "groups": sorted(audience.groups),
            # Where people vote, admins outside the audience only override.
            "words": audience_words(prompt) + ("" if prompt.approval else "; admins too"),
        },
        "delegated": [one_line(delegation_words(each, times.now)) for each in prompt.delegations],
        "unattended": _presence(prompt, times),
        "claim": _claim(prompt, times),
        "escalation": _escalation(prompt, times),
        "reminders": _reminders(prompt, times),
        "deadline": _deadline(prompt, times),
        "history": _history(submissions, events),
        "commands": commands_for_caller(prompt, connection),
    }


def _presence(prompt: PromptInfo, times: Times) -> dict[str, Any] | None:
    since = prompt.unattended_since
    if since is None:
        return None
    words = (
        f"no one who may answer has a console open; noticed {times.when(since)}. Tell someone, or escalate"
    )
    return {"since": timestamp(since).ToJsonString(), "words": words}


def _claim(prompt: PromptInfo, times: Times) -> dict[str, Any] | None:
    until = moment(prompt.proto, "claim_expire_time")
    if not prompt.claimed_by or until is None:
        return None
    who = one_line(prompt.claimed_by)
    words = (
        f"by {who}; the claim ends {times.when(until)}, until then no one else can answer"
        if until > times.now
        else f"by {who}; the claim ended {times.when(until)}, everyone named can answer"
    )
    return {"by": prompt.claimed_by, "until": timestamp(until).ToJsonString(), "words": words}


def _escalation(prompt: PromptInfo, times: Times) -> list[dict[str, Any]]:
    """The escalation steps in the future, the next one first: the time, and the people asked then."""
    steps, at = prompt.proto.content.escalation[prompt.escalation_step :], prompt.escalates_at
    coming: list[dict[str, Any]] = []
    if at is None:
        return coming
    for step in steps:
        when_taken = at + (step.after.ToTimedelta() - steps[0].after.ToTimedelta())
        named = names_words(step.to.users, step.to.groups)
        what = f"{named or 'everyone'} is asked instead" if step.replace else f"{named} is asked too"
        if not named and not step.replace:
            what = "it becomes more urgent"
        coming.append(
            {
                "time": timestamp(when_taken).ToJsonString(),
                "users": sorted(step.to.users),
                "groups": sorted(step.to.groups),
                "replace": step.replace,
                "words": f"{times.when(when_taken)}: {what}",
            }
        )
    return coming


def _reminders(prompt: PromptInfo, times: Times) -> dict[str, Any] | None:
    if not prompt.proto.content.HasField("reminders"):
        return None
    following = moment(prompt.proto, "next_remind_time")
    so_far = f"{prompt.remind_count} so far"
    return {
        "count": prompt.remind_count,
        "next": timestamp(following).ToJsonString() if following else "",
        "words": f"{times.when(following)}: consoles remind people; {so_far}" if following else so_far,
    }


def _deadline(prompt: PromptInfo, times: Times) -> dict[str, Any] | None:
    at = prompt.expires_at
    if at is None:
        return None
    content = prompt.proto.content
    action = member_of(FinalAction, pb.FinalAction, "FINAL_ACTION_", content.final_action)
    match action:
        case FinalAction.DEFAULT:
            default = AnswerInfo.from_proto(
                pb.Answer(
                    decision=content.default_answer.decision,
                    values_json=content.default_answer.values_json,
                    comment=content.default_answer.comment,
                )
            )
            values = "" if default.values is None else f" {json_words(default.values_json)}"
            what = f"the default answer is taken: {decision_words(default.decision)}{values}"
        case FinalAction.FAIL_JOB:
            what = "the question expires and the job fails"
        case _:
            what = "the question expires and the job learns that there was no answer"
    return {
        "time": timestamp(at).ToJsonString(),
        "action": str(action),
        "words": f"{times.when(at)}: {what}",
    }


def _history(submissions: Submissions, events: Sequence[Event]) -> list[dict[str, Any]]:
    """The history of the prompt, oldest first, with the contents of its answers."""
    by_id = {answer.answer_id: (answer, status) for answer, status in submissions}
    history = []
    for event in events:
        submitted = by_id.get(str(event.data.get("answer_id", "")))
        if submitted is None or event.type == "VOTE_WITHDRAWN":
            words = event_words(event)
        else:
            words = _submission(*submitted, verb="voted" if event.type == "PROMPT_VOTED" else "answered")
        history.append(
            {
                "time": timestamp(event.at).ToJsonString() if event.at else "",
                "type": event.type,
                "actor": event.actor,
                "words": words,
            }
        )
    return history


def _submission(answer: AnswerInfo, status: AnswerStatus, *, verb: str) -> str:
    text = f"{one_line(answer_author(answer))} {verb} {decision_words(answer.decision)!r}"
    if answer.values is not None:
        text += f" {json_words(answer.values_json)}"
    if status in (AnswerStatus.ACCEPTED, AnswerStatus.RECORDED):
        return text
    faults = "; ".join(f"{one_line(v.field)}: {one_line(v.description)}" for v in answer.violations)
    return f"{text} and was refused ({status}): {faults or _WHY.get(status, '')}"


def lines(
    explanation: dict[str, Any], job: JobInfo, prompts: Sequence[PromptInfo], times: Times
) -> list[str]:
    """The lines of the explanation for people."""
    rows = [f"{one_line(job.job_type)} {job.job_id} {explanation['summary']}"]
    for prompt, found in zip(prompts, explanation["prompts"], strict=True):
        named = f" ({one_line(prompt.key)})" if prompt.key else ""
        waits = "" if prompt.proto.content.blocking else ", the job goes on meanwhile"
        rows += ["", f"#{prompt.proto.round} {one_line(prompt.kind)}{named}: {one_line(prompt.title)}{waits}"]
        claim, deadline, missed = found["claim"], found["deadline"], found["unattended"]
        facts = fields(
            [
                ("who can answer", found["canAnswer"]["words"]),
                *(("delegated", words) for words in found["delegated"]),
                ("excluded", one_line(exclusion_words(prompt))),
                ("approval", one_line("; ".join(progress_words(prompt)))),
                *([("unattended", missed["words"])] if missed else []),
                ("claimed", claim["words"] if claim else "no"),
                *(("then" if n else "escalation", s["words"]) for n, s in enumerate(found["escalation"])),
                ("reminders", found["reminders"]["words"] if found["reminders"] else ""),
                ("deadline", deadline["words"] if deadline else "none: it waits until it is answered"),
            ]
        )
        rows += [f"   {row}" for row in facts]
        rows.append("   so far")
        rows += [f"     {_stamp(step, times)}: {step['words']}" for step in found["history"]]
        rows.append("   to answer it")
        rows += [f"     {command}" for command in found["commands"]]
    if explanation["byDefault"]:
        rows += ["", "answered by default"]
        rows += [f"  {_stamp(step, times)}: {step['words']}" for step in explanation["byDefault"]]
    if explanation["commands"]:
        retry = job.state.is_terminal
        rows += ["", "to do it again" if retry else "to follow it"]
        rows += [f"  {command}" for command in explanation["commands"]]
    return rows


def _stamp(step: dict[str, Any], times: Times) -> str:
    return times.when(datetime.fromisoformat(step["time"])) if step["time"] else ""
