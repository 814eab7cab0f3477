"""Types survive the way from a servicer through the engine and back."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import assert_type

import pytest

from askback_server.domain import commands as c
from askback_server.domain.jobs import Job
from askback_server.domain.prompts import AnswerResult, Prompt
from askback_server.domain.replies import JobCreated, JobVersion, PromptAsked
from askback_server.engine.engine import Engine
from tests.architecture.sources import ROOT, SERVER

TYPED = ("engine", "feed", "ports", "sessions")

# A batch mixes commands with different replies.
ALLOWED = {("engine/grouping.py", "Future[Any]")}


async def check_replies(
    engine: Engine,
    create: c.CreateJob,
    ask: c.AskPrompt,
    answer: c.AnswerPrompt,
    claim: c.ClaimPrompt,
    save: c.SaveCheckpoint,
    lease: c.LeaseJob,
    due: c.RunDue,
) -> None:
    """Never called: mypy checks that `execute` returns the reply that each command declares."""
    assert_type(await engine.execute(create), JobCreated)
    assert_type(await engine.execute(ask), PromptAsked)
    assert_type(await engine.execute(answer), AnswerResult)
    assert_type(await engine.execute(claim), Prompt)
    assert_type(await engine.execute(save), JobVersion)
    assert_type(await engine.execute(lease), Job)
    assert_type(await engine.execute(due), datetime | None)


def uses_of_any(path: Path) -> Iterator[str]:
    """Each use of `Any` with what surrounds it, except in the first arguments of a Coroutine."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    around = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == "Any":
            outer: ast.AST = around[node]
            while isinstance(outer, ast.Tuple):
                outer = around[outer]
            text = ast.unparse(outer)
            if not text.startswith("Coroutine[Any, Any, "):
                yield text.removeprefix("asyncio.")


@pytest.mark.parametrize("folder", TYPED)
def test_any_is_used_only_where_it_is_justified(folder: str) -> None:
    root = ROOT / SERVER
    found = {(str(p.relative_to(root)), use) for p in (root / folder).rglob("*.py") for use in uses_of_any(p)}
    assert found <= ALLOWED
