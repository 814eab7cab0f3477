"""A worker that understands a requirements text before it touches it.

It clarifies the brief, asks round by round for what the text leaves open until the readiness score
passes the threshold, has its understanding confirmed, shows a draft that may be edited, and has the
result validated. `python understand.py` runs it.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from enum import StrEnum
from itertools import count

from pydantic import BaseModel, Field

import document as doc
from askback import Content, DecisionKind, FinalAction, Job, NonRetryable, PromptDeclined, Worker

AT_ONCE = 3
"""Questions in one round: more at once, and people stop reading."""

# People may think for days. After five quiet seconds the worker forgets such a job altogether; when
# the answer is there, any worker runs the function again from the top, and every `ask` and `step`
# that is known already returns at once.
worker = Worker(worker_id="reader-bot", park_after=5.0)


class Reader(StrEnum):
    """For whom the text is."""

    DEVELOPERS = "developers"
    TESTERS = "testers"
    BUYERS = "buyers"


class Brief(BaseModel):
    """What must be known before the first question about the text."""

    problem: str = Field(min_length=10, title="Which problem does it solve, in a sentence?")
    reader: Reader = Field(title="Who reads the result?")
    ready_at: int = Field(default=80, ge=50, le=100, title="How ready must it be, in percent?")


class Outcome(BaseModel):
    """The job's result."""

    accepted: bool
    score: float
    left_open: list[str]
    text: str
    comment: str = ""


async def learn(job: Job, points: list[doc.OpenPoint], answers: dict[str, str]) -> float:
    """Write down what is understood by now, and return the score."""
    score = doc.readiness(points, answers)
    # The server keeps questions_asked and answers itself, as rounds are asked and answered.
    await job.update_understanding(readiness_score=score, summary=doc.summary(points, answers))
    return score


@worker.job("understand")
async def understand(job: Job, document: str) -> Outcome:
    """Find out what `document` means, and write it down so that nobody has to ask again."""
    if not document.strip():
        raise NonRetryable("the document is empty", code="EmptyDocument")
    # A checkpoint although it is pure: a newer version of this program may find other points, and
    # the questions of a job that is under way must stay what they are.
    points = await job.step("points", doc.open_points, document)

    brief = await job.ask(
        "What is this document for?",
        Brief,
        key="brief",
        body=f"It leaves **{len(points)} points** open.",
        contents=[Content("document", document, "The document")],
        # Nobody answers for a week: then nobody needs it, and the job fails for good.
        deadline=timedelta(days=7),
        on_deadline=FinalAction.FAIL_JOB,
    )
    await job.step("brief", note_brief, job, brief, len(points))

    answers = await enough_answers(job, points, brief.ready_at / 100)
    score = doc.readiness(points, answers)

    remarks: list[str] = []
    for turn in count(1):
        await job.progress(round(score * 100), 100, "waiting for the understanding to be confirmed")
        meant = await job.confirm(
            "Is this what is meant?",
            # Another question needs another key: an answer belongs to what was on the screen.
            key=f"meant-{turn}",
            body=doc.summary(points, answers, remarks) or "Nothing was open.",
        )
        if meant.decision is not DecisionKind.REVISE:
            break
        remarks.append(meant.comment)
    left = [point.question for point in doc.open_points_left(points, answers)]
    if not meant:
        return Outcome(accepted=False, score=score, left_open=left, text=document, comment=meant.comment)

    draft = doc.clarify(document, points, answers, remarks)
    shown = await job.preview(
        f"The text for {brief.reader}",
        key="draft",
        contents=[
            Content("draft", draft, "Clarified", editable=True),
            Content("diff", doc.diff(document, draft), "What has changed", "text/x-diff"),
        ],
        decisions=[DecisionKind.ACCEPT, DecisionKind.EDIT, DecisionKind.REJECT],
    )
    text = shown.text("draft") if shown else document
    valid = await job.validate(
        "Does the text hold what it must?",
        key="valid",
        report={"readiness_score": score, "left_open": left, "edited": bool(shown.edits)},
        decisions=[DecisionKind.ACCEPT, DecisionKind.REJECT],
    )
    return Outcome(
        accepted=bool(shown and valid),
        score=score,
        left_open=left,
        text=text,
        comment=valid.comment,
    )


async def note_brief(job: Job, brief: Brief, points: int) -> None:
    """Put what we were told, and what we did ourselves, into the understanding."""
    research = [{"did": "looked for words that leave something open", "found": points}]
    await job.update_understanding(user_problem=brief.problem, research_performed=research)


async def enough_answers(job: Job, points: list[doc.OpenPoint], threshold: float) -> dict[str, str]:
    """Ask in rounds until the score passes the threshold, or people want to go on as it is."""
    answers: dict[str, str] = {}
    score = doc.readiness(points, answers)
    for turn in count(1):
        if score >= threshold:
            break
        await job.progress(round(score * 100), 100, f"round {turn}")
        try:
            given = await job.ask(
                f"Round {turn}: what does the text mean?",
                doc.form(doc.open_points_left(points, answers)[:AT_ONCE]),
                key=f"round-{turn}",
                kind="deep_understanding",
                body=f"Readiness is {score:.0%}, {threshold:.0%} is wanted. Leave open what you do not know.",
            )
        except PromptDeclined as no:
            raise NonRetryable(f"stopped by {no.by}: {no.comment}", code="NotUnderstood") from None
        if not given:
            # “Proceed”, the kind's other answer: without values.
            break
        answers |= given
        score = await job.step(f"round-{turn}", learn, job, points, answers)
    await job.step("understood", finish, job)
    return answers


async def finish(job: Job) -> None:
    """The dialogue has come to its end."""
    await job.update_understanding(complete=True)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    asyncio.run(worker.run())
