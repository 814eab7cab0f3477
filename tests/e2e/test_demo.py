"""`askback demo`, scripted and with a person.

Its processes are forked. `tests/examples/test_wheel.py` plays it with processes that start and import alone.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from askback.demo.story import NAMES
from tests.support.interactive import InteractiveProcess
from tests.support.processes import Process, Processes
from tests.support.shell import ASKBACK
from tests.support.web import fetch

pytestmark = pytest.mark.long

ENGINE_WORDS = ("PENDING", "RUNNING", "RESPOND", "consumed", "checkpoint", " leased")
"""Words of the contract: a newcomer does not know them, so the demo must not print them."""
IN_ORDER = {
    "release": [
        "worker   takes the job",
        "console  shows [clarify] How should 1.4.0 be released?",
        "console  refuses it: canary_percent: the value is greater than the maximum of 100",
        "ana      answers: target = production, canary_percent = 10, reason = the fix is urgent",
        "console  Answered: How should 1.4.0 be released?",
        "console  shows [preview] Are these the right notes for 1.4.0?",
        "console  still shows [preview] Are these the right notes for 1.4.0?",
        "ana      edits: the notes, shorter",
        "console  shows [confirm] Release 1.4.0 to production now?",
        "ana      approves: checked the ledger",
        "job      is done",
    ]
}
"""Lines of a demo in the order in which they happen, also after the kill. Progress may be reported late, so
the list has none."""


@pytest.mark.parametrize("example", NAMES)
async def test_a_scripted_demo_completes_across_a_server_kill(
    processes: Processes, forked_commands: Path, example: str
) -> None:
    """It says so in its last line, prints no words of the contract, and its events in their order."""
    demo = processes.command("demo", str(forked_commands / "askback"), "demo", example, "--scripted")
    assert await demo.wait_for_end(60) == 0, demo.story()
    assert "is killed (SIGKILL) while the question is open" in demo.out
    *_, last = demo.out.splitlines()
    assert last == "demo: the job completed with exactly the answers given, across a kill -9 of the server"
    assert not [word for word in ENGINE_WORDS if word in demo.out], demo.out
    order = IN_ORDER.get(example, [])
    assert [line[12:] for line in demo.out.splitlines() if line[12:] in order] == order, demo.out


StartDemo = Callable[..., Process]


@pytest.fixture
def start_demo(processes: Processes, forked_commands: Path) -> StartDemo:
    """Starts the release demo with the given lines as its input."""

    def start(*typed: str) -> Process:
        lines = processes.folder / "typed"
        lines.write_text("".join(f"{line}\n" for line in typed))
        askback = str(forked_commands / "askback")
        return processes.command("demo", "sh", "-c", '"$0" demo release --human <"$1"', askback, str(lines))

    return start


async def test_wrong_values_and_skipped_questions_are_asked_again(start_demo: StartDemo) -> None:
    """A value that does not fit is asked for again. A skipped question is shown again, because the job needs
    its answer. A rejection is a result of the job."""
    plan = ("", "production", "250", "10", "", "y")
    demo = start_demo("s", *plan, "r", "", "the wrong day")
    assert await demo.wait_for_end(60) == 0, demo.story()
    assert "the job cannot go on without an answer" in demo.out
    assert demo.out.count("[clarify] How should 1.4.0 be released?\n") == 3, "announced, shown, shown again"
    assert "! must be at least 1 and at most 100" in demo.out
    assert "! must be given with this decision" in demo.out
    assert "'why': 'the wrong day', 'decided_by': 'ana'" in demo.out


async def test_the_stop_button_ends_the_roll_out(start_demo: StartDemo) -> None:
    """Its prompt is open during the roll-out, after all other questions."""
    plan = ("", "production", "10", "", "y")
    notes = ("e", "# Mine", ".", "y")
    demo = start_demo(*plan, *notes, "a", "y", "a", "errors are rising")
    assert await demo.wait_for_end(60) == 0, demo.story()
    assert "'released': False, 'why': 'errors are rising'" in demo.out


async def test_the_demo_ends_at_the_end_of_its_input(start_demo: StartDemo) -> None:
    """With exit code 130, as at Ctrl-C."""
    demo = start_demo("", "production")
    assert await demo.wait_for_end(60) == 130, demo.story()
    assert demo.log == "\nended by the person at the terminal\n"


@pytest.fixture(params=["forked"])
async def terminal(
    request: pytest.FixtureRequest, forked_commands: Path
) -> AsyncIterator[InteractiveProcess]:
    """The demo at a terminal, where it asks without an option."""
    askback = ASKBACK if request.param == "installed" else str(forked_commands / "askback")
    process = InteractiveProcess([askback, "demo"], {**os.environ, "TERM": "xterm"}, terminal=True)
    yield process
    process.end()


async def test_a_question_is_answered_in_the_page_or_at_the_terminal(terminal: InteractiveProcess) -> None:
    """In the page: the terminal says who answered, and the person can answer the next question there."""
    await terminal.wait_for("Decide: ")
    address = re.search(r"is at (http://127\.0\.0\.1:(\d+)): answer there or here", terminal.shown)
    assert address, terminal.shown
    port = int(address[2])
    person = {"askback_user": "ana", "askback_groups": "release-desk", "content_type": "application/json"}
    [prompt] = (await fetch(port, "POST", "/askback.v1.HitlService/ListPrompts", "{}", **person)).json[
        "prompts"
    ]
    values = {"target": "production", "canary_percent": 10, "reason": "urgent"}
    answer = {"promptId": prompt["promptId"], "answerId": "1", "revision": 1, "decision": "DECISION_RESPOND"}
    text = json.dumps({**answer, "valuesJson": json.dumps(values)})
    reply = await fetch(port, "POST", "/askback.v1.HitlService/AnswerPrompt", text, **person)
    assert reply.status == 200, reply.body
    await terminal.wait_for("answered by ana")
    await terminal.wait_for("shows [preview]")
    await terminal.wait_for("still shows [preview]")
    await terminal.wait_for("Decide: ")
    terminal.type("a\n")
    await terminal.wait_for("[y/N] ")
    terminal.type("y\n")
    await terminal.wait_for("shows [confirm]")
    assert (await fetch(port, "GET", "/readyz")).status == 200, "the page is back after the kill"
    await terminal.wait_for("Decide: ")
    terminal.type("\x03")
    assert await terminal.wait_for_end() == 130


@pytest.mark.parametrize("terminal", ["installed"], indirect=True)
async def test_ctrl_c_ends_the_demo_and_its_server(terminal: InteractiveProcess) -> None:
    """Ctrl-C reaches all processes of the terminal, which a forked demo would not share."""
    await terminal.wait_for("Decide: ")
    terminal.type("\x03")
    assert await terminal.wait_for_end() == 130
    assert "ended by the person at the terminal" in terminal.shown
    server = int(terminal.shown.partition("pid ")[2].partition(",")[0])
    with pytest.raises(ProcessLookupError):
        os.kill(server, 0)


async def test_the_demo_closes_a_question_that_ends_while_it_is_shown(terminal: InteractiveProcess) -> None:
    """The stop button is not pressed: its question ends with the roll-out, and the demo says so."""
    for words, keys in (
        ("Decide: ", ""),
        ("Where should", ""),
        ("> ", "1"),
        ("how many percent", ""),
        ("> ", "60"),
        ("Why now", ""),
        ("[Enter: empty", ""),
        ("Send it?", "y"),
        ("shows [preview]", None),
        ("Decide: ", "a"),
        ("[y/N] ", "y"),
        ("shows [confirm]", None),
        ("Decide: ", "a"),
        ("[y/N] ", "y"),
    ):
        await terminal.wait_for(words)
        if keys is not None and words not in ("Where should", "how many percent", "Why now"):
            terminal.type(f"{keys}\n")
    await terminal.wait_for("Stop the roll-out of 1.4.0?")
    await terminal.wait_for("Decide: ")
    await terminal.wait_for("closes the question: Stop the roll-out of 1.4.0?")
    assert await terminal.wait_for_end() == 0
    assert "'released': True" in terminal.shown
