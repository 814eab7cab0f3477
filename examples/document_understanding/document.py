"""Finds the ambiguous points of a text, and measures how many are settled. Pure functions."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

_NUMBER: dict[str, Any] = {"pattern": r"\d"}
_WORDS: dict[str, Any] = {"pattern": r"\S+\s+\S+\s+\S+"}


@dataclass(frozen=True)
class Rule:
    """Ambiguous words, the question to ask about them, and the answers that settle them."""

    words: str
    question: str
    weight: int
    answer: dict[str, Any]
    """The JSON Schema of the answer. The server refuses other answers before the worker sees them."""


RULES = (
    Rule(r"TBD|TBC|\?\?\?", "What stands where the text says “{found}”?", 3, {"minLength": 2}),
    Rule(r"fast|quick(?:ly)?|soon|short", "How {found} is that? Name a number and a unit.", 2, _NUMBER),
    Rule(r"several|some|many|few|enough", "How many is “{found}” at the most?", 2, _NUMBER),
    Rule(r"should|may(?= be)|might|could", "Is “{found}” a must?", 2, {"enum": ["must", "optional"]}),
    Rule(r"etc\.|and so on", "What else belongs to the list before “{found}”?", 1, {"minLength": 2}),
    Rule(r"user-friendly|easy|simple|modern", "How would a tester see that it is {found}?", 1, _WORDS),
)


class OpenPoint(BaseModel):
    """A point that a reader could understand in two ways."""

    point_id: str
    line: str
    found: str
    question: str
    weight: int
    answer: dict[str, Any]


def open_points(text: str) -> list[OpenPoint]:
    """The open points of a text, those with the highest weight first."""
    points: list[OpenPoint] = []
    for line in text.splitlines():
        for rule in RULES:
            for match in re.finditer(rf"(?<![\w-])(?:{rule.words})(?![\w-])", line, re.IGNORECASE):
                found = match.group()
                points.append(
                    OpenPoint(
                        point_id=f"p{len(points) + 1}",
                        line=line.strip(),
                        found=found,
                        question=rule.question.format(found=found),
                        weight=rule.weight,
                        answer=rule.answer,
                    )
                )
    return sorted(points, key=lambda point: -point.weight)


def open_points_left(points: Iterable[OpenPoint], answers: Mapping[str, str]) -> list[OpenPoint]:
    """The points without an answer."""
    return [point for point in points if point.point_id not in answers]


def readiness(points: Iterable[OpenPoint], answers: Mapping[str, str]) -> float:
    """The settled share of the points by weight, from 0 to 1."""
    total = settled = 0
    for point in points:
        total += point.weight
        settled += point.weight if point.point_id in answers else 0
    return round(settled / total, 2) if total else 1.0


def form(points: Iterable[OpenPoint]) -> dict[str, Any]:
    """A form with a field for each point. No field is required: people answer what they know."""
    properties = {
        point.point_id: {"type": "string", "title": point.question, "description": point.line, **point.answer}
        for point in points
    }
    return {"type": "object", "properties": properties, "additionalProperties": False}


def summary(points: Iterable[OpenPoint], answers: Mapping[str, str], remarks: Iterable[str] = ()) -> str:
    """The settled points and the remarks, as a Markdown list."""
    settled = [f"- **{p.found}**: {answers[p.point_id]}" for p in points if p.point_id in answers]
    return "\n".join([*settled, *(f"- {remark}" for remark in remarks)])


def clarify(
    text: str, points: Iterable[OpenPoint], answers: Mapping[str, str], remarks: Iterable[str] = ()
) -> str:
    """The text with each answer behind the line that it settles, and the remarks at its end."""
    notes: dict[str, list[str]] = {}
    for point in points:
        if point.point_id in answers:
            notes.setdefault(point.line, []).append(f"{point.found}: {answers[point.point_id]}")
    lines = [
        f"{line} *({'; '.join(notes[line.strip()])})*" if line.strip() in notes else line
        for line in text.splitlines()
    ]
    return "\n".join([*lines, *(f"- {remark}" for remark in remarks)]) + "\n"


def diff(before: str, after: str) -> str:
    """The changes between two texts as a unified diff."""
    return "".join(
        difflib.unified_diff(before.splitlines(True), after.splitlines(True), "given", "clarified")
    )
