"""The questions of the bench: forms of many shapes, and no two equal, from a seeded generator.

All servers get the same sequence of questions. A server that remembers earlier contents gains nothing: every
text that people see has the question's own number in it.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from functools import cache
from typing import Any

from askback.v1 import prompt_pb2

SEED = 20261130
SHAPES = 400
FIELDS = {0: 25, 1: 45, 2: 15, 3: 10, 6: 5}
"""Weights of the numbers of fields. A question without fields is a yes or no. The mean is 1.4."""
MARK = "#0000000"
"""Stands for the question's number in the texts of a shape. A number has as many characters, so that a
question of a shape is made by replacing bytes of a serialised message."""

CALLED = "bench.called"
"""The type of jobs that are leased by calls and not by streams."""

_WORDS = (
    "version", "tests", "migration", "rollout", "table", "orders", "minute", "traffic", "release", "customer",
    "invoice", "region", "report", "draft", "cluster", "budget", "supplier", "night", "schema", "index",
    "backup", "payment", "window", "approval", "contract", "change", "ticket", "owner",
)  # fmt: skip
_NOTES = [" ".join(random.Random(n).choices(_WORDS, k=n % 9)) for n in range(97)]
_TYPES = ("single", "single", "single", "multi", "text", "boolean", "integer", "number", "date")
"""Types of fields; a choice among options is the most frequent."""


@dataclass(frozen=True)
class Shape:
    """Everything about a question but its number."""

    number: int
    content: bytes
    """A serialised PromptContent with `MARK` for the number."""
    values_json: str
    """The values of an answer, with `MARK` for the number; empty for a yes or no."""


@dataclass(frozen=True)
class Question:
    """A question, and the values of the answer to it."""

    shape: int
    number: int
    content: prompt_pb2.PromptContent
    values_json: str

    @property
    def key(self) -> str:
        """The name of the prompt, from which `parse_key` gets the shape and the number."""
        return f"q-{self.shape}-{self.number}"


class Questions:
    """The sequence of questions for one client: the same for every server."""

    def __init__(self, seed: int = SEED) -> None:
        self._shapes = shapes(seed)
        order = random.Random(seed + 1)
        self._order = [order.randrange(len(self._shapes)) for _ in range(4 * len(self._shapes))]

    def question(self, number: int) -> Question:
        """The question with this number, below 10 million."""
        shape = self._shapes[self._order[number % len(self._order)]]
        content = prompt_pb2.PromptContent.FromString(put_number(shape.content, number))
        values = shape.values_json.replace(MARK, _mark(number))
        return Question(shape.number, number, content, values)


def parse_key(key: str) -> tuple[int, int]:
    """The shape and the number in the key of a question."""
    _, shape, number = key.split("-")
    return int(shape), int(number)


def put_number(serialised: bytes, number: int) -> bytes:
    """A serialised message of a shape, with the number of a question."""
    return serialised.replace(MARK.encode(), _mark(number).encode())


def _mark(number: int) -> str:
    return f"#{number:07d}"


@cache
def shapes(seed: int = SEED) -> tuple[Shape, ...]:
    """The shapes of all questions."""
    source = random.Random(seed)
    counts = source.choices(list(FIELDS), weights=list(FIELDS.values()), k=SHAPES)
    return tuple(_shape(number, count, source) for number, count in enumerate(counts))


def _shape(number: int, fields: int, source: random.Random) -> Shape:
    content = prompt_pb2.PromptContent(
        kind="clarify" if fields else "confirm",
        title=f"{_text(source, 20, 60)} {MARK}?",
        body=f"{MARK}: {_text(source, 40, source.choice((120, 300, 800)))}",
        blocking=True,
    )
    values = dict(_field(content.questions.questions.add(), at, source) for at in range(fields))
    document = json.dumps(values, separators=(",", ":")) if fields else ""
    return Shape(number, content.SerializeToString(), document)


def _field(question: prompt_pb2.Question, at: int, source: random.Random) -> tuple[str, Any]:
    """Fill in a question. Returns its id and a value that it accepts."""
    question.question_id = f"{source.choice(_WORDS)}_{at}"
    question.title = f"{_text(source, 10, 40)} {MARK}?"
    question.required = source.random() < 0.7
    if source.random() < 0.3:
        question.help = f"{_text(source, 30, 120)} {MARK}."
    kind = source.choice(_TYPES)
    return question.question_id, _FIELDS[kind](question, source)


def _single(question: prompt_pb2.Question, source: random.Random) -> str:
    return source.choice(_options(question.single.options, source))


def _multi(question: prompt_pb2.Question, source: random.Random) -> list[str]:
    values = _options(question.multi.options, source)
    return source.sample(values, source.randint(1, len(values)))


def _options(options: Any, source: random.Random) -> list[str]:
    values = [f"{source.choice(_WORDS)}_{at}" for at in range(source.randint(2, 6))]
    for value in values:
        options.add(value=value, title=f"{_text(source, 5, 25)} {value} {MARK}")
    return values


def _text_value(question: prompt_pb2.Question, source: random.Random) -> str:
    question.text.max_length = source.choice((200, 1000))
    question.text.multiline = source.random() < 0.5
    return f"{_text(source, 10, 100)} {MARK}"


def _boolean(question: prompt_pb2.Question, source: random.Random) -> bool:
    question.boolean.SetInParent()
    return source.random() < 0.5


def _integer(question: prompt_pb2.Question, source: random.Random) -> int:
    question.integer.minimum, question.integer.maximum = 0, source.choice((10, 1000, 1_000_000))
    return source.randint(0, 10)


def _number(question: prompt_pb2.Question, source: random.Random) -> float:
    question.number.minimum = 0.0
    return source.randint(0, 999) / 4


def _date(question: prompt_pb2.Question, source: random.Random) -> str:
    question.date.SetInParent()
    return f"2026-{source.randint(1, 12):02d}-{source.randint(1, 28):02d}"


_FIELDS = {
    "single": _single,
    "multi": _multi,
    "text": _text_value,
    "boolean": _boolean,
    "integer": _integer,
    "number": _number,
    "date": _date,
}


def _text(source: random.Random, least: int, most: int) -> str:
    """Words of `least` to `most` characters together."""
    length, words = source.randint(least, most), ""
    while len(words) < length:
        words += f"{source.choice(_WORDS)} "
    return words[:length].strip().capitalize()


def job_input(number: int) -> str:
    """The input of a job, as JSON."""
    return f'{{"version":"4.2.{number}","note":"{_NOTES[number % len(_NOTES)]}"}}'


def job_result(number: int) -> str:
    """The result of a job, as JSON."""
    return f'{{"released":true,"run":{number},"by":"{_WORDS[number % len(_WORDS)]}"}}'
