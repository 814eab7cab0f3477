"""Keys at a real terminal: typed-ahead, pasted or held keys answer only the question that was shown."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import prompt_pb2 as prompts
from tests.support.interactive import InteractiveProcess, InteractiveProcesses
from tests.support.requests import ACCEPT, answer, confirm, form, seconds
from tests.support.service import ServiceWorld
from tests.support.shell import Shell

PASTE, ENDS = "\x1b[200~", "\x1b[201~"
AGAIN = "Press Enter to go on: "


@pytest.fixture
async def consoles(lite: ServiceWorld, tmp_path: Path) -> AsyncIterator[InteractiveProcesses]:
    """Starts terminals for `lite`."""
    consoles = InteractiveProcesses(f"127.0.0.1:{lite.service.port}", tmp_path)
    yield consoles
    consoles.end()


def terminal(
    consoles: InteractiveProcesses, *words: str, rows: int = 0, **environment: str
) -> InteractiveProcess:
    """Run `askback inbox` with these arguments at a terminal."""
    ana = consoles.start("ana", "inbox", *words, terminal=True, **environment)
    if rows:
        ana.resize(rows)
    return ana


async def _open(lite: ServiceWorld, *asked: prompts.Prompt) -> list[bool]:
    return [(await lite.prompt(one.prompt_id)).state == prompts.PROMPT_STATE_PENDING for one in asked]


async def _shows_a_key(ana: InteractiveProcess) -> None:
    """Press a key until its effect is visible, so that it was not part of the previous burst."""
    there = len(ana.shown)
    while "z" not in ana.shown[there:]:
        ana.type("z")
        await asyncio.sleep(0.05)


async def test_one_burst_answers_one_question_at_most(
    lite: ServiceWorld, consoles: InteractiveProcesses
) -> None:
    """Keys typed ahead, pasted with and without brackets, or held down; then one deliberate key."""
    both = await lite.create_prompt(confirm("One?")), await lite.create_prompt(confirm("Two?"))
    ana = terminal(consoles, "approve", *(prompt.prompt_id for prompt in both))
    ana.type("y\r")  # before anything was drawn
    await ana.wait_for("Confirm? [y/N] ")
    assert "\x1b[?2004h" in ana.raw
    for keys in ("y\ry\ry\r", f"{PASTE}y\ry\r{ENDS}", f"{PASTE}y{ENDS}", "yes\rplease do\r", "yyyyyy"):
        ana.type(keys)
        await _shows_a_key(ana)
        await ana.enter("", "! type one of: ")  # no key of the burst was an answer
        await ana.wait_for("Confirm? [y/N] ")
    assert await _open(lite, *both) == [True, True]
    await ana.enter("y", "Approved: One?")
    await ana.wait_for("Confirm? [y/N] ")
    await ana.enter(f"{PASTE}y{ENDS}", "left as it is")  # only Enter counts
    assert await ana.wait_for_end() == 0
    assert await _open(lite, *both) == [False, True]


async def test_a_paste_stays_in_its_field(lite: ServiceWorld, consoles: InteractiveProcesses) -> None:
    prompt = await lite.create_prompt(confirm("Deploy?"))
    ana = terminal(consoles, "answer", prompt.prompt_id)
    await ana.wait_for("Decide: ")
    ana.type(f"{PASTE}a\ry\r{ENDS}")
    await ana.enter("", "! type one of these keys")
    await ana.wait_for("Decide: ")
    await ana.enter("c", "Comment: ")
    ana.type("Only if green.\r\rElse reject.\r")
    await ana.wait_for("Else reject.")
    await ana.enter("", "Decide: ")
    await ana.enter("a", "Confirm? [y/N] ")
    ana.type(f"{PASTE}y\ry\r{ENDS}")
    await ana.enter("", "Decide: ")  # Enter alone: no
    assert await _open(lite, prompt) == [True]
    await ana.enter("a", "Confirm? [y/N] ")
    await ana.enter("y", "Approved: Deploy?")
    assert await ana.wait_for_end() == 0
    said = (await lite.prompt(prompt.prompt_id)).resolution.answer
    assert (said.decision, said.comment) == (ACCEPT, "Only if green.\n\nElse reject.")


async def test_inbox_next_asks_again_after_an_unknown_key(
    lite: ServiceWorld, consoles: InteractiveProcesses
) -> None:
    prompt = await lite.create_prompt(confirm("Take me?"))
    ana = terminal(consoles, "next")
    for keys in ("x", "", "skip it", "1", "aa", "y"):
        await ana.wait_for("Decide: ")
        await ana.enter(keys, "these keys")
    await ana.wait_for("Decide: ")
    assert (await lite.prompt(prompt.prompt_id)).claimed_by == "ana"
    await ana.enter("s", "nothing more waits")
    assert await ana.wait_for_end() == 0
    assert "1 skipped and still open" in ana.shown
    assert await _open(lite, prompt) == [True]


async def test_inbox_next_moves_back_and_forth(lite: ServiceWorld, consoles: InteractiveProcesses) -> None:
    """j and k move, / finds. Leaving a prompt releases its claim and keeps the typed text."""
    for title in ("First?", "Second?", "Third?"):
        await lite.create_prompt(confirm(title))
    ana = terminal(consoles, "next")
    await ana.wait_for("[confirm] First?")
    await ana.wait_for("Decide: ")
    await ana.enter("c looks fine", "the next decision carries it")
    await ana.wait_for("Decide: ")
    await ana.enter("k", "there is none before this one")
    await ana.wait_for("Decide: ")
    await ana.enter("j", "[confirm] Second?")
    await ana.wait_for("Decide: ")
    await ana.enter("/third", "[confirm] Third?")
    await ana.wait_for("Decide: ")
    await ana.enter("/nothing like it", "none has the words 'nothing like it'")
    await ana.wait_for("Decide: ")
    await ana.enter("k", "[confirm] Second?")
    await ana.wait_for("Decide: ")
    await ana.enter("r", "Reason (Enter for none): ")
    await ana.enter("too dear", "Rejected: Second?")
    await ana.wait_for("[confirm] Third?")
    await ana.wait_for("Decide: ")
    await ana.enter("k", "[confirm] First?")
    await ana.wait_for("Decide: ")
    await ana.enter("a", "comment: looks fine")
    await ana.wait_for("Confirm? [y/N] ")
    await ana.enter("y", "Approved: First?")
    await ana.wait_for("Decide: ")
    await ana.enter("q", "2 answered")
    assert await ana.wait_for_end() == 0
    prompts_now = (await lite.hitl.ListPrompts(hitl.ListPromptsRequest())).prompts
    assert [(p.content.title, p.claimed_by) for p in prompts_now] == [("Third?", "")]


UP, CTRL_S = "\x1b[A", "\x13"


async def test_text_is_edited_in_place_and_commands_are_recalled(
    lite: ServiceWorld, consoles: InteractiveProcesses
) -> None:
    """Edited in place with its line ends; the changes are shown. Up recalls commands, but no answers."""
    part = prompts.PromptPart(content_id="notes", title="Notes", text="one\ntwo\n", editable=True)
    first, second = [
        await lite.create_prompt(confirm(f"Notes {n}?", kind="preview", contents=[part])) for n in range(2)
    ]
    ana = consoles.start("ana", "console", terminal=True)
    await ana.wait_for("askback> ")
    await ana.enter("show 1", "a Approve   e Accept with changes")
    await ana.wait_for("askback> ")
    await ana.enter("e", "Ctrl-S when you are done")
    await ana.wait_for("two")
    ana.type("three\rfour")
    await ana.wait_for("four")
    ana.type(CTRL_S)
    await ana.wait_for("Notes: +2 -0 lines")
    await ana.wait_for("Send it? ")
    await ana.enter("y", "Approved with changes: Notes 0?")
    await ana.wait_for("askback> ")
    ana.type(UP)
    await ana.wait_for("e")
    ana.type(UP)
    await ana.wait_for("show 1")
    ana.type("\x7f")
    await ana.enter("2", "[preview] Notes 1?")
    await ana.wait_for("askback> ")
    await ana.enter("a", "Approve? [y/N] ")
    await ana.enter("y", "Approved: Notes 1?")
    await ana.wait_for("askback> ")
    said = [(await lite.prompt(one.prompt_id)).resolution.answer for one in (first, second)]
    assert [(one.edits[0].text if one.edits else "") for one in said] == ["one\ntwo\nthree\nfour\n", ""]
    ana.type("q\n")
    assert await ana.wait_for_end() == 0


SCRIPT = "".join(f"echo step {n:04}\n" for n in range(90)) + "rm -rf /important\n"


async def test_a_long_text_is_shown_in_pages(lite: ServiceWorld, consoles: InteractiveProcesses) -> None:
    """Approval needs the last page, or a second yes."""
    parts = [prompts.PromptPart(content_id=name, text=text) for name, text in (("a", "a"), ("b", SCRIPT))]
    first, second = [await lite.create_prompt(confirm(f"{n}?", contents=parts)) for n in range(2)]
    ana = terminal(consoles, "approve", first.prompt_id, second.prompt_id, rows=40)
    await ana.wait_for("Enter: more, all: the rest, q: stop -- ")
    for key in ("y", "a"):  # `a` approves elsewhere, but does nothing here
        await ana.enter(key, "! type one of: more, b, back, all, q, quit")
        await ana.wait_for("q: stop -- ")
    assert "/important" not in ana.shown
    await ana.enter("q", "You have not been shown all of it")
    await ana.wait_for("Say yes to what you have not seen? [y/N] ")
    await ana.enter("", "left as it is")
    await ana.wait_for("q: stop -- ")
    await ana.enter("", "q: stop -- ")
    assert ana.shown.count("[confirm] 1?") == 2  # each page begins with the title
    await ana.enter("b", "q: stop -- ")
    await ana.enter("all", "rm -rf /important")
    await ana.wait_for("Confirm? [y/N] ")
    await ana.enter("y", "Approved: 1?")
    assert await ana.wait_for_end() == 0
    assert await _open(lite, first, second) == [True, False]


async def test_a_console_tracks_what_was_shown(lite: ServiceWorld, consoles: InteractiveProcesses) -> None:
    """`show` cut the text, so `approve` asks for a confirmation. A link always needs one."""
    long = await lite.create_prompt(confirm("Long?", body=SCRIPT * 30))
    link = await lite.create_prompt(
        confirm("Link?", contents=[prompts.PromptPart(content_id="r", url="https://x/r")])
    )
    ana = consoles.start("ana", "console", terminal=True)
    await ana.wait_for("askback> ")
    for number in "12":
        await ana.enter(f"show {number}")
        await ana.enter(f"approve {number}", "Say yes to what you have not seen? [y/N] ")
        await ana.enter("", f"{number} is left as it is")
        await ana.wait_for("askback> ")
    await ana.enter("show 1 --full")
    await ana.enter("approve 1", "Approved: Long?")
    await ana.wait_for("askback> ")
    ana.type("approve 2\rapprove 2\r")
    await ana.wait_for("approve 2\napprove 2")
    await ana.enter("", "one command at a time")
    assert await _open(lite, long, link) == [False, True]


async def test_typed_values_are_offered_after_an_amendment(
    lite: ServiceWorld, consoles: InteractiveProcesses
) -> None:
    lease = await lite.lease_new_job()
    prompt = await lite.ask(lease, "k", form("How many?"))
    ana = terminal(consoles, "answer", prompt.prompt_id)
    await ana.wait_for("Decide: ")
    await ana.enter("", "1/2 ")
    await ana.enter("7", "2/2 ")
    amended = form("How many?", body="at most 9")
    await lite.ask(lease, "k", amended)
    await ana.wait_for("+ changed: it is at revision 2 now")
    await ana.wait_for(AGAIN)
    await ana.enter("because", AGAIN)
    await ana.enter("", "How many?: 7")
    await ana.wait_for("at most 9")
    await ana.wait_for("[Enter: 7]> ")
    await ana.enter("", "2/2 ")
    await ana.enter("", "Send it?")
    await ana.enter("y", "Answered: How many?")
    said = (await lite.prompt(prompt.prompt_id)).resolution.answer
    assert (said.values_json, said.revision) == ('{"n":7}', 2)


async def test_changes_are_reported_while_a_question_is_open(
    lite: ServiceWorld, consoles: InteractiveProcesses
) -> None:
    """The remaining time, a claim and the end of the prompt are reported. Then typed text is printed."""
    prompt = await lite.create_prompt(form("How many?", timeout=seconds(300)))
    ana = terminal(consoles, "answer", prompt.prompt_id)
    await ana.wait_for("Decide: ")
    await ana.enter("", "1/2 ")
    await ana.wait_for(" left")
    await ana.enter("7", "2/2 ")
    bob = lite.as_user("bob").hitl
    await bob.ClaimPrompt(hitl.ClaimPromptRequest(prompt_id=prompt.prompt_id))
    await ana.wait_for("* bob has taken it on")
    ended = answer(prompt, decision=prompts.DECISION_RESPOND, values_json='{"n": 9}')
    await bob.AnswerPrompt(ended)
    await ana.wait_for("+ answered by bob")
    await ana.wait_for(AGAIN)
    await ana.enter("", "How many?: 7")
    assert await ana.wait_for_end() == 4


async def test_approve_yes_prints_the_prompt_with_every_output_option(
    lite: ServiceWorld, shell: Shell
) -> None:
    """For programs the prompt goes to stderr, for a script's log. stdout has only the result."""
    for option in ("--json", "--quiet"):
        prompt = await lite.create_prompt(confirm("Delete it all?"))
        done = await shell.ok("inbox", "approve", "--yes", prompt.prompt_id, option)
        assert "Delete it all?" in done.err
        assert len(done.out.splitlines()) == 1


