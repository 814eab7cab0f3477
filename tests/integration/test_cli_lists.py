"""Filters, sorting and --watch of `inbox ls` and `job ls`, and how `job show` describes a cancel."""

import json
import re
from typing import Any

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_pb2
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import worker_service_pb2 as workers
from tests.support.requests import answer, audience, confirm, form, seconds
from tests.support.service import ServiceWorld
from tests.support.shell import Shell


async def _titles(shell: Shell, *options: str) -> list[str]:
    return [line.split("\t")[2] for line in (await shell.ok("inbox", "ls", "-q", *options)).out.splitlines()]


async def test_mine_lists_prompts_i_claimed_or_am_named_for(lite: ServiceWorld, shell: Shell) -> None:
    held = await lite.create_prompt(confirm("Held"))
    await lite.create_prompt(confirm("For anyone"))
    await lite.create_prompt(confirm("For ana", audience=audience("ana")))
    others = await lite.create_prompt(confirm("Held by bob"))
    for who, prompt in (("ana", held), ("bob", others)):
        claim = hitl.ClaimPromptRequest(prompt_id=prompt.prompt_id)
        await lite.as_user(who).hitl.ClaimPrompt(claim)
    assert sorted(await _titles(shell, "--mine")) == ["For ana", "Held"]
    assert (await shell.ok("inbox", "ls", "--mine", "--limit", "1")).err.startswith("2 open, 1 shown")


async def test_answered_by_lists_what_a_person_answered_newest_first(
    lite: ServiceWorld, shell: Shell
) -> None:
    prompts = [await lite.create_prompt(confirm(f"Question {n}")) for n in range(4)]
    for who, at in (("ana", 2), ("bob", 1), ("ana", 0)):
        await lite.as_user(who).hitl.AnswerPrompt(answer(prompts[at]))
    assert await _titles(shell, "--answered-by", "@me") == ["Question 0", "Question 2"]
    assert await _titles(shell, "--answered-by", "bob") == ["Question 1"]
    assert await _titles(shell, "--answered-by", "@me", "--state", "open") == []
    assert await _titles(shell, "--answered-by", "ana", "--sort", "oldest") == ["Question 0", "Question 2"]
    assert (await shell.ok("inbox", "ls", "--answered-by", "@me", "--limit", "1")).err.startswith(
        "2 answered, 1 shown"
    )
    refused = await shell.run("inbox", "ls", "--watch", "--answered-by", "ana")
    assert (refused.code, "--answered-by does not go with it" in refused.err) == (2, True)


async def test_what_ends_within_minutes_comes_first(lite: ServiceWorld, shell: Shell) -> None:
    """As on the page, whatever the priorities, also beyond the limit of the list; not in other orders. The
    note counts each prompt once."""
    for title, given in (
        ("high", {"priority": 9}),
        ("hour", {"priority": 9, "timeout": seconds(3_600)}),
        ("minutes", {"timeout": seconds(240)}),
        ("minute", {"priority": -5, "timeout": seconds(120)}),
        ("low", {}),
    ):
        await lite.create_prompt(confirm(title, **given))
    assert await _titles(shell) == ["minute", "minutes", "hour", "high", "low"]
    for limit in range(1, 6):
        wanted = ["minute", "minutes", "hour", "high", "low"][:limit]
        assert await _titles(shell, "--limit", str(limit)) == wanted
    assert (await shell.ok("inbox", "ls", "--limit", "3")).err.startswith("5 open, 3 shown")
    assert (await _titles(shell, "--sort", "oldest"))[0] == "high"
    watching = await shell.start("inbox", "ls", "--watch", "-o", "table", COLUMNS="100")
    await watching.wait_for_line("TITLE")
    assert " minute " in await watching.wait_for_line("")
    watching.kill()
    done = await shell.run("inbox", "next", stdin=b"q\n")
    assert "] minute\n" in done.out


async def test_closed_lists_what_has_ended_the_latest_first(lite: ServiceWorld, shell: Shell) -> None:
    """Also those without an answer, with the time and the person; the service does not count all of them."""
    prompts = [await lite.create_prompt(confirm(f"Question {n}")) for n in range(4)]
    await lite.as_user("bob").hitl.AnswerPrompt(answer(prompts[2]))
    await lite.hitl.CancelPrompt(hitl.CancelPromptRequest(prompt_id=prompts[0].prompt_id))
    assert await _titles(shell, "--closed") == ["Question 0", "Question 2"]
    assert await _titles(shell, "--closed", "--state", "answered") == ["Question 2"]
    table = await shell.ok("inbox", "ls", "--closed", "-o", "table", COLUMNS="120")
    head, first, second = table.out.splitlines()
    assert {"ENDED", "BY"} <= set(head.split())
    assert (first.split()[0], second.split()[0]) == ("withdrawn", "answered")
    assert "bob" in second
    line = (await shell.ok("inbox", "ls", "--closed", "--state", "answered")).out.rstrip().split("\t")
    assert line[-1] == "bob"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", line[-2])
    assert (await shell.ok("inbox", "ls", "--closed")).err == "2 closed\n"
    assert (await shell.ok("inbox", "ls", "--closed", "--limit", "1")).err.startswith(
        "1 closed; there may be"
    )
    for other in (["--state", "open"], ["--sort", "title"], ["--watch"]):
        assert (await shell.run("inbox", "ls", "--closed", *other)).code == 2, other


