"""The plan of a job: drawn by the client, carried in the job's input, and followed by the worker.

Cheap by design: many small jobs with a few questions each, most of them plain confirmations.
"""

from __future__ import annotations

import json
import random
from typing import Any

from google.protobuf.duration_pb2 import Duration

from askback.v1 import prompt_pb2 as pb

TYPE = "chaos"
NO_USER = "user:nobody"
"""The audience of prompts that only their deadline can end."""
ERRAND = "errand"
"""The kind of prompts that rules answer."""


def draw_job(rng: random.Random, number: int, *, slow: float = 0.004, rights: float = 0.3) -> dict[str, Any]:
    """Draw the input of a job. `rights` is the share of plain questions that need more than one click."""
    questions = [_question(rng, f"q{i}", slow) for i in range(rng.choice((2, 4, 6, 8)))]
    plan: dict[str, Any] = {"n": number, "ask": questions, "at_once": rng.random() < 0.8}
    extra = rng.random()
    if extra < 0.08:
        plan["parks"] = True
    elif extra < 0.11:
        plan["fails_once"] = True
    elif extra < 0.15:
        plan["amends"] = True
    elif extra < 0.18:
        plan["supersedes"] = True
    _add_rights(plan, rights)
    return plan


def _add_rights(plan: dict[str, Any], share: float) -> None:
    """Let some of the plain questions need several people, exclude one, be passed on, or be for a rule.

    Drawn from the plan, so that the other draws of a seed stay as they are. Where a right may get lost, a
    deadline ends the question.
    """
    rng = random.Random(json.dumps(plan))
    for question in plan["ask"]:
        if question.keys() != {"key"} or rng.random() > share:
            continue
        what = rng.random()
        if what < 0.4:
            groups = {"red": 1, "blue": 1} if rng.random() < 0.6 else {}
            question |= {"approve": {"required": 2, "groups": groups}, "within": rng.uniform(2.5, 5)}
        if what < 0.1 or 0.4 <= what < 0.6:
            question |= {"pass": True, "within": rng.uniform(2.5, 5)}
            if "approve" not in question:
                question["to"] = ["user:ana", "user:bob"]
        elif 0.6 <= what < 0.8:
            question["exclude"] = [rng.choice(("ana", "bob", "cleo"))]
        elif what >= 0.8:
            question["errand"] = True


def _question(rng: random.Random, key: str, slow: float) -> dict[str, Any]:
    question: dict[str, Any] = {"key": key}
    kind = rng.random()
    if kind < 0.2:
        question["form"] = True
    who = rng.random()
    if who < 0.15:
        question["to"] = ["group:red"]
    elif who < 0.3:
        question["to"] = ["user:cleo"]
    when = rng.random()
    if when < 0.03:
        question |= {"to": [NO_USER], "within": rng.uniform(1.0, 2.5), "default": rng.random() < 0.5}
    elif when < 0.05:
        question |= {"within": rng.uniform(0.1, 0.6)}
    elif when < 0.05 + slow:
        question |= {"slow": True}
    return question


def content_of(question: dict[str, Any], *, amended: bool = False) -> pb.PromptContent:
    """The content of the prompt for a question."""
    content = pb.PromptContent(
        kind="clarify" if question.get("form") else ERRAND if question.get("errand") else "confirm",
        title=f"{'Really ' if amended else ''}{question['key']}?",
        blocking=not question.get("aside"),
    )
    if question.get("form"):
        field = content.questions.questions.add(question_id="n", title="How many?", required=True)
        field.integer.SetInParent()
        content.decisions.add(decision=pb.DECISION_ACCEPT)
    for name in question.get("to", ()):
        kind, _, who = name.partition(":")
        (content.audience.users if kind == "user" else content.audience.groups).append(who)
    if "within" in question:
        content.timeout.CopyFrom(
            Duration(nanos=int(question["within"] * 1e9) % 10**9, seconds=int(question["within"]))
        )
        if question.get("default"):
            content.final_action = pb.FINAL_ACTION_DEFAULT
            content.default_answer.decision = pb.DECISION_ACCEPT
            if question.get("form"):
                content.default_answer.values_json = '{"n": 7}'
    if (needed := question.get("approve")) is not None:
        content.approval.required = needed["required"]
        for group, required in needed["groups"].items():
            content.approval.per_group.add(group=group, required=required)
    content.exclude.users.extend(question.get("exclude", ()))
    if not question.get("exclude"):
        content.ClearField("exclude")
    if question.get("pass"):
        content.labels["pass"] = "on"
    if question.get("slow"):
        content.labels["pace"] = "slow"
    return content