async def test_approve_yes_prints_the_prompt_on_stderr(lite: ServiceWorld, shell: Shell) -> None:
    """The prompt goes to stderr, for the log of a script. stdout has only the result."""
    prompt = await lite.create_prompt(confirm("Drop the table?", body="All of it."))
    done = await shell.ok("inbox", "approve", "--yes", prompt.prompt_id)
    assert done.out == "Approved: Drop the table?\n"
    assert "[confirm] Drop the table?" in done.err
    assert "| All of it." in done.err
    assert "--revision 1" in done.err


async def test_approve_with_an_old_revision_is_refused(
    lite: ServiceWorld, shell: Shell, consoles: InteractiveProcesses
) -> None:
    lease = await lite.lease_new_job()
    prompt = await lite.ask(lease, "k", confirm("Old wording"))
    await lite.amend(lease, "k", "New wording")
    for words in (["approve", "--yes"], ["answer", "--decision", "accept"]):
        done = await shell.run("inbox", *words, prompt.prompt_id, "--revision", "1")
        assert done.code == 4
        assert "STALE" in done.out + done.err
        assert "revision 2 asks: [confirm] New wording" in done.out + done.err
    ana = terminal(consoles, "answer", prompt.prompt_id, "--revision", "1")
    await ana.wait_for("STALE")
    assert await ana.wait_for_end() == 4
    assert await _open(lite, prompt) == [True]
    await shell.ok("inbox", "approve", prompt.prompt_id, "--revision", "2")


