"""Writes a finished job as a test of its worker, for `askback.testing`.

The test starts the job with the same input and asserts the same end. A scripted human gives the answers that
people gave. A prompt without an answer becomes `.never()`, and the test's clock advances by its deadline.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pprint import pformat
from typing import Any

from askback._model.enums import DecisionKind, JobState
from askback._model.json_text import dumps
from askback._model.prompts import PromptInfo
from askback._model.resolutions import AnswerInfo
from askback.cli.job.history import History
from askback.errors import FailedPrecondition
from askback.testing.human import NAME

_CLOSINGS = ("PROMPT_ANSWERED", "PROMPT_EXPIRED", "PROMPT_CANCELLED", "PROMPT_SUPERSEDED")


def pytest_source(history: History, worker: str) -> str:
    """The source of the test. `worker` is the place of the Worker object, as `module:name`.

    Raises FailedPrecondition for a job without a worker, and for a cancelled job.
    """
    job = history.job
    if job.proto.workerless:
        raise FailedPrecondition(f"job {job.job_id} has no worker: there is nothing of yours to test")
    if job.state is JobState.CANCELLED:
        raise FailedPrecondition(f"job {job.job_id} was cancelled; a scripted human cannot play that")
    module, _, name = worker.partition(":")
    clock_steps = list(_clock_steps(history))
    failed = job.state is JobState.FAILED
    fixtures = "human, askback_server, clock" if clock_steps else "human, askback_server"
    body = [
        *(_rule(prompt) for prompt in history.prompts.values()),
        f"await askback_server.work({name})",
        "async with askback_server.client() as client:",
        f"    run = await client.start({job.job_type!r}, {_literal(job.input, 8)})",
        *(f"    await clock.advance(seconds={step!r})" for step in clock_steps),
        *_ending(history),
        _seen_assertion(history),
    ]
    imports = ["import pytest", "", "from askback import JobFailed"] if failed else []
    if any("Decimal('" in line for line in body):
        imports = ["from decimal import Decimal", "", *imports]
    title = f"Job {job.job_id} of the type {job.job_type}, with a scripted human."
    return "\n".join(
        [
            f'"""{title} Written by `askback job export`."""',
            "",
            *imports,
            f"from {module} import {name}",
            "",
            "",
            f"async def test_{re.sub(r'[^A-Za-z0-9]+', '_', job.job_type).lower()}({fixtures}):",
            *(f"    {line}" if line else "" for line in "\n".join(body).splitlines()),
            "",
        ]
    )


def _rule(prompt: PromptInfo) -> str:
    """The rule of the scripted human for one prompt."""
    which = f"key={prompt.key!r}" if prompt.key else f"{prompt.title!r}, kind={prompt.kind!r}"
    answer = prompt.answered
    verb = ".never()" if answer is None or answer.by_default else _rule_call(answer)
    return f"human.on({which}){verb}"


def _rule_call(answer: AnswerInfo) -> str:
    comment = repr(answer.comment) if answer.comment else ""
    match answer.decision:
        case DecisionKind.ACCEPT if answer.values is None:
            return f".approves({comment})"
        case DecisionKind.ACCEPT:
            return f".approves({_join_arguments(comment, values=_literal(answer.values))})"
        case DecisionKind.EDIT:
            return f".edits({_join_arguments(_literal(answer.edits), comment=comment)})"
        case DecisionKind.REVISE:
            return f".revises({comment})"
        case DecisionKind.REJECT | DecisionKind.DISMISS:
            return f".declines({comment})"
        case _:
            values = "" if answer.values is None else _literal(answer.values)
            return f".answers({_join_arguments(values, comment=comment)})"


def _join_arguments(first: str, **named: str) -> str:
    """The arguments of a call, without the empty ones."""
    parts = [first, *(f"{name}={value}" if value else "" for name, value in named.items())]
    return ", ".join(part for part in parts if part)


def _literal(value: Any, indent: int = 4) -> str:
    """A value as a Python literal; invisible characters are escaped."""
    return pformat(value, width=100 - indent, sort_dicts=False).replace("\n", "\n" + " " * indent)


def _clock_steps(history: History) -> Iterator[float]:
    """The timeouts of the prompts whose deadline has passed, in seconds, in this order."""
    for event in history.events:
        prompt = history.prompts.get(event.prompt_id)
        if prompt is None or not prompt.proto.content.HasField("timeout"):
            continue
        if event.type == "PROMPT_EXPIRED" or event.data.get("source") == "TIMEOUT_DEFAULT":
            yield prompt.proto.content.timeout.ToTimedelta().total_seconds()


def _ending(history: History) -> list[str]:
    """The assertions about the end of the job."""
    job = history.job
    if job.state is JobState.FAILED:
        code = job.failure[0] if job.failure else ""
        return [
            "    with pytest.raises(JobFailed) as failed:",
            "        await run.result()",
            f"assert failed.value.failure_code == {code!r}",
        ]
    return [
        "    await run.result()",
        *_name_comment(history),
        f"    assert (await run.job()).result == {_literal(job.result, 8)}",
    ]


def _name_comment(history: History) -> list[str]:
    """A comment for a result that contains the name of an answerer, which differs in the test."""
    answers = (prompt.answered for prompt in history.prompts.values())
    people = {answer.by for answer in answers if answer is not None and answer.by}
    result = dumps(history.job.result, spaced=True)
    if not any(name in result for name in people):
        return []
    return [f"    # The scripted human is called {NAME!r}: put that where the result says who answered."]


def _seen_assertion(history: History) -> str:
    """The assertion that these prompts were asked; in this order if they were never open at the same time."""
    keys = [prompt.key for prompt in history.prompts.values()]
    open_now = maximum = 0
    for event in history.events:
        open_now += (event.type == "PROMPT_ASKED") - (event.type in _CLOSINGS)
        maximum = max(maximum, open_now)
    return (
        f"assert sorted(human.seen) == {sorted(keys)!r}" if maximum > 1 else f"assert human.seen == {keys!r}"
    )
