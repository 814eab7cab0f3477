"""SIGKILL and SIGSTOP of workers: the job continues elsewhere and repeats no step."""

import signal
from pathlib import Path

import pytest

from askback import Client, JobState
from tests.e2e import load
from tests.e2e.checks import check_all, check_steps, history_of
from tests.e2e.stored import read
from tests.support.processes import Processes, eventually

SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
POSTGRES = pytest.mark.parametrize("database_kind", ["postgres"], indirect=True)
TTL = 1.5
"""Seconds until a silent worker loses its jobs."""


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A file that opens the gate of a worker when it is created."""
    return tmp_path / "gate"


@SQLITE
async def test_a_waiting_job_survives_the_death_of_its_worker(
    processes: Processes, migrated_db_url: str
) -> None:
    """The next worker receives answers from before and after the kill, by key."""
    server = await processes.server(migrated_db_url, lease_ttl=TTL)
    first = load.start_worker(processes, server.target, "first")
    async with Client(server.target, user="ana") as client, client.console() as console:
        run = await client.start("story", {"keys": ["one", "two"]})
        prompts = console.prompts()
        await (await anext(prompts)).answer("eins")
        two = await anext(prompts)
        first.kill()
        before = await run.job()
        second = load.start_worker(processes, server.target, "second")
        await second.wait_for_event("connected")
        # The session expires, the job waits on without a worker, and no attempt is used up.
        await eventually(
            lambda: _has_no_worker(client, run.job_id), "the job of the killed worker is released"
        )
        waiting = await run.job()
        assert (waiting.state, waiting.attempt) == (JobState.PENDING_HITL, 1)
        assert (await two.answer("zwei")).status == "ACCEPTED"
        assert await run.result() == {"one": "eins", "two": "zwei"}
        stored = await read(client, run.job_id)
    assert stored.job.proto.token > before.proto.token
    assert stored.job.attempt == 1
    assert [line["value"] for line in second.events("answered")] == ["eins", "zwei"]
    assert not second.events("step", step="before one")
    check_all([stored], history_of([first, second]))
    check_steps([stored], load.effects(processes), ["first", "before one", "before two", "last"])


async def _has_no_worker(client: Client, job_id: str) -> bool:
    return not (await client.get(job_id)).worker_id


async def test_a_running_job_survives_the_death_of_its_worker(
    processes: Processes, migrated_db_url: str, gate: Path
) -> None:
    """It is killed between two steps. The job is leased again once the session has expired."""
    server = await processes.server(migrated_db_url, lease_ttl=TTL)
    first = load.start_worker(processes, server.target, "first")
    async with Client(server.target, user="ana") as client, client.console() as console:
        run = await client.start("story", {"keys": ["one"], "gate": str(gate), "gate_at": "first"})
        lost = await first.wait_for_event("at gate")
        first.kill()
        gate.touch()
        second = load.start_worker(processes, server.target, "second")
        again = await second.wait_for_event("runs")
        await (await anext(console.prompts())).answer("eins")
        assert await run.result() == {"one": "eins"}
        stored = await read(client, run.job_id)
    assert again["token"] > lost["token"]
    assert again["attempt"] == stored.job.attempt == 2
    assert len([e for e in stored.events if e.type == "JOB_LEASE_LOST"]) == 1
    check_all([stored], history_of([first, second]))
    check_steps([stored], load.effects(processes), ["first", "before one", "last"])


@POSTGRES
async def test_a_suspended_worker_loses_its_lease_and_changes_nothing(
    processes: Processes, migrated_db_url: str, gate: Path
) -> None:
    """SIGSTOP past the lease: another worker completes the job. After SIGCONT the first takes new jobs."""
    server = await processes.server(migrated_db_url, lease_ttl=TTL)
    first = load.start_worker(processes, server.target, "first")
    async with Client(server.target, user="ana") as client, client.console() as console:
        run = await client.start("story", {"keys": ["one"], "gate": str(gate), "gate_at": "first"})
        lost = await first.wait_for_event("at gate")
        first.signal(signal.SIGSTOP)
        # The stream of the suspended worker is still open, with more free capacity; it must not be preferred.
        second = load.start_worker(processes, server.target, "second", "--capacity", "1")
        again = await second.wait_for_event("runs")
        gate.touch()
        await (await anext(console.prompts())).answer("eins")
        assert await run.result() == {"one": "eins"}
        before = await read(client, run.job_id)

        first.signal(signal.SIGCONT)
        stopped = await first.wait_for_event("stopped")
        assert stopped["token"] == lost["token"] < again["token"]
        assert not first.events("done")
        # It takes the next job.
        await second.terminate()
        other = await client.start("story", {"keys": []})
        assert await other.result() == {}
        await first.wait_for_event("done", job_id=other.job_id)
        assert await read(client, run.job_id) == before
        check_all([before, await read(client, other.job_id)], history_of([first, second]))


async def test_writes_with_an_old_fencing_token_are_refused(
    processes: Processes, migrated_db_url: str, gate: Path, tmp_path: Path
) -> None:
    """A raw worker is suspended past its lease. Each of its writes is refused with LEASE_LOST, while another
    worker holds the job and after the job has ended."""
    server = await processes.server(migrated_db_url, lease_ttl=TTL)
    gates = [str(gate), str(tmp_path / "second gate")]
    old = processes.module("old", "tests.e2e.programs.holder", server.target, "old", "story", *gates)
    async with Client(server.target, user="ana") as client, client.console() as console:
        run = await client.start("story", {"keys": ["one"]})
        lost = await old.wait_for_event("leased")
        old.signal(signal.SIGSTOP)
        new = load.start_worker(processes, server.target, "new")
        assert (await new.wait_for_event("runs"))["token"] > lost["token"]
        prompt = await anext(console.prompts())
        before = await read(client, run.job_id)
        gate.touch()
        old.signal(signal.SIGCONT)
        await old.wait_for_event("tried", turn=0)
        assert await read(client, run.job_id) == before

        await prompt.answer("eins")
        assert await run.result() == {"one": "eins"}
        before = await read(client, run.job_id)
        Path(gates[1]).touch()
        await old.wait_for_event("tried", turn=1)
        assert await read(client, run.job_id) == before
    for turn in (0, 1):
        refused = {line["call"]: line["reason"] for line in old.events("refused", turn=turn)}
        assert refused.pop("ExtendLease") == "ERROR_REASON_SESSION_NOT_FOUND"
        assert len(refused) == 7
        assert set(refused.values()) == {"ERROR_REASON_LEASE_LOST"}, refused
    assert not old.events("written")
    check_all([before], history_of([new]))
