"""`askback job export`: the vector passes in the runner of vectors, and the test repeats the answers."""

import json
from pathlib import Path

import pytest

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_pb2
from askback.v1 import prompt_pb2 as prompts
from askback.v1 import worker_service_pb2 as workers
from tests.support.refusals import outcome
from tests.support.requests import ACCEPT, EDIT, REJECT, RESPOND, REVISE, answer, confirm, form, seconds
from tests.support.service import ServiceWorld
from tests.support.shell import Shell
from tests.vectors.runner import run


async def _finish_job(world: ServiceWorld) -> str:
    """Run a job whose prompts met every outcome; returns its id."""
    leased = await world.lease_new_job("refund", input_json='{"order": "A-17", "days": 41}')
    how = await world.ask(leased, "how", form("How many?"))
    assert await outcome(world.hitl.AnswerPrompt(answer(how, "a-0", RESPOND, values_json="{}"))) != "OK"
    await world.amend(leased, "pay", "Pay?")
    pay = await world.amend(leased, "pay", "Pay 12.50 EUR?")
    assert await outcome(world.hitl.AnswerPrompt(answer(pay, "a-2", ACCEPT, revision=1))) == "ABORTED"
    values = '{"n": 9007199254740993, "why": "x\\u202e"}'
    await world.hitl.AnswerPrompt(answer(how, "a-1", RESPOND, values_json=values))
    await world.hitl.AnswerPrompt(answer(pay, "a-1", ACCEPT, comment="fine"))
    assert await outcome(world.hitl.AnswerPrompt(answer(pay, "a-3", REJECT))) == "FAILED_PRECONDITION"
    part = prompts.PromptPart(content_id="notes", media_type="text/markdown", text="# A", editable=True)
    notes = await world.ask(leased, "notes", confirm("Right?", kind="preview", contents=[part]))
    edits = [prompts.Edit(content_id="notes", text="# B")]
    await world.hitl.AnswerPrompt(answer(notes, "a-1", EDIT, edits=edits))
    for key, decision in (("no", REJECT), ("again", REVISE)):
        prompt = await world.ask(leased, key, confirm(f"{key}?"))
        await world.hitl.AnswerPrompt(answer(prompt, "a-1", decision, comment="because"))
    gone = await world.ask(leased, "gone", confirm("Gone?"))
    await world.hitl.CancelPrompt(hitl.CancelPromptRequest(prompt_id=gone.prompt_id))
    for key, content in {
        "late": confirm("Late?", timeout=seconds(0.1)),
        "default": confirm(
            "Default?",
            timeout=seconds(0.1),
            final_action=prompts.FINAL_ACTION_DEFAULT,
            default_answer=prompts.DefaultAnswer(decision=REJECT),
        ),
    }.items():
        await world.ask(leased, key, content)
        await world.state(leased.job.job_id, job_pb2.JOB_STATE_RUNNING)
    complete = workers.CompleteJobRequest(
        job_id=leased.job.job_id, token=leased.token, result_json='{"paid": 12.5}'
    )
    await world.workers.CompleteJob(complete)
    return leased.job.job_id


async def test_an_exported_vector_passes_in_the_runner(lite: ServiceWorld, shell: Shell) -> None:
    """Every prompt is shown and closed and every answer sent and judged. The runner finds no difference."""
    job_id = await _finish_job(lite)
    path = shell.home / "converse_exported.json"
    await shell.ok("job", "export", job_id, "--format", "vector", "--file", path.name)
    run(path)
    vector = json.loads(path.read_text())
    told = json.dumps(vector["steps"])
    shown = [s["commit"][0] for s in vector["steps"] if "commit" in s and "resolution" not in s["commit"][0]]
    assert [p["revision"] for p in shown if p["key"] == "pay"] == [1, 2]
    assert told.count('"upserted"') == 9
    assert told.count('"closed"') == 8
    assert [told.count(f'"server": [{{"ref": "{ref}"') for ref in range(1, 10)] == [1] * 9
    assert vector["description"].endswith(".")
    assert "\u202e" not in path.read_text()


async def test_a_changed_vector_fails_in_the_runner(lite: ServiceWorld, shell: Shell) -> None:
    """The runner reports a different answer id, version or result."""
    asked = await lite.create_prompt(confirm("Deploy?"))
    await lite.hitl.AnswerPrompt(answer(asked, "a-1"))
    text = (await shell.ok("job", "export", asked.job_id, "--format", "vector")).out
    path = shell.home / "vector.json"
    path.write_text(text)
    run(path)
    closed = next(s for s in json.loads(text)["steps"] if "closed" in json.dumps(s.get("server", "")))
    [frame] = closed["server"]
    for name, wrong in (("version", '"99"'), ("answerId", '"other"'), ("promptId", '"other"')):
        right = json.dumps(closed, indent=2)
        changed = json.dumps(closed, indent=2).replace(
            f'"{name}": {json.dumps(frame["promptEvent"]["closed"][name])}', f'"{name}": {wrong}'
        )
        assert changed != right
        document = json.loads(text)
        document["steps"] = [json.loads(changed) if s == closed else s for s in document["steps"]]
        path.write_text(json.dumps(document))
        with pytest.raises(AssertionError):
            run(path)