async def test_a_job_that_is_being_cancelled_is_marked(lite: ServiceWorld, shell: Shell) -> None:
    lease = await lite.lease_new_job()
    prompt = await lite.ask(lease, "k", confirm("Pay?"))
    assert "being cancelled" not in (await shell.ok("inbox", "show", prompt.prompt_id)).out
    await lite.jobs.CancelJob(jobs.CancelJobRequest(job_id=prompt.job_id))
    assert "the job is being cancelled" in (await shell.ok("inbox", "show", prompt.prompt_id)).out


async def test_a_terminal_without_prompt_toolkit_is_refused_with_the_fix(
    lite: ServiceWorld, consoles: InteractiveProcesses, tmp_path: Path
) -> None:
    """Without it a paste cannot be told from an answer. The error names the command that installs it."""
    (tmp_path / "prompt_toolkit.py").write_text("raise ModuleNotFoundError('no', name='prompt_toolkit')")
    prompt = await lite.create_prompt(confirm("Deploy?"))
    for words in (["inbox", "approve", prompt.prompt_id], ["console"]):
        ana = consoles.start_installed("ana", *words, terminal=True, PYTHONPATH=str(tmp_path))
        await ana.wait_for("needs prompt_toolkit: pip install 'askback[tui]'")
        assert await ana.wait_for_end() == 2
    words = ["inbox", "approve", "--yes", prompt.prompt_id]
    yes = consoles.start_installed("ana", *words, PYTHONPATH=str(tmp_path))
    assert await yes.wait_for_end() == 0
    assert await _open(lite, prompt) == [False]
