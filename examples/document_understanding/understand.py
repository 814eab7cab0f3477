"""A worker that makes sure it understands a requirements text before it changes it.

It clarifies the brief and asks in rounds about the open points of the text, until the readiness score passes
the threshold. Then people confirm its understanding, edit a draft, and validate the result.
`python understand.py` runs it.
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
"""Questions in one round. People stop reading if there are more."""

# People may think for days. After five seconds of only waiting the worker gives the job up. When the answer
# arrives, any worker runs the function again from the top, and every `ask` and `step` that has a stored
# result returns at once.
worker = Worker(worker_id="reader-bot", park_after=5.0)


class Reader(StrEnum):
    """The readers of the text."""

    DEVELOPERS = "developers"
    TESTERS = "testers"
    BUYERS = "buyers"


class Brief(BaseModel):
    """The answers that are needed before the first question about the text."""

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
    """Store the current score and summary in the job's understanding, and return the score."""
    score = doc.readiness(points, answers)
    # The server itself updates questions_asked and answers with each round.
    await job.update_understanding(readiness_score=score, summary=doc.summary(points, answers))
    return score


@worker.job("understand")
async def understand(job: Job, document: str) -> Outcome:
    """Find out what `document` means, and write a clear text that needs no further questions."""
    if not document.strip():
        raise NonRetryable("the document is empty", code="EmptyDocument")
    # A step although the function is pure: a newer version of this program may find other points, but the
    # questions of a job in progress must not change.
    points = await job.step("points", doc.open_points, document)

    brief = await job.ask(
        "What is this document for?",
        Brief,
        key="brief",
        body=f"It leaves **{len(points)} points** open.",
        contents=[Content("document", document, "The document")],
        # Without an answer for a week the document is not needed: fail the job.
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
            # Each question needs its own key: an answer belongs to the text that was on the screen.
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
    """Store the brief, and the research of the worker, in the job's understanding."""
    research = [{"did": "looked for words that leave something open", "found": points}]
    await job.update_understanding(user_problem=brief.problem, research_performed=research)


async def enough_answers(job: Job, points: list[doc.OpenPoint], threshold: float) -> dict[str, str]:
    """Ask in rounds until the score passes the threshold, or people decide to proceed."""
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
            # ACCEPT (“Proceed”) is the other decision of this kind, and has no values.
            break
        answers |= given
        score = await job.step(f"round-{turn}", learn, job, points, answers)
    await job.step("understood", finish, job)
    return answers


async def finish(job: Job) -> None:
    """Mark the job's understanding as complete."""
    await job.update_understanding(complete=True)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    asyncio.run(worker.run())
