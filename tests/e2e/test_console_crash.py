"""A console is killed while it answers: its answer is stored once, or the prompt is still open."""

import asyncio
import random
from pathlib import Path

from askback import Client
from tests.e2e import load
from tests.e2e.checks import check_all, history_of
from tests.e2e.stored import read_all
from tests.support.processes import Process, Processes, eventually

VICTIMS = 5


async def test_an_answer_of_a_killed_console_is_stored_once_or_not_at_all(
    processes: Processes, migrated_db_url: str, tmp_path: Path
) -> None:
    """Several are killed at random moments after they began to answer; another console answers the rest."""
    gate, moments = tmp_path / "gate", random.Random(2)
    server = await processes.server(migrated_db_url)
    names = [f"victim-{n}" for n in range(VICTIMS)]
    async with Client(server.target, user="boss") as client:
        # Jobs without a worker: the resolution is the result.
        asked = {
            name: await client.ask(
                f"For {name}", form=str, kind="clarify", to=[f"user:{name}", "user:rescue"]
            )
            for name in names
        }
        victims = {
            name: load.start_console(processes, server.target, name, "--gate", str(gate)) for name in names
        }
        for name, victim in victims.items():
            prompt = asked[name].prompt
            assert prompt is not None
            await victim.wait_for_event("shown", prompt_id=prompt.prompt_id)

        async def die(victim: Process, moment: float) -> None:
            await eventually(lambda: victim.events("answers"), "the victim answers", every=0.0005)
            await asyncio.sleep(moment)
            victim.kill()

        gate.touch()
        await asyncio.gather(*(die(v, moments.uniform(0, 0.01)) for v in victims.values()))
        rescue = load.start_console(processes, server.target, "rescue")
        results = await asyncio.gather(*(run.result() for run in asked.values()))
        stored = await read_all(client, [run.job_id for run in asked.values()])
    for name, result, job in zip(names, results, stored, strict=True):
        (answers,) = job.answers.values()
        assert len(answers) == 1
        (sent,) = victims[name].events("answers")
        by_victim = answers[0][0].by == name
        assert by_victim == (not rescue.events("verdict", job_id=job.job.job_id, status="ACCEPTED"))
        if by_victim:
            assert answers[0][0].values == {"value": sent["value"]}
        assert result["values"] == answers[0][0].values
    check_all(stored, history_of([*victims.values(), rescue]))
