"""Tests of the worker. The fixtures `human` and `clock` come with `pip install 'askback[testing]'`."""

from __future__ import annotations

from pathlib import Path

import pytest

import document as doc
from askback import Client, JobFailed
from askback.testing import Clock, Human
from understand import AT_ONCE, Brief, Outcome, Reader, understand

TEXT = (Path(__file__).parent / "requirements.md").read_text()
BRIEF = Brief(problem="Tickets get lost.", reader=Reader.TESTERS, ready_at=100)
SETTLED = {
    "p1": "2 seconds",
    "p2": "20 agents",
    "p3": "two days",
    "p4": "optional",
    "p5": "by month",
    "p6": "within 4 hours",
    "p7": "no manual is needed",
}


def test_open_points_are_sorted_by_weight() -> None:
    points = doc.open_points(TEXT)
    assert [point.found for point in points] == [
        "TBD",
        "fast",
        "Several",
        "should",
        "soon",
        "etc.",
        "user-friendly",
    ]
    assert doc.readiness(points, {}) == 0
    assert doc.readiness(points, SETTLED) == 1
    assert doc.open_points("Clear and short-lived: shoulder to shoulder, handsome.") == []


async def test_it_asks_until_it_is_ready(human: Human) -> None:
    human.on(key="brief").answers(BRIEF)
    rounds = human.on(kind="deep_understanding").answers(
        lambda prompt: {name: SETTLED[name] for name in (prompt.schema or {})["properties"]}
    )
    human.on(kind="confirm").revises("Merging keeps both histories.").approves()
    human.on(kind="preview").approves()
    human.on(kind="validate").approves("hand it over")
    run = await understand.start(document=TEXT)
    outcome = Outcome.model_validate(await run.result())
    assert (outcome.accepted, outcome.score, outcome.left_open) == (True, 1.0, [])
    assert "fast, also on a phone. *(fast: 2 seconds)*" in outcome.text
    assert outcome.text.endswith("- Merging keeps both histories.\n")
    # 7 points, three at a time, and no point is asked twice.
    asked = [name for prompt in rounds.prompts for name in (prompt.schema or {})["properties"]]
    assert sorted(asked) == sorted(SETTLED)
    assert len(rounds.prompts) == -(-7 // AT_ONCE)
    async with Client() as client:
        known = await client.understanding(run.job_id)
    assert (known.readiness_score, known.complete, known.user_problem) == (1.0, True, "Tickets get lost.")
    assert len(known.questions_asked) == len(known.answers) == 3


async def test_people_may_proceed_with_open_points(human: Human) -> None:
    human.on(key="brief").answers(BRIEF)
    human.on(kind="deep_understanding").answers({"p3": "two days"}).approves()
    human.on(kind="confirm").approves()
    human.on(kind="preview").edits({"draft": "# All new\n"})
    report = human.on(kind="validate").approves()
    run = await understand.start(document=TEXT)
    outcome = Outcome.model_validate(await run.result())
    assert (outcome.accepted, outcome.text) == (True, "# All new\n")
    assert len(outcome.left_open) == 6
    assert '"edited": true' in report.prompts[0].contents[0].text


async def test_a_rejected_understanding_leaves_the_text_unchanged(human: Human) -> None:
    human.on(key="brief").answers(BRIEF)
    human.on(kind="deep_understanding").approves()
    human.on(kind="confirm").declines("we meant something else")
    run = await understand.start(document=TEXT)
    outcome = Outcome.model_validate(await run.result())
    assert (outcome.accepted, outcome.text) == (False, TEXT)
    assert outcome.comment == "we meant something else"


async def test_a_job_without_an_answer_fails_after_a_week(human: Human, clock: Clock) -> None:
    human.on(key="brief").never()
    run = await understand.start(document=TEXT)
    await clock.advance(days=7)
    with pytest.raises(JobFailed):
        await run.result()


async def test_rejecting_a_round_fails_the_job(human: Human) -> None:
    human.on(key="brief").answers(BRIEF)
    human.on(kind="deep_understanding").declines("out of scope")
    run = await understand.start(document=TEXT)
    with pytest.raises(JobFailed, match="out of scope") as failed:
        await run.result()
    assert failed.value.failure_code == "NotUnderstood"
