"""A worker that publishes a release, with people's consent at each step.

It asks for the plan, has the notes approved beside their diff, asks for the final go, and rolls out in stages
while people can press a stop button. `python release.py` runs it.
"""

from __future__ import annotations

import asyncio
import difflib
import logging
import os
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, Field

from askback import Content, DecisionKind, Job, NonRetryable, Option, Worker

SITE = Path(os.environ.get("RELEASE_SITE", "site.json"))
"""The file that stands for production: your load balancer, app store, or other target."""
DESK = ("group:release-desk",)
"""Only these people see the questions and may answer them."""

# A stage may last long. When this worker is stopped, another one continues the roll-out.
worker = Worker(worker_id="release-bot", drain_timeout=3.0)


class Target(StrEnum):
    """The targets of a release."""

    STAGING = "staging"
    PRODUCTION = "production"


class Plan(BaseModel):
    """The plan, which only a person can make. The model is the form; the answer is an instance of it."""

    target: Target = Field(title="Where should it go?")
    canary_percent: int = Field(ge=1, le=100, title="To how many percent of the users first?")
    reason: str = Field(default="", title="Why now?")


class Site(BaseModel):
    """The live version."""

    version: str = "1.3.0"
    target: Target = Target.PRODUCTION
    percent: int = 100
    notes: str = "# Release 1.3.0\n\n- Faster search\n"


class Outcome(BaseModel):
    """The job's result."""

    released: bool
    why: str
    decided_by: str
    live: Site


def read_site() -> Site:
    """Read the live version."""
    return Site.model_validate_json(SITE.read_bytes()) if SITE.exists() else Site()


def publish(site: Site) -> None:
    """Make a version live, atomically and idempotently."""
    draft = SITE.with_suffix(".new")
    draft.write_text(site.model_dump_json(indent=2))
    draft.replace(SITE)


def draft_notes(version: str, changes: list[str]) -> str:
    """Write release notes from the list of changes."""
    return f"# Release {version}\n\n" + "".join(f"- {change}\n" for change in changes)


def diff(before: str, after: str) -> str:
    """The changes in the notes, as a unified diff."""
    return "".join(
        difflib.unified_diff(before.splitlines(True), after.splitlines(True), "live now", "this release")
    )


@worker.job("release")
async def release(job: Job, version: str, changes: list[str], pace: float = 1.0) -> Outcome:
    """Publish `version`; `pace` is the number of seconds from one stage to the next."""
    if not changes:
        # Every attempt would fail. Any other exception is retried, with backoff.
        raise NonRetryable("a release needs at least one change", code="NothingToRelease")
    # A step is not run again: after the first stage it would read our own release.
    before = await job.step("before", read_site)

    await job.progress(1, 4, "reading the changes")
    plan = await job.ask(
        f"How should {version} be released?",
        Plan,
        key="plan",
        body=f"It has **{len(changes)} changes**. A canary limits what can go wrong.",
        to=DESK,
    )

    await job.progress(2, 4, f"writing the notes for {plan.target}")
    notes = draft_notes(version, changes)
    shown = await job.preview(
        f"Are these the right notes for {version}?",
        key="notes",
        contents=[
            Content("notes", notes, "Release notes", editable=True),
            Content("diff", diff(before.notes, notes), "Against what is live", "text/x-diff"),
        ],
        # By default a preview also offers REVISE. This worker cannot rewrite notes from a comment, so it does
        # not offer that.
        decisions=[
            Option(DecisionKind.ACCEPT, "Use them"),
            Option(DecisionKind.EDIT, "Use my text"),
            Option(DecisionKind.REJECT, "Do not release", comment_required=True),
        ],
        to=DESK,
    )
    if not shown:
        return Outcome(released=False, why=shown.comment, decided_by=shown.by, live=before)

    await job.progress(3, 4, "ready to go")
    go = await job.confirm(
        f"Release {version} to {plan.target} now?",
        key="go",
        body=f"{plan.canary_percent} % of the users get it first.",
        to=DESK,
        priority=10,
        decisions=[
            Option(DecisionKind.ACCEPT, "Release now"),
            Option(DecisionKind.REJECT, "Do not release"),
        ],
        # Silence is never a yes: without a decision within a working day the answer is no.
        deadline=timedelta(hours=8),
        default=False,
    )
    if not go:
        why = go.comment or ("no decision in time" if go.by_default else "")
        return Outcome(released=False, why=why, decided_by=go.by, live=before)

    new = Site(version=version, target=plan.target, percent=0, notes=shown.text("notes"))
    return await roll_out(job, before, new, plan.canary_percent, pace, go.by)


async def roll_out(job: Job, before: Site, new: Site, canary: int, pace: float, by: str) -> Outcome:
    """Publish in stages, with a stop button; on a stop or a cancel restore the previous version."""
    # Not blocking: the job stays RUNNING, and may end while this question is open.
    stop = asyncio.create_task(
        job.confirm(
            f"Stop the roll-out of {new.version}?",
            key="stop",
            body=f"After {canary} % all users get it, stage by stage, unless you stop it.",
            blocking=False,
            decisions=[Option(DecisionKind.ACCEPT, "Stop and go back", comment_required=True)],
            to=DESK,
        )
    )
    try:
        for percent in sorted({canary, max(canary, 50), 100}):
            live = new.model_copy(update={"percent": percent})
            # After a crash between `publish` and its checkpoint the step runs again: `publish` is idempotent.
            await job.step(f"at-{percent}", publish, live)
            await job.progress(3, 4, f"{percent} % of the users have {new.version}")
            await asyncio.wait([stop], timeout=pace if percent < 100 else 0)
            if stop.done():
                await job.step("back", publish, before)
                pressed = stop.result()
                return Outcome(released=False, why=pressed.comment, decided_by=pressed.by, live=before)
    except asyncio.CancelledError:
        # After parking, a drain or a lost lease another run continues. Only a cancel is final.
        if job.cancel_reason is not None:
            publish(before)
        raise
    finally:
        stop.cancel()
    await job.progress(4, 4, "released", milestone=True)
    return Outcome(released=True, why="", decided_by=by, live=live)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    asyncio.run(worker.run())