async def test_overdue_lists_escalated_prompts(lite: ServiceWorld, shell: Shell) -> None:
    step: Any = {"after": seconds(0.1), "to": audience("boss")}
    late = await lite.create_prompt(confirm("Late", audience=audience("ana"), escalation=[step]))
    await lite.create_prompt(confirm("In time", audience=audience("ana"), timeout=seconds(3_600)))
    watch = hitl.WatchPromptsRequest()
    async for message in lite.as_user("boss").hitl.WatchPrompts(watch):
        if any(event.upserted.prompt.prompt_id == late.prompt_id for event in message.events):
            break
    assert await _titles(shell, "--overdue") == ["Late"]


async def test_lists_are_sorted_by_the_chosen_order(lite: ServiceWorld, shell: Shell) -> None:
    await lite.create_prompt(confirm("b", timeout=seconds(7_200)))
    await lite.create_prompt(form("C", timeout=seconds(3_600)))
    await lite.create_prompt(confirm("a", priority=5))
    for order, wanted in (
        ("urgency", ["a", "C", "b"]),
        ("deadline", ["C", "b", "a"]),
        ("oldest", ["b", "C", "a"]),
        ("newest", ["a", "C", "b"]),
        ("kind", ["C", "a", "b"]),
        ("title", ["a", "b", "C"]),
    ):
        assert await _titles(shell, "--sort", order) == wanted, order
    assert await _titles(shell, "--sort", "title", "--limit", "1") == ["a"]
    assert (await shell.run("inbox", "ls", "--watch", "--sort", "title")).code == 2
    assert (await shell.run("inbox", "ls", "--watch", "--mine")).code == 2
    refused = await shell.run("inbox", "ls", "--watch", "--limit", "5")
    assert (refused.code, "--limit does not go with it" in refused.err) == (2, True)


async def test_job_ls_watch_prints_each_change_once(lite: ServiceWorld, shell: Shell) -> None:
    """As a table, as lines with tabs, and as JSON. Each change is printed once."""
    first = await lite.create("refund")
    table = await shell.start("job", "ls", "--watch", "-o", "table", COLUMNS="100")
    plain = await shell.start("job", "ls", "--watch")
    as_json = await shell.start("job", "ls", "--watch", "--json")
    assert (await table.wait_for_line(first.job_id[-6:])).startswith("queued  refund")
    assert (await plain.wait_for_line(first.job_id)).split("\t")[:3] == ["changed", "pending", "refund"]
    await as_json.wait_for_line("caughtUp")
    await lite.jobs.CancelJob(jobs.CancelJobRequest(job_id=first.job_id, reason="wrong"))
    line = await table.wait_for_line("cancelled")
    assert line.split() == ["cancelled", "refund", first.job_id[-6:], "wrong"]
    assert (await plain.wait_for_line("cancelled")).split("\t")[3:5] == ["wrong", first.job_id]
    assert json.loads(await as_json.wait_for_line("CANCELLED"))["job"]["cancelledBy"] == "ada"
    for watching in (table, plain, as_json):
        watching.kill()
    assert (await shell.run("job", "ls", "--watch", "--since", "1h")).code == 2
    refused = await shell.run("job", "ls", "--watch", "--limit", "5")
    assert (refused.code, "--limit does not go with it" in refused.err) == (2, True)


async def test_job_ls_watch_follows_jobs_only_in_the_chosen_state(lite: ServiceWorld, shell: Shell) -> None:
    """Other jobs are not printed. Ended jobs are in the table only on request."""
    running = await shell.start("job", "ls", "--watch", "--state", "running")
    await running.wait_for_line("0 jobs", on="err")
    await lite.create("other")
    leased = await lite.lease_new_job("import")
    first = (await running.wait_for_line("changed")).split("\t")
    assert first[:3] == ["changed", "running", "import"]
    await lite.jobs.CancelJob(jobs.CancelJobRequest(job_id=leased.job.job_id))
    release = workers.ReleaseJobRequest(job_id=leased.job.job_id, token=leased.token)
    await lite.workers.ReleaseJob(release)
    await running.wait_for_line("changed\tcancelled")
    ended = await shell.start("job", "ls", "--watch", "--state", "cancelled", "-o", "table", COLUMNS="100")
    assert "import" in await ended.wait_for_line(leased.job.job_id[-6:])
    for watching in (running, ended):
        watching.kill()


async def test_job_show_prints_who_cancelled_and_the_progress(lite: ServiceWorld, shell: Shell) -> None:
    leased = await lite.lease_new_job("import")
    progress = job_pb2.Progress(done=3, total=10, message="reading")
    await lite.workers.ReportProgress(
        workers.ReportProgressRequest(
            job_id=leased.job.job_id, token=leased.token, progress=progress, milestone=True
        )
    )
    await lite.as_user("bob").jobs.CancelJob(
        jobs.CancelJobRequest(job_id=leased.job.job_id, reason="wrong file")
    )
    release = workers.ReleaseJobRequest(job_id=leased.job.job_id, token=leased.token)
    await lite.workers.ReleaseJob(release)
    shown = (await shell.ok("job", "show", leased.job.job_id[-6:])).out.splitlines()
    assert "cancelled by\tbob: wrong file" in shown
    assert "progress\t3/10 reading (30 %)" in shown
    exact = (await shell.ok("job", "show", leased.job.job_id[-6:], "-v")).out
    assert re.search(r"created\t.* \(20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d\)", exact)
    fields = (await shell.ok("job", "show", leased.job.job_id[-6:], "-o", "tsv")).out.splitlines()
    assert fields[0].startswith('job\t{"')
    assert (await shell.run("job", "show", leased.job.job_id, "--json", "-o", "tsv")).code == 2
    listed = (await shell.ok("job", "ls", "-o", "tsv")).out
    assert "  " not in listed
    assert "\x1b" not in listed
