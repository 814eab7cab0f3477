"""Exported tests run: the worker, a scripted human who repeats the answers, and the same end."""

import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from askback import Client, JobFailed
from askback.errors import AnswerInvalid
from tests.support.processes import Processes, eventually
from tests.support.service import ServiceWorld
from tests.support.shell import Shell

WORKER = '''
"""A worker that asks in every way."""

from datetime import timedelta

from pydantic import BaseModel, Field

from askback import Content, Job, NonRetryable, PromptDeclined, PromptExpired, Worker

worker = Worker()


class Ruling(BaseModel):
    policy: str
    amount: float = Field(ge=0)


@worker.job("refund")
async def refund(job: Job, order: str, days: int) -> dict[str, object]:
    ruling = await job.ask("How should we rule?", Ruling, key="ruling")
    shown = [Content("notes", f"# {order}", editable=True)]
    notes = await job.preview("Are these right?", contents=shown, key="notes")
    paid = await job.confirm("Pay?", key="pay")
    try:
        await job.confirm("In a hurry?", key="hurry", deadline=timedelta(hours=1))
        hurried = "answered"
    except PromptExpired:
        hurried = "nobody"
    default = await job.confirm("Gift?", key="gift", deadline=timedelta(hours=2), default=False)
    return {
        "policy": ruling.policy, "amount": ruling.amount, "notes": notes.text("notes"), "paid": bool(paid),
        "hurried": hurried, "gift": bool(default), "days": days,
    }


@worker.job("doomed")
async def doomed(job: Job) -> None:
    if not await job.confirm("Go on?", key="go"):
        raise NonRetryable("somebody said no", code="Refused")


if __name__ == "__main__":
    import asyncio

    asyncio.run(worker.run())
'''


@pytest.fixture
def processes(tmp_path: Path):  # type: ignore[no-untyped-def]
    """Starts processes and stops all of them."""
    processes = Processes(tmp_path)
    yield processes
    processes.end()


def _pytest(forked_commands: Path, folder: Path) -> str:
    """Run the tests of a folder in a separate pytest; returns its output."""
    command = [forked_commands / "pytest", "-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto"]
    if "askback" not in {point.name for point in _plugins()}:
        command += ["-p", "askback.testing.plugin"]
    # A worker that is rewritten within a second, with as many bytes, would be taken from the compiled file.
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [*command, str(folder)], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def _plugins():  # type: ignore[no-untyped-def]
    from importlib.metadata import entry_points

    return entry_points(group="pytest11")


async def test_the_exported_test_passes_and_can_fail(
    lite: ServiceWorld, shell: Shell, processes: Processes, forked_commands: Path
) -> None:
    """It passes with the worker of the exported job and fails with one that behaves differently."""
    folder = shell.home
    (folder / "shop.py").write_text(WORKER)
    target = f"127.0.0.1:{lite.service.port}"
    processes.run("worker", str(folder / "shop.py"), ASKBACK_SERVER=target)
    async with Client(target, user="ana") as client:
        run = await client.start("refund", {"order": "A-17", "days": 41})
        result = await _answer_all(client, run.job_id)
        assert result["hurried"] == "answered"
        doomed = await client.start("doomed")
        await _say(client, doomed.job_id, "go", "REJECT", comment="no")
        with pytest.raises(JobFailed):
            await doomed.result()
    for job, name in ((run, "test_refund.py"), (doomed, "test_doomed.py")):
        words = ["job", "export", job.job_id, "--format", "pytest", "--worker", "shop:worker"]
        await shell.ok(*words, "--file", name)
    passed = await asyncio.to_thread(_pytest, forked_commands, folder)
    assert "2 passed" in passed, passed
    (folder / "shop.py").write_text(WORKER.replace("ruling.amount,", "ruling.amount + 1,"))
    failed = await asyncio.to_thread(_pytest, forked_commands, folder)
    assert "1 failed, 1 passed" in failed, failed
    (folder / "shop.py").write_text(WORKER.replace('key="pay"', 'key="another"'))
    failed = await asyncio.to_thread(_pytest, forked_commands, folder)
    assert "no fake-human rule" in failed, failed


async def test_an_exported_test_leaps_over_expired_deadlines(
    lite: ServiceWorld, shell: Shell, processes: Processes, forked_commands: Path
) -> None:
    """Unanswered prompts stay unanswered, and the clock leaps over their deadlines."""
    folder = shell.home
    quick = WORKER.replace("hours=1", "milliseconds=300").replace("hours=2", "milliseconds=300")
    (folder / "shop.py").write_text(quick)
    target = f"127.0.0.1:{lite.service.port}"
    processes.run("worker", str(folder / "shop.py"), ASKBACK_SERVER=target)
    async with Client(target, user="ana") as client:
        run = await client.start("refund", {"order": "A-17", "days": 41})
        await _answer_all(client, run.job_id, last="pay")
        assert (await run.result())["hurried"] == "nobody"
    words = ["job", "export", run.job_id, "--format", "pytest", "--worker", "shop:worker"]
    source = (await shell.ok(*words)).out
    assert source.count("await clock.advance(seconds=0.3)") == 2
    (folder / "shop.py").write_text(WORKER)
    (folder / "test_refund.py").write_text(
        source.replace("advance(seconds=0.3)", "advance(hours=1)", 1).replace(
            "advance(seconds=0.3)", "advance(hours=2)"
        )
    )
    passed = await asyncio.to_thread(_pytest, forked_commands, folder)
    assert "1 passed" in passed, passed


async def _say(client: Client, job_id: str, key: str, decision: str, **answer: object) -> None:
    async def find_prompts() -> object:
        return [p async for p in client.prompts(job_id=job_id) if p.key == key]

    [prompt] = await eventually(find_prompts, f"{key} is asked")  # type: ignore[misc]
    await client.answer(prompt, decision, **answer)  # type: ignore[arg-type]


async def _answer_all(client: Client, job_id: str, last: str = "gift") -> dict[str, object]:
    """Answer the questions of the refund up to `last`; returns the result if that was the last one."""
    with pytest.raises(AnswerInvalid):
        await _say(client, job_id, "ruling", "RESPOND", values={"policy": "goodwill", "amount": -1})
    await _say(client, job_id, "ruling", "RESPOND", values={"policy": "goodwill", "amount": 12.5})
    await _say(client, job_id, "notes", "EDIT", edits={"notes": "# A-17\n\n'quoted' \"twice\" \\ ü\n"})
    await _say(client, job_id, "pay", "ACCEPT", comment="it's fine")
    if last == "pay":
        return {}
    await _say(client, job_id, "hurry", "ACCEPT")
    await _say(client, job_id, "gift", "ACCEPT")
    result: dict[str, object] = await client.run(job_id).result()
    return result
