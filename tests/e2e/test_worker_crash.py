"""SIGKILL and SIGSTOP of workers: the job goes on elsewhere, what was done is not done again."""

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
    """Shut until it is touched."""
    return tmp_path / "gate"


@SQLITE
async def test_a_worker_is_killed_while_its_job_waits(processes: Processes, migrated_db_url: str) -> None:
    """Answered while nobody holds it, or before; the next worker gets the answers by key."""
    server = await processes.server(migrated_db_url, lease_ttl=TTL)
    first = load.worker(processes, server.target, "first")
    async with Client(server.target, user="ana") as client, client.console() as desk:
        run = await client.start("story", {"keys": ["one", "two"]})
        prompts = desk.prompts()
        await (await anext(prompts)).answer("eins")
        two = await anext(prompts)
        first.kill()
        held = await run.job()
        second = load.worker(processes, server.target, "second")
        await second.wait_for_event("connected")
        # The session expires, the job waits on without a worker, and no attempt is used up.
        await eventually(lambda: _unheld(client, run.job_id), "the dead worker's job is given back")
        waiting = await run.job()
        assert (waiting.state, waiting.attempt) == (JobState.PENDING_HITL, 1)
        assert (await two.answer("zwei")).status == "ACCEPTED"
        assert await run.result() == {"one": "eins", "two": "zwei"}
        stored = await read(client, run.job_id)
    assert stored.job.proto.token > held.proto.token
    assert stored.job.attempt == 1
    assert [line["value"] for line in second.events("answered")] == ["eins", "zwei"]
    assert not second.events("step", step="before one")
    check_all([stored], history_of([first, second]))
    check_steps([stored], load.effects(processes), ["first", "before one", "before two", "last"])


async def _unheld(client: Client, job_id: str) -> bool:
    return not (await client.get(job_id)).worker_id


async def test_a_worker_is_killed_while_it_runs(
    processes: Processes, migrated_db_url: str, gate: Path
) -> None:
    """Between two steps: leased again after the session's expiry, the first step is not repeated."""
    server = await processes.server(migrated_db_url, lease_ttl=TTL)
    first = load.worker(processes, server.target, "first")
    async with Client(server.target, user="ana") as client, client.console() as desk:
        run = await client.start("story", {"keys": ["one"], "gate": str(gate), "gate_at": "first"})
        lost = await first.wait_for_event("at gate")
        first.kill()
        gate.touch()
        second = load.worker(processes, server.target, "second")
        again = await second.wait_for_event("runs")
        await (await anext(desk.prompts())).answer("eins")
        assert await run.result() == {"one": "eins"}
        stored = await read(client, run.job_id)
    assert again["token"] > lost["token"]
    assert again["attempt"] == stored.job.attempt == 2
    assert len([e for e in stored.events if e.type == "JOB_LEASE_LOST"]) == 1
    check_all([stored], history_of([first, second]))
    check_steps([stored], load.effects(processes), ["first", "before one", "last"])


@POSTGRES
async def test_a_stopped_worker_finds_its_lease_lost(
    processes: Processes, migrated_db_url: str, gate: Path
) -> None:
    """SIGSTOP past the lease: another finishes the job; what the first does after SIGCONT changes nothing."""
    server = await processes.server(migrated_db_url, lease_ttl=TTL)
    first = load.worker(processes, server.target, "first")
    async with Client(server.target, user="ana") as client, client.console() as desk:
        run = await client.start("story", {"keys": ["one"], "gate": str(gate), "gate_at": "first"})
        lost = await first.wait_for_event("at gate")
        first.signal(signal.SIGSTOP)
        # The stopped one's stream stands, and it has more room: it must not be preferred for that.
        second = load.worker(processes, server.target, "second", "--capacity", "1")
        again = await second.wait_for_event("runs")
        gate.touch()
        await (await anext(desk.prompts())).answer("eins")
        assert await run.result() == {"one": "eins"}
        before = await read(client, run.job_id)

        first.signal(signal.SIGCONT)
        stopped = await first.wait_for_event("stopped")
        assert stopped["token"] == lost["token"] < again["token"]
        assert not first.events("done")
        # It is of use again: it takes the next job.
        await second.terminate()
        other = await client.start("story", {"keys": []})
        assert await other.result() == {}
        await first.wait_for_event("done", job_id=other.job_id)
        assert await read(client, run.job_id) == before
        check_all([before, await read(client, other.job_id)], history_of([first, second]))


async def test_writes_under_an_old_token_are_refused(
    processes: Processes, migrated_db_url: str, gate: Path, tmp_path: Path
) -> None:
    """A raw worker without heartbeats, stopped past its lease: each of its writes is refused by name,
    while another worker holds the job and after its end."""
    server = await processes.server(migrated_db_url, lease_ttl=TTL)
    gates = [str(gate), str(tmp_path / "second gate")]
    old = processes.module("old", "tests.e2e.programs.holder", server.target, "old", "story", *gates)
    async with Client(server.target, user="ana") as client, client.console() as desk:
        run = await client.start("story", {"keys": ["one"]})
        lost = await old.wait_for_event("leased")
        old.signal(signal.SIGSTOP)
        new = load.worker(processes, server.target, "new")
        assert (await new.wait_for_event("runs"))["token"] > lost["token"]
        prompt = await anext(desk.prompts())
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
