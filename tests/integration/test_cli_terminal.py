"""What a person sees at a terminal: the progress bar, colours, and no effect of hostile text."""

import asyncio
import json
import os
import pty
import re
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_pb2
from askback.v1 import prompt_pb2 as prompts
from askback.v1 import worker_service_pb2 as workers
from tests.support.requests import answer, audience, confirm
from tests.support.service import ServiceWorld
from tests.support.shell import WITHIN, Shell

EVIL = "Pay?\x1b[2J\x1b]0;owned\x07\u202egnp.exe\x9b31m\x08"
ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200e\u200f]")


class Terminal:
    """Runs `askback` on a pseudo-terminal."""

    def __init__(self, shell: Shell, program: Path, *command: str, **environment: str) -> None:
        self.seen = ""
        self._changed = asyncio.Event()
        self._ours, theirs = pty.openpty()
        settings = {"TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40", **environment}
        self._process = subprocess.Popen(
            [program, *command],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env={**shell.environment, **settings},
        )
        os.close(theirs)
        asyncio.get_running_loop().add_reader(self._ours, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._ours, 65536)
        except OSError:  # Linux reports a closed other side like this
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._ours)
            self._gone = True
        self.seen += data.decode(errors="replace")
        self._changed.set()

    _gone = False

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(WITHIN):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def shows(self, words: str) -> None:
        """Wait until it has printed this text."""
        await self._until(lambda: words in self.seen)

    async def wait_for_end(self) -> int:
        """Wait for its end and for all output; returns the exit code."""
        await self._until(lambda: self._gone)
        return self._process.wait(WITHIN)

    def end(self) -> None:
        """Kill the process if it still runs."""
        asyncio.get_running_loop().remove_reader(self._ours)
        self._process.kill()
        self._process.wait()
        os.close(self._ours)


@pytest.fixture
async def terminal(shell: Shell, forked_commands: Path) -> AsyncIterator[Callable[..., Terminal]]:
    """Opens terminals and closes them."""
    opened: list[Terminal] = []

    def open_one(*command: str, **environment: str) -> Terminal:
        opened.append(Terminal(shell, forked_commands / "askback", *command, **environment))
        return opened[-1]

    yield open_one
    for one in opened:
        one.end()


async def test_the_progress_bar_shows_that_a_person_is_waited_for(
    lite: ServiceWorld, terminal: Callable[..., Terminal]
) -> None:
    """Progress, then yellow text with the title while it waits for people, then progress again."""
    leased = await lite.lease_new_job()
    job_id = leased.job.job_id
    screen = terminal("job", "watch", job_id)

    async def progress(done: int, message: str) -> None:
        report = job_pb2.Progress(done=done, total=4, message=message)
        request = workers.ReportProgressRequest(
            job_id=job_id, token=leased.token, progress=report, milestone=True
        )
        await lite.workers.ReportProgress(request)

    await progress(1, "reading")
    await screen.shows("25%")
    prompt = await lite.ask(leased, "pay", confirm("Pay [bold]12[/bold]?"))
    await screen.shows("\x1b[33mwaiting for a human: Pay [bold]12[/bold]?")
    await lite.hitl.AnswerPrompt(answer(prompt))
    await progress(3, "paying")
    await screen.shows("75%")
    await lite.workers.CompleteJob(workers.CompleteJobRequest(job_id=job_id, token=leased.token))
    assert await screen.wait_for_end() == 0
    assert "question 1 answered by ada: ACCEPT" in screen.seen


async def test_no_color_and_dumb_terminals_get_plain_text(
    lite: ServiceWorld, terminal: Callable[..., Terminal]
) -> None:
    """NO_COLOR removes colours but not the text. TERM=dumb also removes cursor movements."""
    await lite.create("refund")
    coloured = terminal("doctor")
    assert await coloured.wait_for_end() == 0
    assert "\x1b[32mok" in coloured.seen
    plain = terminal("doctor", NO_COLOR="1")
    assert await plain.wait_for_end() == 0
    assert "\x1b[3" not in plain.seen
    assert "ok    python" in plain.seen
    dumb = terminal("job", "ls", TERM="dumb")
    assert await dumb.wait_for_end() == 0
    assert "\x1b" not in dumb.seen
    assert "refund" in dumb.seen


def _acts(text: str) -> str:
    """The control characters in a terminal's output other than our colours, movements and line ends."""
    rest = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", text)
    return "".join(f"<{ord(c):x}>" if ACTS.match(c) else c for c in rest) if ACTS.search(rest) else ""


async def test_hostile_text_cannot_control_the_terminal(
    lite: ServiceWorld, shell: Shell, terminal: Callable[..., Terminal]
) -> None:
    """For every command, with and without a terminal, as text and as JSON."""
    leased = await lite.lease_new_job(
        "evil", input_json=json.dumps({"a": EVIL}), labels={"x": "y\u202e"}, max_attempts=1
    )
    job_id = leased.job.job_id
    part = prompts.PromptPart(content_id="c", text=EVIL, title="c", media_type="text/plain")
    prompt = await lite.ask(
        leased,
        "k",
        confirm("Pay?\u202egnp", body=EVIL, contents=[part], audience=audience("ana\u202e", "ada")),
    )
    claim = hitl.ClaimPromptRequest(prompt_id=prompt.prompt_id)
    await lite.hitl.ClaimPrompt(claim)
    await lite.hitl.AnswerPrompt(answer(prompt, comment=EVIL))
    await lite.ask(leased, "k\u202e2", confirm("More?\u2066x"))
    commands = [["job", "ls"], ["job", "show", job_id], ["explain", job_id]]
    for command in commands:
        for words in (command, [*command, "--json"]):
            done = await shell.ok(*words)
            assert not ACTS.search(done.out), (words, done.out)
            screen = terminal(*words)
            assert await screen.wait_for_end() == 0
            assert "\x1b[2J" not in screen.seen
            assert "\x1b]0" not in screen.seen
            assert not _acts(screen.seen), (words, _acts(screen.seen))
    shown = (await shell.ok("job", "show", job_id, "--json")).json
    assert shown["job"]["input"] == {"a": EVIL}
    assert shown["prompts"][0]["resolution"]["answer"]["comment"] == EVIL
    failure = job_pb2.Failure(code="Bad", message=EVIL)
    await lite.workers.FailJob(workers.FailJobRequest(job_id=job_id, token=leased.token, failure=failure))
    for words in (["job", "watch", job_id], ["job", "watch", job_id, "--json"], ["job", "show", job_id]):
        screen = terminal(*words)
        await screen.wait_for_end()
        assert not _acts(screen.seen), (words, _acts(screen.seen))
        assert "\x1b[2J" not in screen.seen


async def test_hostile_answers_cannot_control_the_terminal(lite: ServiceWorld, shell: Shell) -> None:
    """The output of `askback ask` is read by scripts and shown on terminals."""
    asking = await shell.start("ask", "Why?", "--kind", "clarify")
    await asking.wait_for_line("asked ", on="err")
    [prompt] = (await lite.hitl.ListPrompts(hitl.ListPromptsRequest())).prompts
    await lite.hitl.AnswerPrompt(answer(prompt, decision=prompts.DECISION_RESPOND, comment=EVIL))
    done = await asking.result()
    assert done.code == 0
    assert done.out == "Pay?[2J]0;ownedgnp.exe31m\n"
    assert not ACTS.search(done.err)
