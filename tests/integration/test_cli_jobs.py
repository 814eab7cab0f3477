"""`askback job …` against a real service: exit codes and output."""

import asyncio
import json
import re
import signal
from datetime import UTC, datetime, timedelta

import pytest

from askback.cli.record import record
from askback.v1 import job_pb2
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import worker_service_pb2 as workers
from tests.support.processes import quiet_port
from tests.support.requests import REJECT, answer, confirm
from tests.support.service import ServiceWorld
from tests.support.shell import ASKBACK, Shell
from tests.support.streams import ABSENT_ID


async def _complete(world: ServiceWorld, leased: workers.LeasedJob, result: str = "") -> None:
    await world.workers.CompleteJob(
        workers.CompleteJobRequest(job_id=leased.job.job_id, token=leased.token, result_json=result)
    )


async def _fail(world: ServiceWorld, leased: workers.LeasedJob, code: str, message: str) -> None:
    failure = job_pb2.Failure(code=code, message=message)
    await world.workers.FailJob(
        workers.FailJobRequest(job_id=leased.job.job_id, token=leased.token, failure=failure)
    )


async def test_job_start_takes_input_from_text_file_stdin_and_pairs(lite: ServiceWorld, shell: Shell) -> None:
    """Inline, file, stdin and pairs give the same input. stdout has only the id."""
    (shell.home / "in.json").write_text('{"order": "A-17", "days": 41}')
    ways = [
        await shell.ok("job", "start", "refund", "--input", '{"order": "A-17", "days": 41}'),
        await shell.ok("job", "start", "refund", "--input", "@in.json"),
        await shell.run("job", "start", "refund", "--input", "-", stdin=b'{"order": "A-17", "days": 41}'),
        await shell.ok("job", "start", "refund", "order=A-17", "days:=41"),
    ]
    for done in ways:
        job = await lite.job(done.out.strip())
        assert (job.job_type, job.user_id) == ("refund", "ana")
        assert json.loads(job.input_json) == {"order": "A-17", "days": 41}


async def test_job_start_sends_every_option(lite: ServiceWorld, shell: Shell) -> None:
    words = ["job", "start", "t", "--label", "team=core", "--label", "x=a=b", "--priority", "7"]
    words += ["--max-attempts", "5", "--retention", "2d", "--request-id", "r-1"]
    first = await shell.ok(*words)
    again = await shell.ok(*words, "--json")
    job = await lite.job(first.out.strip())
    assert again.json == record(job)
    assert dict(job.labels) == {"team": "core", "x": "a=b"}
    assert (job.priority, job.max_attempts, job.request_id) == (7, 5, "r-1")
    assert job.retention.ToTimedelta() == timedelta(days=2)
    other = await shell.run("job", "start", "t", "--request-id", "r-1", "--json")
    assert other.code == 4
    assert json.loads(other.err)["error"]["reason"] == "ERROR_REASON_ID_REUSED"


@pytest.mark.parametrize(("end", "code"), [("complete", 0), ("fail", 5), ("cancel", 5)], ids=lambda v: str(v))
async def test_job_wait_exits_as_the_job_ends(lite: ServiceWorld, shell: Shell, end: str, code: int) -> None:
    waiting = await shell.start("job", "start", "t", "--wait", "--max-attempts", "1")
    [leased] = (await lite.lease()).jobs
    if end == "complete":
        await _complete(lite, leased, '{"paid": 12.5}')
    elif end == "fail":
        await _fail(lite, leased, "Empty", "no money")
    else:
        await lite.jobs.CancelJob(jobs.CancelJobRequest(job_id=leased.job.job_id))
        await lite.workers.ReleaseJob(workers.ReleaseJobRequest(job_id=leased.job.job_id, token=leased.token))
    done = await waiting.result()
    assert done.code == code, done
    if end == "complete":
        assert done.json == {"paid": 12.5}
    elif end == "fail":
        assert "no money" in done.err
    else:
        assert "cancelled" in done.err


