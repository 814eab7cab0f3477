"""The demo's worker: a release approval that clarifies, previews with a diff, and confirms.

A real worker, run as a process of its own: `ASKBACK_SERVER=HOST:PORT python -m askback.demo.release`.
"""

from __future__ import annotations

import asyncio
import difflib
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, Field

from askback import Job, Worker
from askback.prompts import Content

worker = Worker(worker_id="release-bot", park_after=None)


class Target(StrEnum):
    """Where a release may go."""

    STAGING = "staging"
    PRODUCTION = "production"


class Plan(BaseModel):
    """What only a person can know."""

    target: Target = Field(title="Where should it go?")
    canary_percent: int = Field(ge=1, le=100, title="To how many percent of the users first?")
    reason: str = Field(default="", title="Why now?")


PREVIOUS = "# Release 1.3.0\n\n- Faster search\n"


def draft_notes(version: str, changes: list[str]) -> str:
    """Release notes from the list of changes."""
    return f"# Release {version}\n\n" + "".join(f"- {change}\n" for change in changes)


@worker.job("release")
async def release(job: Job, version: str, changes: list[str]) -> dict[str, Any]:
    """Bring a version out, with people's consent at each turn."""
    await job.progress(1, 4, "reading the changes")
    plan = await job.ask(
        f"How should {version} be released?",
        Plan,
        key="plan",
        body=f"It has **{len(changes)} changes**. A canary limits what can go wrong.",
    )
    await job.progress(2, 4, f"writing the notes for {plan.target}")
    notes = await job.step("notes", draft_notes, version, changes)
    diff = "".join(
        difflib.unified_diff(
            PREVIOUS.splitlines(keepends=True), notes.splitlines(keepends=True), "before", "after"
        )
    )
    shown = await job.preview(
        f"Are these the right notes for {version}?",
        key="notes",
        contents=[
            Content("notes", notes, "Release notes", "text/markdown", editable=True),
            Content("diff", diff, "Against the last release", "text/x-diff"),
        ],
    )
    if not shown:
        return {"released": False, "why": shown.comment}
    await job.progress(3, 4, "ready to go")
    consent = await job.confirm(
        f"Release {version} to {plan.target} now?",
        key="go",
        body=f"{plan.canary_percent} % of the users get it first.",
    )
    if not consent:
        return {"released": False, "why": consent.comment}
    await job.progress(4, 4, "released", milestone=True)
    return {
        "released": True,
        "target": plan.target,
        "canary_percent": plan.canary_percent,
        "notes": shown.text("notes"),
        "approved_by": consent.by,
        "comment": consent.comment,
    }


if __name__ == "__main__":
    asyncio.run(worker.run())
