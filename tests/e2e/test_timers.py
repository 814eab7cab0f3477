"""Timers of a killed replica fire at another one, each once."""

import asyncio
from datetime import timedelta

import pytest

from askback import After, Client, JobState, PromptState
from tests.support.processes import Processes, eventually

pytestmark = pytest.mark.parametrize("database_kind", ["postgres"], indirect=True)

STEPS = (1.0, 2.0, 3.0)
END = 4.0


async def test_escalations_fire_once_after_their_replica_is_killed(
    processes: Processes, migrated_db_url: str
) -> None:
    a, b = await asyncio.gather(*(processes.server(migrated_db_url, name=name) for name in "ab"))
    async with Client(a.target, user="ana") as at_a, Client(b.target, user="bob") as at_b:
        escalate = [After(after).to(f"user:u{after:g}") for after in STEPS]
        asked = [
            await at_a.ask(f"Question {n}?", to=["user:sam"], deadline=END, escalate=escalate)
            for n in range(20)
        ]
        a.kill()
        for run in asked:
            job = at_b.run(run.job_id)

            async def is_completed(job: object = job) -> bool:
                return (await job.job()).state is JobState.COMPLETED  # type: ignore[attr-defined,no-any-return]

            await eventually(is_completed, "the deadline has been met at the other replica")
            assert run.prompt is not None
            prompt = await at_b.prompt(run.prompt.prompt_id)
            assert prompt.state is PromptState.EXPIRED
            events = [event async for event in job.watch()]
            assert [e.seq for e in events] == list(range(1, len(events) + 1))
            types = [e.type for e in events]
            assert types == [
                "JOB_CREATED",
                "PROMPT_ASKED",
                *["PROMPT_ESCALATED"] * len(STEPS),
                "PROMPT_EXPIRED",
                "JOB_COMPLETED",
            ]
            assert [e.data["step"] for e in events if e.type == "PROMPT_ESCALATED"] == [1, 2, 3]
            asked_at = prompt.created_at
            assert asked_at is not None
            for event, after in zip(events[2:6], (*STEPS, END), strict=True):
                assert event.at is not None
                assert event.at >= asked_at + timedelta(seconds=after), "not early"