async def test_job_ls_filters_and_pages(lite: ServiceWorld, shell: Shell) -> None:
    """Newest first; each filter narrows; with a limit the output says that there are more."""
    ids = [(await lite.create(kind, labels={"n": str(n)})).job_id for n, kind in enumerate("aab")]
    await lite.jobs.CancelJob(jobs.CancelJobRequest(job_id=ids[0]))

    async def list_ids(*options: str) -> list[str]:
        return [job["jobId"] for job in (await shell.ok("job", "ls", "--json", *options)).lines]

    assert await list_ids() == ids[::-1]
    assert await list_ids("--type", "a") == [ids[1], ids[0]]
    assert await list_ids("--state", "cancelled") == [ids[0]]
    assert await list_ids("--state", "cancelled", "--state", "pending", "--type", "a") == [ids[1], ids[0]]
    assert await list_ids("--label", "n=2") == [ids[2]]
    assert await list_ids("--owner", "bob") == []
    assert await list_ids("--since", "1h") == ids[::-1]
    assert await list_ids("--before", (datetime.now(UTC) - timedelta(hours=1)).isoformat()) == []
    some = await shell.ok("job", "ls", "--limit", "2")
    assert [line.split("\t")[:4] for line in some.out.splitlines()] == [
        ["pending", "b", "", ids[2]],
        ["pending", "a", "", ids[1]],
    ]
    assert some.err == "3 jobs, 2 shown; --limit 0 lists all\n"
    assert (await shell.ok("job", "ls", "--limit", "1", "--type", "a")).err.startswith("2 jobs, 1 shown")
    assert (await shell.ok("job", "ls", "--limit", "3")).err == "3 jobs\n"
    assert (await shell.ok("job", "ls", "--limit", "2", "-q")).err == ""
    table = (await shell.ok("job", "ls", "-o", "table", COLUMNS="80")).out.splitlines()
    assert table[0].split() == ["STATE", "TYPE", "ID", "AGE", "LABELS"]
    assert table[1].split()[:3] == ["queued", "b", ids[2][-6:]]


async def test_job_show_prints_the_job_and_its_prompts(lite: ServiceWorld, shell: Shell) -> None:
    leased = await lite.lease_new_job(input_json='{"n": 9007199254740993}', labels={"team": "core"})
    prompt = await lite.ask(leased, "pay", confirm("Pay?"))
    await lite.hitl.AnswerPrompt(answer(prompt, comment="checked"))
    await lite.ask(leased, "more", confirm("More?"))
    shown = await shell.ok("job", "show", leased.job.job_id, "--json")
    found = shown.json
    assert found["job"] == record(await lite.job(leased.job.job_id))
    assert found["job"]["input"] == {"n": 9007199254740993}
    assert [p["key"] for p in found["prompts"]] == ["pay", "more"]
    assert [p["state"] for p in found["prompts"]] == ["ANSWERED", "PENDING"]
    text = (await shell.ok("job", "show", leased.job.job_id)).out
    for words in ("waiting for people", "team=core", "#1 confirm (pay): Pay?", "yes, by ada: checked"):
        assert words in text


async def test_job_cancel_and_retry_follow_the_state(lite: ServiceWorld, shell: Shell) -> None:
    """Cancel ends a job without a holder and asks the holder of another. Only ended jobs are retried."""
    job_id = (await lite.create()).job_id
    assert (await shell.run("job", "retry", job_id)).code == 4
    assert (await shell.ok("job", "cancel", job_id, "--reason", "enough")).out == f"{job_id} is cancelled\n"
    again = await shell.ok("job", "retry", job_id, "--json")
    assert again.json["retriedFromJobId"] == job_id
    leased = await lite.lease_new_job("held")
    asked = await shell.ok("job", "cancel", leased.job.job_id)
    assert "asked to stop" in asked.out
    assert f"askback job watch {leased.job.job_id}" in asked.out
    await _complete(lite, leased)
    assert (await shell.run("job", "cancel", leased.job.job_id)).code == 4


async def test_job_watch_prints_every_event(lite: ServiceWorld, shell: Shell) -> None:
    """With --json the contract's events, otherwise one line each; after a seq only newer ones."""
    leased = await lite.lease_new_job()
    job_id = leased.job.job_id
    watching = await shell.start("job", "watch", job_id, "--json")
    await watching.wait_for_line('"JOB_LEASED"')
    await lite.workers.ReportProgress(
        workers.ReportProgressRequest(
            job_id=job_id,
            token=leased.token,
            progress=job_pb2.Progress(done=1, total=4, message="reading"),
            milestone=True,
        )
    )
    prompt = await lite.ask(leased, "pay", confirm("Pay?"))
    await watching.wait_for_line('"PROMPT_ASKED"')
    await lite.hitl.AnswerPrompt(answer(prompt))
    await _complete(lite, leased)
    done = await watching.result()
    assert done.code == 0
    told = [json.loads(line) for line in done.out.splitlines()]
    stored = []
    async for message in lite.jobs.WatchJob(jobs.WatchJobRequest(job_id=job_id)):
        stored += [record(event) for event in message.events]
    assert told == stored
    text = (await shell.ok("job", "watch", job_id)).out.splitlines()
    assert [line.split("\t")[1:] for line in text] == [
        ["1", "JOB_CREATED", "created by ada"],
        ["3", "JOB_PROGRESSED", "1/4 reading"],
        ["4", "PROMPT_ASKED", "asks: Pay?"],
        ["5", "PROMPT_ANSWERED", "question 1 answered by ada: ACCEPT"],
        ["6", "JOB_COMPLETED", "completed"],
    ]
    assert all(datetime.fromisoformat(line.split("\t")[0]).utcoffset() == timedelta(0) for line in text)
    whole = (await shell.ok("job", "watch", job_id, "-v", "-o", "table")).out.splitlines()
    assert [re.sub(r"^.*? \(20\d\d-\d\d-\d\dT\S+\) +", "", line) for line in whole] == [
        "#1 created by ada",
        "#2 taken by w, attempt 1",
        "#3 1/4 reading",
        "#4 asks: Pay?",
        "#5 question 1 answered by ada: ACCEPT",
        "#6 completed",
    ]
    assert len((await shell.ok("job", "watch", job_id, "--after-seq", "4")).out.splitlines()) == 2


