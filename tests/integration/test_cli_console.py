"""`askback console` on open pipes: commands, races, and prompts that close while a person types."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import prompt_pb2 as prompts
from tests.support.interactive import InteractiveProcesses
from tests.support.requests import ACCEPT, REJECT, answer, confirm, form, seconds
from tests.support.service import ServiceWorld
from tests.support.shell import Shell

ENTER = "Press Enter to go on: "


@pytest.fixture
async def consoles(lite: ServiceWorld, tmp_path: Path) -> AsyncIterator[InteractiveProcesses]:
    """Starts consoles of `lite`."""
    consoles = InteractiveProcesses(f"127.0.0.1:{lite.service.port}", tmp_path)
    yield consoles
    consoles.end()


async def test_a_prompt_appears_and_is_answered_field_by_field(
    lite: ServiceWorld, consoles: InteractiveProcesses
) -> None:
    ana = consoles.start("ana", "console", "--bell")
    await ana.wait_for("nothing is open\naskback> ")
    prompt = await lite.create_prompt(form("How many?"))
    await ana.wait_for("* 1 new: [clarify] How many?")
    await ana.enter("answer 1", "Decide: ")
    assert "\a" in ana.raw
    await ana.enter("", "1/2 How many?")
    await ana.enter("x", "! must be a whole number")
    await ana.enter("3", "2/2 Why?")
    await ana.enter("so", "Send it?")
    await ana.enter("y", "Answered: How many?\naskback> ")
    closed = (await lite.prompt(prompt.prompt_id)).resolution.answer
    assert (closed.values_json, closed.user_id) == ('{"n":3,"why":"so"}', "ana")
    await ana.repeat_until("1", "answered by ana")  # a number alone shows its prompt
    await ana.enter("approve 1", "! 1 answered by ana")
    ana.type("quit\n")
    assert await ana.wait_for_end() == 4  # on a pipe, a refusal counts


async def test_the_console_rings_again_for_steps_and_reminders(
    lite: ServiceWorld, consoles: InteractiveProcesses
) -> None:
    ana = consoles.start("ana", "console", "--bell")
    await ana.wait_for("nothing is open\naskback> ")
    steps = [prompts.EscalationStep(after=seconds(1), raise_priority=5)]
    reminders = prompts.Reminders(after=seconds(2.5), every=seconds(60))
    prompt = await lite.create_prompt(form("How many?", escalation=steps, reminders=reminders))
    await ana.wait_for("* 1 new: [clarify] How many?")
    await ana.wait_for("* 1 escalated: [clarify] How many?")
    await ana.wait_for("* 1 reminded: [clarify] How many?")
    await ana.enter("show 1", "step 1 of 1 is taken")
    assert ana.raw.count("\a") == 3
    ana.type("quit\n")
    await ana.wait_for_end()
    assert (await lite.prompt(prompt.prompt_id)).remind_count == 1


async def test_two_consoles_race_for_one_prompt(lite: ServiceWorld, consoles: InteractiveProcesses) -> None:
    """Exactly one console approves. The other one learns who won, and both show the same."""
    for _ in range(3):
        prompt = await lite.create_prompt()
        both = [consoles.start(name, "console") for name in ("ana", "bob")]
        for desk in both:
            await desk.wait_for("askback> ")
            await desk.enter("show 1")
        for desk in both:
            desk.type("approve 1\nquit\n")
        for desk in both:
            await desk.wait_for_end()
        by = (await lite.prompt(prompt.prompt_id)).resolution.answer.user_id
        won = [desk.shown.count("Approved: ") for desk in both]
        assert sorted(won) == [0, 1]
        assert by == ("ana", "bob")[won.index(1)]
        loser = both[won.index(0)].shown
        assert f"CLOSED: answered by {by}" in loser or f"! 1 answered by {by}" in loser


async def test_text_typed_for_a_closed_prompt_is_dropped(
    lite: ServiceWorld, consoles: InteractiveProcesses
) -> None:
    """The prompt is answered elsewhere while its form is filled in: lines are dropped up to an empty one."""
    first = await lite.create_prompt(form("First?"))
    second = await lite.create_prompt(confirm("Second?"))
    ana = consoles.start("ana", "console")
    await ana.wait_for("askback> ")
    await ana.enter("show 2")
    await ana.enter("answer 1", "Decide: ")
    await ana.enter("", "1/2 ")
    winner = answer(first, decision=prompts.DECISION_RESPOND, values_json='{"n": 9}')
    await lite.as_user("bob").hitl.AnswerPrompt(winner)
    await ana.wait_for("+ 1 answered by bob ")
    assert " UTC)" in await ana.wait_for(": RESPOND: First?")
    await ana.wait_for("What you typed was not sent. " + ENTER)
    for typed in ("3", "approve 2", "y"):  # lines that a fast person, or a script, continues with
        await ana.enter(typed, ENTER)
    await ana.enter("", "askback> ")
    assert (await lite.prompt(second.prompt_id)).state == prompts.PROMPT_STATE_PENDING
    assert (await lite.prompt(first.prompt_id)).submissions == 1
    await ana.enter("approve", "! 1 answered by bob")  # the selection did not move to the other prompt
    await ana.enter("approve 2 read it", "Approved: Second?")
    closed = (await lite.prompt(second.prompt_id)).resolution.answer
    assert (closed.user_id, closed.comment) == ("ana", "read it")
    ana.type("quit\n")
    assert await ana.wait_for_end() == 4


async def test_text_typed_for_an_older_revision_is_dropped(
    lite: ServiceWorld, consoles: InteractiveProcesses
) -> None:
    lease = await lite.lease_new_job()
    prompt = await lite.ask(lease, "k", confirm("Old wording"))
    ana = consoles.start("ana", "console")
    await ana.wait_for("askback> ")
    await ana.enter("answer 1", "Decide: ")
    await lite.amend(lease, "k", "New wording")
    await ana.wait_for("+ 1 changed: it is at revision 2 now: New wording")
    await ana.wait_for(ENTER)
    await ana.enter("1", ENTER)
    await ana.enter("")
    assert (await lite.prompt(prompt.prompt_id)).submissions == 0
    shown = await ana.enter("approve 1", "Confirm? [y/N] ")  # not shown yet: it is shown first
    assert "[confirm] New wording" in shown
    await ana.enter("y", "Approved: New wording")
    assert (await lite.prompt(prompt.prompt_id)).resolution.answer.revision == 2


async def test_a_prompt_that_was_not_read_is_shown_and_asked_about(
    lite: ServiceWorld, consoles: InteractiveProcesses
) -> None:
    prompt = await lite.create_prompt(confirm("Delete all?"))
    ana = consoles.start("ana", "console")
    await ana.wait_for("askback> ")
    shown = await ana.enter("approve 1", "Confirm? [y/N] ")
    assert "[confirm] Delete all?" in shown
    await ana.enter("", "1 is left as it is")
    assert (await lite.prompt(prompt.prompt_id)).submissions == 0
    await ana.enter("reject 1 no way", "Rejected: Delete all?")
    closed = (await lite.prompt(prompt.prompt_id)).resolution.answer
    assert (closed.decision, closed.comment) == (REJECT, "no way")


async def test_the_console_claims_and_releases_prompts(
    lite: ServiceWorld, consoles: InteractiveProcesses
) -> None:
    prompt = await lite.create_prompt(confirm("Mine"))
    ana, bob = consoles.start("ana", "console"), consoles.start("bob", "console")
    for desk in (ana, bob):
        await desk.wait_for("askback> ")
    await ana.enter("claim 1", "1 is yours")
    await bob.repeat_until("show 1", "claimed by  ana")
    await bob.enter("approve 1", "CLAIMED: ana has taken it on; nothing was decided")
    await ana.enter("release 1", "1 is not claimed any more")
    await bob.enter("claim 1", "1 is yours")
    bob.type("quit\n")
    await bob.wait_for_end()
    assert (await lite.prompt(prompt.prompt_id)).claimed_by == ""
    await ana.enter("claim 1", "1 is yours")
    await ana.enter("skip 1", "1 is left to others")
    assert (await lite.prompt(prompt.prompt_id)).claimed_by == ""
    await ana.enter("list", "nothing is open")


async def test_the_console_runs_a_script_from_a_pipe(lite: ServiceWorld, shell: Shell) -> None:
    """All lines of a closed pipe are executed, and the exit code reports a refusal."""
    prompt = await lite.create_prompt(form("How many?"))
    script = b"help\nwait\nshow 1\nanswer 1 n=x\nanswer 1 n=3 why='two words'\nlist\n"
    done = await shell.run("console", stdin=script)
    assert done.code == 2
    assert "! n: must be a whole number" in done.out
    assert "\nwait                         wait until" in done.out
    assert "\n  r      reject it; asks for a reason\n" in done.out
    assert "Answered: How many?" in done.out
    assert done.out.endswith("nothing is open\naskback> \n")
    closed = (await lite.prompt(prompt.prompt_id)).resolution.answer
    assert closed.values_json == '{"n":3,"why":"two words"}'
    (shell.home / "script").write_text("list\nbogus 'quote\nshow 9\nhelp\n")
    assert (await shell.run("console", "--json")).code == 2


async def test_a_console_script_that_loses_exits_with_4(
    lite: ServiceWorld, shell: Shell, consoles: InteractiveProcesses
) -> None:
    prompt = await lite.create_prompt()
    ana = consoles.start("ana", "console")
    await ana.wait_for("askback> ")
    await ana.enter("show 1")
    await ana.enter("claim 1")
    other = consoles.start("bob", "console")
    await other.wait_for("askback> ")
    await other.enter("show 1")
    await other.enter("approve 1", "CLAIMED")
    other.type("quit\n")
    assert await other.wait_for_end() == 4
    await ana.enter("approve 1", "Approved: ")
    ana.type("quit\n")
    assert await ana.wait_for_end() == 0
    assert (await lite.prompt(prompt.prompt_id)).resolution.answer.decision == ACCEPT


async def test_the_first_list_is_complete_and_shows_only_my_prompts(
    lite: ServiceWorld, consoles: InteractiveProcesses
) -> None:
    """With more prompts than the credit of the stream, the first list is still complete."""
    for number in range(50):
        await lite.create_prompt(confirm(f"Prompt {number}", priority=number % 3))
    await lite.create_prompt(confirm("Not for ana", audience=prompts.Audience(users=["bob"])))
    ana = consoles.start("ana", "console")
    shown = await ana.wait_for("askback> ")
    assert "50 open" in shown
    assert shown.count("Prompt ") == 50
    priorities = [line.split()[0] for line in shown.splitlines() if "Prompt " in line]
    assert priorities == sorted(priorities, reverse=True)
    narrowed = consoles.start("ana", "console", "--kind", "clarify")
    await narrowed.wait_for("nothing is open")


async def test_a_refused_console_prints_the_reason(lite: ServiceWorld, shell: Shell) -> None:
    away = await shell.run("console", "--server", "127.0.0.1:1", "--timeout", "0.5s", stdin=b"")
    assert away.code == 7
    assert (await shell.run("console", "--label", "x", stdin=b"")).code == 2


async def test_a_notice_does_not_disturb_what_is_typed(
    lite: ServiceWorld, consoles: InteractiveProcesses
) -> None:
    """A claim by another user does not abort the dialogue. A new prompt is printed above the question."""
    prompt = await lite.create_prompt(form("First?"))
    ana = consoles.start("ana", "console")
    await ana.wait_for("askback> ")
    await ana.enter("answer 1", "Decide: ")
    await ana.enter("", "1/2 ")
    await ana.wait_for("> ")
    await lite.create_prompt(confirm("Second?"))
    await ana.wait_for("\n* 2 new: [confirm] Second?\n     > ")
    await ana.enter("4", "2/2 ")
    await ana.enter("", "Send it?")
    await ana.enter("y", "Answered: First?")
    assert (await lite.prompt(prompt.prompt_id)).resolution.answer.values_json == '{"n":4}'
    request = hitl.GetPromptRequest(prompt_id=prompt.prompt_id)
    assert (await lite.hitl.GetPrompt(request)).prompt.submissions == 1