async def test_an_exported_test_repeats_the_answers(lite: ServiceWorld, shell: Shell) -> None:
    job_id = await _finish_job(lite)
    source = (
        await shell.ok("job", "export", job_id, "--format", "pytest", "--worker", "shop.refunds:worker")
    ).out
    compile(source, "exported", "exec")
    assert source.isascii()
    assert [line.strip() for line in source.splitlines()[1:]] == [
        "",
        "from shop.refunds import worker",
        "",
        "",
        "async def test_refund(human, askback_server, clock):",
        "human.on(key='how').answers({'n': 9007199254740993, 'why': 'x\\u202e'})",
        "human.on(key='pay').approves('fine')",
        "human.on(key='notes').edits({'notes': '# B'})",
        "human.on(key='no').declines('because')",
        "human.on(key='again').revises('because')",
        "human.on(key='gone').never()",
        "human.on(key='late').never()",
        "human.on(key='default').never()",
        "await askback_server.work(worker)",
        "async with askback_server.client() as client:",
        "run = await client.start('refund', {'order': 'A-17', 'days': 41})",
        "await clock.advance(seconds=0.1)",
        "await clock.advance(seconds=0.1)",
        "await run.result()",
        "assert (await run.job()).result == {'paid': 12.5}",
        "assert sorted(human.seen) == ['again', 'default', 'gone', 'how', 'late', 'no', 'notes', 'pay']",
    ]


@pytest.mark.parametrize(("result", "told"), [('"paid, approved by ada"', True), ('"paid"', False)])
async def test_an_exported_test_marks_a_result_that_names_the_person(
    lite: ServiceWorld, shell: Shell, result: str, told: bool
) -> None:
    """In the exported test another user answers, so it marks where the result may differ."""
    leased = await lite.lease_new_job("refund")
    prompt = await lite.ask(leased, "pay", confirm("Pay?"))
    await lite.hitl.AnswerPrompt(answer(prompt))
    job_id = leased.job.job_id
    await lite.workers.CompleteJob(
        workers.CompleteJobRequest(job_id=job_id, token=leased.token, result_json=result)
    )
    done = await shell.ok("job", "export", job_id, "--format", "pytest", "--worker", "shop:worker")
    assert ("# The scripted human is called 'human'" in done.out) is told


async def test_a_failed_job_is_exported_as_a_test_of_its_failure(lite: ServiceWorld, shell: Shell) -> None:
    leased = await lite.lease_new_job("refund", max_attempts=1)
    failure = job_pb2.Failure(code="Empty", message="no money")
    await lite.workers.FailJob(
        workers.FailJobRequest(job_id=leased.job.job_id, token=leased.token, failure=failure)
    )
    words = ["job", "export", leased.job.job_id, "--format", "pytest", "--worker", "w:worker"]
    source = (await shell.ok(*words)).out
    compile(source, "exported", "exec")
    assert "with pytest.raises(JobFailed) as failed:" in source
    assert "assert failed.value.failure_code == 'Empty'" in source
    assert "assert human.seen == []" in source


async def test_jobs_that_cannot_be_exported_are_refused(lite: ServiceWorld, shell: Shell) -> None:
    """A running job, one without a worker, a cancelled one, and an invalid name of the worker."""
    running = (await lite.create()).job_id
    pytest_format = ["--format", "pytest", "--worker", "w:worker"]
    for words in (pytest_format, ["--format", "vector"]):
        going_on = await shell.run("job", "export", running, *words)
        assert (going_on.code, going_on.out) == (4, "")
        assert "has not ended" in going_on.err
    asked = await lite.create_prompt()
    await lite.hitl.AnswerPrompt(answer(asked))
    assert "has no worker" in (await shell.run("job", "export", asked.job_id, *pytest_format)).err
    await shell.ok("job", "cancel", running)
    assert "was cancelled" in (await shell.run("job", "export", running, *pytest_format)).err
    for wrong in ("worker", "a:b c", "a b:c", ":w", "os;x:w"):
        done = await shell.run("job", "export", running, "--format", "pytest", "--worker", wrong)
        assert done.code == 2, wrong
    missing = await shell.run("job", "export", running, "--format", "vector", "--file", "no/such/folder")
    assert missing.code == 2
    assert not Path(shell.home / "no").exists()