async def test_job_watch_exits_as_the_job_ends(lite: ServiceWorld, shell: Shell) -> None:
    """Exit code 5 for a failure and for a deletion; for a job without a worker the code of the answer."""
    leased = await lite.lease_new_job(max_attempts=1)
    await _fail(lite, leased, "Empty", "no money")
    failed = await shell.run("job", "watch", leased.job.job_id)
    assert failed.code == 5
    assert "failed: Empty: no money" in failed.out
    no = await lite.create_prompt(confirm("Deploy?"))
    watching = await shell.start("job", "watch", no.job_id)
    await watching.wait_for_line("asks: Deploy?")
    await lite.hitl.AnswerPrompt(answer(no, decision=REJECT))
    assert (await watching.result()).code == 5
    yes = await lite.create_prompt(confirm("Deploy?"))
    await lite.hitl.AnswerPrompt(answer(yes))
    assert (await shell.run("job", "watch", yes.job_id)).code == 0
    timed = confirm("Deploy?")
    timed.timeout.FromMilliseconds(100)
    expiring = await lite.create_prompt(timed)
    assert (await shell.run("job", "watch", expiring.job_id)).code == 6


async def test_each_kind_of_refusal_has_its_exit_code(lite: ServiceWorld, shell: Shell) -> None:
    """2 for usage, 3 for not found, 7 for no server. With --json the error is an object on stderr."""
    assert (await shell.run("job", "start", "t", "--input", "{")).code == 2
    assert (await shell.run("job", "start", "t", "--input", "NaN")).code == 2
    assert (await shell.run("job", "start", "t", "--input", "[1]", "a=b")).code == 2
    assert (await shell.run("job", "start", "t", "--input", "@nowhere.json")).code == 2
    assert (await shell.run("job", "ls", "--label", "x")).code == 2
    assert (await shell.run("job", "ls", "--since", "yesterday")).code == 2
    # Python reads this file when it starts.
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    unread = await asyncio.create_subprocess_exec(
        ASKBACK, "ask", "Größe?", env={**shell.environment, **ascii_only}, stderr=asyncio.subprocess.PIPE
    )
    _, told = await unread.communicate()
    assert unread.returncode == 2
    assert b"not UTF-8" in told
    wrong = await shell.run("job", "start", "no such type!", "--json")
    assert wrong.code == 2
    [violation] = json.loads(wrong.err)["error"]["violations"]
    assert violation["field"] == "job_type"
    for command in ("show", "watch", "cancel", "retry"):
        missing = await shell.run("job", command, ABSENT_ID)
        assert missing.code == 3, command
        assert missing.out == ""
    none = f"127.0.0.1:{quiet_port()}"
    for command in ("show", "watch"):
        gone = await shell.run("job", command, ABSENT_ID, "--server", none, "--timeout", "0.3s")
        assert gone.code == 7
        assert f"nothing listens on {none}" in gone.err
        assert len(gone.err.splitlines()) == 1
        assert "Traceback" not in gone.err
    as_json = await shell.run("job", "ls", "--server", none, "--timeout", "0.3s", "--json")
    assert json.loads(as_json.err)["error"]["exit"] == 7


async def test_an_interrupt_of_the_command_leaves_the_job_running(lite: ServiceWorld, shell: Shell) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        waiting = await shell.start("job", "start", "t", "--wait")
        await waiting.wait_for_line("started", on="err")
        waiting.signal(number)
        done = await waiting.result()
        assert done.code == 130
        [job_id] = re.findall(r"askback job watch (\S+)", done.err)
        assert (await lite.job(job_id)).state == job_pb2.JOB_STATE_PENDING
        assert "Traceback" not in done.err
