"""Tests of the worker. The fixtures `human` and `clock` come with `pip install 'askback[testing]'`."""

from __future__ import annotations

from pathlib import Path

import pytest

import release as program
from askback import JobFailed
from askback.testing import Clock, Human
from release import Outcome, Plan, Site, Target, release

PLAN = Plan(target=Target.PRODUCTION, canary_percent=10)
CHANGES = ["Approvals in the terminal"]


@pytest.fixture(autouse=True)
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test its own production."""
    monkeypatch.setattr(program, "SITE", tmp_path / "site.json")


async def test_it_goes_live_stage_by_stage(human: Human) -> None:
    human.on(key="plan").answers(PLAN)
    human.on("right notes").approves()
    human.on(key="go").approves("checked the ledger")
    stop = human.on(key="stop").never()
    run = await release.start(version="1.4.0", changes=CHANGES, pace=0.01)
    outcome = Outcome.model_validate(await run.result())
    assert outcome.released
    assert outcome.live == program.read_site()
    assert (outcome.live.version, outcome.live.percent) == ("1.4.0", 100)
    assert human.seen == ["plan", "notes", "go", "stop"]
    assert [prompt.blocking for prompt in stop.prompts] == [False]


async def test_the_notes_that_go_live_are_the_edited_ones(human: Human) -> None:
    human.on(key="plan").answers(PLAN)
    notes = human.on(kind="preview").edits({"notes": "# 1.4.0\n"})
    human.on(key="go").approves()
    human.on(key="stop").never()
    run = await release.start(version="1.4.0", changes=CHANGES, pace=0.01)
    await run.result()
    assert program.read_site().notes == "# 1.4.0\n"
    # The person was also shown the diff against the live notes.
    (shown,) = notes.prompts
    assert "+- Approvals in the terminal" in shown.contents[1].text


async def test_the_stop_button_restores_the_live_version(human: Human) -> None:
    human.on(key="plan").answers(PLAN)
    human.on(key="notes").approves()
    human.on(key="go").approves()
    human.on(key="stop").approves("errors are rising")
    run = await release.start(version="1.4.0", changes=CHANGES, pace=30)
    outcome = Outcome.model_validate(await run.result())
    assert (outcome.released, outcome.why) == (False, "errors are rising")
    assert program.read_site() == Site()


async def test_a_missed_deadline_means_no(human: Human, clock: Clock) -> None:
    human.on(key="plan").answers(PLAN)
    human.on(key="notes").approves()
    human.on(key="go").never()
    run = await release.start(version="1.4.0", changes=CHANGES)
    await clock.advance(hours=8)
    outcome = Outcome.model_validate(await run.result())
    assert (outcome.released, outcome.why, outcome.decided_by) == (False, "no decision in time", "")
    assert program.read_site() == Site()


async def test_notes_may_be_rejected(human: Human) -> None:
    human.on(key="plan").answers(PLAN)
    human.on(key="notes").declines("not the right day")
    run = await release.start(version="1.4.0", changes=CHANGES)
    assert Outcome.model_validate(await run.result()).why == "not the right day"


async def test_nothing_is_released_without_a_change(human: Human) -> None:
    run = await release.start(version="1.4.0", changes=[])
    with pytest.raises(JobFailed) as failed:
        await run.result()
    assert failed.value.failure_code == "NothingToRelease"
    assert human.seen == []
