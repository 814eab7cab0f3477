"""The answers and checkpoints that a retried job carries over from the job that it repeats."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from askback_server.domain.answers import Answer, AnswerSource
from askback_server.domain.decisions import CARRIES_VALUES, Decision
from askback_server.domain.json_text import Json
from askback_server.domain.prompts import Resolution

PAGE_SIZE = 100
"""Answers and checkpoints per event, so that each event fits into a message."""


class Keep(StrEnum):
    """Whether answers and checkpoints are carried over."""

    ALL = "ALL"
    NOTHING = "NOTHING"


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer to carry over, with its author and time, and the prompt and job in which it was given."""

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
    """How a new job repeats the ended job `job_id`. An empty `root_job_id` starts a new chain."""

    job_id: str
    keep: Keep
    root_job_id: str = ""
    answers: tuple[KeptAnswer, ...] = ()
    checkpoints: tuple[KeptCheckpoint, ...] = ()
    purge_at: datetime | None = None
    """The end of the old job's retention."""
    requesters: tuple[str, ...] = ()
    """Who asked for the old job: its retry is still theirs."""


@dataclass(frozen=True, slots=True)
class CarriedAnswer:
    """An answer of an earlier job of the chain, for the question with this key and digest."""

    key: str
    digest: str
    job_id: str
    """The job in which it was given."""
    answer: Answer


def answer_to_keep(key: str, prompt_id: str, job_id: str, resolution: Resolution) -> KeptAnswer | None:
    """The answer of a resolution, if a person gave it and its decision carries values; else None."""
    answer = resolution.answer
    if answer is None or answer.source is not AnswerSource.HUMAN or answer.decision not in CARRIES_VALUES:
        return None
    return KeptAnswer(key, prompt_id, job_id, answer.decision, answer.user_id, answer.created_at)


def carry_over_pages(retry: Retry) -> Iterator[Mapping[str, Json]]:
    """The data of the JOB_CARRIED_OVER events: at least one, each of bounded size."""
    answers = [
        (
            "answers",
            {"key": a.key, "decision": a.decision, "by": a.user_id, "at": _text(a.at), "from": a.job_id},
        )
        for a in retry.answers
    ]
    checkpoints = [("checkpoints", {"key": c.key, "at": _text(c.at)}) for c in retry.checkpoints]
    items: list[tuple[str, Mapping[str, Json]]] = [*answers, *checkpoints]
    pages = max(1, -(-len(items) // PAGE_SIZE))
    for page in range(pages):
        on_page = items[page * PAGE_SIZE : (page + 1) * PAGE_SIZE]
        yield {
            "retried_from": retry.job_id,
            "page": page + 1,
            "pages": pages,
            "answers": _of(on_page, "answers"),
            "checkpoints": _of(on_page, "checkpoints"),
        }


def _of(items: Iterable[tuple[str, Mapping[str, Json]]], kind: str) -> list[Mapping[str, Json]]:
    return [item for what, item in items if what == kind]


def _text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
