"""What a job that repeats an ended one keeps of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from askback_server.domain.decisions import CARRIES_VALUES, Decision
from askback_server.domain.prompts import Answer, AnswerSource, Resolution

PAGE = 100
"""Answers and checkpoints in one event: no event may pass the size of a message."""


class Keep(StrEnum):
    """What is carried over: answers and checkpoints, or neither."""

    ALL = "ALL"
    NOTHING = "NOTHING"


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer to carry over: its author and date, and the prompt and job in which it was given."""

    key: str
    prompt_id: str
    job_id: str
    decision: Decision
    user_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class KeptCheckpoint:
    """A checkpoint to carry over."""

    key: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Retry:
    """How a new job repeats the ended job `job_id`. An empty `root_job_id` starts a chain of its own."""

    job_id: str
    keep: Keep
    root_job_id: str = ""
    answers: tuple[KeptAnswer, ...] = ()
    checkpoints: tuple[KeptCheckpoint, ...] = ()


@dataclass(frozen=True, slots=True)
class CarriedAnswer:
    """An answer that a job has of an earlier job of its chain, for a question with this key and digest."""

    key: str
    digest: str
    job_id: str
    """The job in which the person gave it."""
    answer: Answer


def kept_answer(key: str, prompt_id: str, job_id: str, resolution: Resolution) -> KeptAnswer | None:
    """The answer by which a prompt was resolved, if a person gave it and it is no refusal; else None."""
    answer = resolution.answer
    if answer is None or answer.source is not AnswerSource.HUMAN or answer.decision not in CARRIES_VALUES:
        return None
    return KeptAnswer(key, prompt_id, job_id, answer.decision, answer.user_id, answer.created_at)


def carried_pages(retry: Retry) -> Iterator[Mapping[str, Any]]:
    """The data of the events that list what is carried over: at least one, each of bounded size."""
    answers = [
        (
            "answers",
            {"key": a.key, "decision": a.decision, "by": a.user_id, "at": _text(a.at), "from": a.job_id},
        )
        for a in retry.answers
    ]
    checkpoints = [("checkpoints", {"key": c.key, "at": _text(c.at)}) for c in retry.checkpoints]
    items: list[tuple[str, Mapping[str, Any]]] = [*answers, *checkpoints]
    pages = max(1, -(-len(items) // PAGE))
    for page in range(pages):
        listed = items[page * PAGE : (page + 1) * PAGE]
        yield {
            "retried_from": retry.job_id,
            "page": page + 1,
            "pages": pages,
            "answers": _of(listed, "answers"),
            "checkpoints": _of(listed, "checkpoints"),
        }


def _of(items: Iterable[tuple[str, Mapping[str, Any]]], kind: str) -> list[Mapping[str, Any]]:
    return [item for what, item in items if what == kind]


def _text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
