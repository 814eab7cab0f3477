"""Runs an example: its worker, which tests may kill, and the person of its story."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Any

from askback import AnswerInvalid, Client, Console, ConsolePrompt, Run
from askback.demo.story import Story
from tests.e2e.checks import check_fold, check_log, check_one_resolution
from tests.e2e.stored import Stored, read
from tests.support.processes import Process, Processes, Server

TTL = 1.5
"""Seconds until a silent worker loses its jobs."""
Act = Callable[[ConsolePrompt], Awaitable[None]]


async def do_nothing(prompt: ConsolePrompt) -> None:
    """The default for `before` and `after` of `ExampleRunner.play`."""


class ExampleRunner:
    """Starts workers of an example and plays its person; effects go to files in the folder of `processes`."""

    def __init__(self, processes: Processes, server: Server, story: Story) -> None:
        self._processes = processes
        self._server = server
        self.story = story
        self._site = processes.folder / "site.json"
        self._customers = processes.folder / "customers.db"
        self._workers = 0

    def start_worker(self, *, dies: tuple[str, str] | None = None) -> Process:
        """Start a worker. `dies` is a moment and a step: it is killed `before` or `after` that checkpoint."""
        self._workers += 1
        program = [str(self.story.worker)]
        if dies is not None:
            program = ["-m", "tests.examples.dying", *program, *dies]
        return self._processes.run(
            f"worker-{self._workers}",
            *program,
            ASKBACK_SERVER=self._server.target,
            RELEASE_SITE=str(self._site),
            CUSTOMERS_DB=str(self._customers),
        )

    def client(self) -> Client:
        """A client for the person of the story."""
        return Client(self._server.target, user=self.story.user, groups=self.story.groups)

    async def start(self, client: Client) -> Run:
        """Start the job of the story."""
        return await client.start(self.story.job_type, self.story.input)

    @property
    def site(self) -> dict[str, Any] | None:
        """The live release; None if there is none."""
        return json.loads(self._site.read_bytes()) if self._site.exists() else None

    @property
    def customers(self) -> list[tuple[str, str, str, int]]:
        """The imported customers: email, name, date and line of the file."""
        with closing(sqlite3.connect(self._customers)) as connection:
            return connection.execute(
                "SELECT email, name, joined, line FROM customers ORDER BY line"
            ).fetchall()

    async def play(self, *, before: Act = do_nothing, after: Act = do_nothing) -> Stored:
        """Play the story from its start to its result, and check both.

        `before` and `after` are called around each question, and may kill processes.
        """
        async with self.client() as client, client.console() as console:
            run = await self.start(client)
            answering = asyncio.create_task(self.answer_all(console, before, after))
            ending = asyncio.create_task(run.result())
            await asyncio.wait((answering, ending), return_when=asyncio.FIRST_COMPLETED)
            if not ending.done():
                answering.result()
            assert await ending == self.story.result
            answering.cancel()
            stored = await read(client, run.job_id)
            self._check_questions(stored)
            await self._check_effects(client, stored)
            return stored

    async def answer_all(self, console: Console, before: Act = do_nothing, after: Act = do_nothing) -> None:
        """Answer as the story says until cancelled. All but the last answer to a question must be refused."""
        async for prompt in console.prompts():
            await before(prompt)
            lines = self.story.answers.get(prompt.key, [])
            for line in lines:
                try:
                    await prompt.decide(
                        line.decision, values=line.values, edits=line.edits, comment=line.comment
                    )
                except AnswerInvalid:
                    assert line is not lines[-1], f"{prompt.key}: the last answer was refused"
                else:
                    assert line is lines[-1], f"{prompt.key}: {line} should have been refused"
            await after(prompt)

    def _check_questions(self, stored: Stored) -> None:
        """Each question was asked once and has one accepted answer; log and rows agree."""
        for check in (check_log, check_fold, check_one_resolution):
            check(stored)
        asked = Counter(event.prompt_id for event in stored.events if event.type == "PROMPT_ASKED")
        assert set(asked.values()) == {1}
        assert not [event for event in stored.events if event.type == "PROMPT_AMENDED"]
        answers = {prompt.key: len(stored.answers[id]) for id, prompt in stored.prompts.items()}
        given = {key: len(lines) for key, lines in self.story.answers.items()}
        assert {key: number for key, number in answers.items() if number} == given

    async def _check_effects(self, client: Client, stored: Stored) -> None:
        """The effects of the job outside of the server happened once."""
        match self.story.name:
            case "release":
                assert self.site == self.story.result["live"]
            case "understanding":
                known = await client.understanding(stored.job.job_id)
                assert (known.readiness_score, known.complete) == (self.story.result["score"], True)
                assert known.user_problem == "Tickets get lost between agents."
                titles = [item["title"] for item in known.questions_asked]
                assert titles == [f"Round {turn}: what does the text mean?" for turn in (1, 2)]
                assert [set(item["values"]) for item in known.answers] == [{"p1", "p3"}, {"p2", "p4", "p6"}]
            case "import":
                assert self.customers == [
                    ("ada@example.org", "Ada Lovelace", "2024-11-02", 2),
                    ("charles@example.org", "Charles Babbage", "2024-11-05", 3),
                    ("grace@example.org", "Grace Hopper", "2024-12-09", 4),
                    ("alan@example.org", "Alan Turing", "2025-01-15", 5),
                    ("katherine@example.org", "Katherine Johnson", "2025-04-03", 6),
                    ("edsger@example.org", "Edsger Dijkstra", "2025-02-11", 7),
                    ("barbara@example.org", "Barbara Liskov", "2025-02-20", 8),
                    ("tony@example.org", "Tony Hoare", "2025-03-28", 10),
                    ("margaret@example.org", "Margaret Hamilton", "2025-04-04", 12),
                ]
