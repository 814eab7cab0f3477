"""A scripted terminal dialogue for tests, and prompts to show in it."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

from askback._model.enums import AnswerStatus
from askback._model.prompts import AnswerOutcome, PromptInfo
from askback.terminal.draft import Draft
from askback.terminal.terminal import read_text_lines
from askback.terminal.value_text import HIDDEN
from askback.terminal.wizard import ask_for_answer
from askback.terminal.writer import PlainWriter, Writer
from askback.v1 import prompt_pb2 as pb

ACCEPT, EDIT, RESPOND, REVISE, REJECT = 1, 2, 3, 4, 5


class ScriptedDialogue:
    """A dialogue that answers with given lines; everything it asks and shows is collected in `text`."""

    def __init__(self, *lines: str, texts: Iterable[str] = ()) -> None:
        self._out = io.StringIO()
        self.writer: Writer = PlainWriter(self._out)
        self._lines = list(lines)
        self._texts = list(texts)

    has_keys = False
    columns = 80

    def start_question(self) -> None:
        """Nothing to discard: a script has no typeahead."""

    async def ask(self, question: str, *, secret: bool = False) -> str:
        """Return the next line; raises EOFError when there is none."""
        self.writer.begin(question)
        if not self._lines:
            raise EOFError
        line = self._lines.pop(0)
        self.writer.line(HIDDEN if secret else line)
        return line

    async def ask_text(self, question: str, text: str = "") -> str:
        """Return the lines up to a single dot."""
        return await read_text_lines(self, question, text)

    async def choose(self, question: str) -> str:
        """Like `ask`: a script never pastes."""
        return await self.ask(question)

    async def edit_text(self, text: str, media_type: str) -> str:
        """Return the next of `texts`."""
        return self._texts.pop(0)

    @property
    def text(self) -> str:
        """Everything that was shown."""
        return self._out.getvalue()

    @property
    def unused_lines(self) -> list[str]:
        """The lines that were not used."""
        return self._lines


def prompt(*, decisions: Iterable[tuple[int, str]] = ((RESPOND, "Answer"),), **content: Any) -> PromptInfo:
    """An open prompt."""
    content.setdefault("kind", "clarify")
    content.setdefault("title", "Which?")
    options = [pb.DecisionOption(decision=pb.Decision.ValueType(d), label=label) for d, label in decisions]
    return PromptInfo(
        pb.Prompt(
            prompt_id="p-1",
            job_id="j-1",
            job_type="refund",
            key="k",
            round=1,
            revision=1,
            version=1,
            state=pb.PROMPT_STATE_PENDING,
            content=pb.PromptContent(decisions=options, **content),
        )
    )


def asking(*questions: pb.Question, **more: Any) -> PromptInfo:
    """A prompt with these questions."""
    return prompt(questions=pb.QuestionForm(questions=questions), **more)


def question(name: str = "q", *, required: bool = False, **kind: Any) -> pb.Question:
    """A question with one input."""
    return pb.Question(question_id=name, title=f"Title of {name}", required=required, **kind)


async def drafts_of(info: PromptInfo, script: ScriptedDialogue, **options: Any) -> list[Draft]:
    """Run a dialogue about a prompt. Returns the drafts that it sends."""
    drafts: list[Draft] = []

    async def send(draft: Draft) -> AnswerOutcome:
        drafts.append(draft)
        return AnswerOutcome(AnswerStatus.ACCEPTED, "a", info, False)

    await ask_for_answer(info, script, send, **options)
    return drafts
