"""Asks again while a validator of the worker refuses an answer that the server has accepted.

A JSON Schema cannot express every pydantic validator. So the person is asked again, under the key `KEY#2` and
then `KEY#3`, with the reasons above the question and at its fields, and the previous values filled in.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from askback._client.verdict import GIVING_VALUES
from askback._model.content import Deadline, time_to_correct
from askback._model.form import Form, TypeForm
from askback._model.json_text import dumps, loads_spelled
from askback._model.nonretryable import InvalidAnswer
from askback._model.prompts import PromptInfo
from askback._model.violations import values_field
from askback._text.text import cut_bytes, one_line
from askback._worker.keys import MAX_BYTES
from askback._worker.lease import Lease
from askback.v1 import prompt_pb2 as pb

_log = logging.getLogger("askback.worker")

MAX_ROUNDS = 3
NOT_ACCEPTED = "> **The answer was not accepted:**"
"""How the text of such a question begins, for consoles that show no `correction`."""
_MAX_REASONS = 20
_MAX_REASON_CHARS = 500
_MAX_VIOLATION_BYTES = 1_000
"""What the contract allows for the field of a violation, and for its description."""
_MAX_FILLED_CHARS = 200_000
"""The largest schema with filled-in values: the server accepts 256 KiB."""


@dataclass(frozen=True, slots=True)
class Fitting:
    """A closed prompt, its values as the worker's type, and the edits of all rounds."""

    prompt: PromptInfo
    values: Any
    edits: dict[str, str]


async def ask_until_it_fits(
    lease: Lease,
    key: str,
    content: pb.PromptContent,
    form: Form | None,
    *,
    deadline: Deadline | None,
    supersedes: list[str],
    same: bool = False,
) -> Fitting:
    """Ask, and ask again while the form's validators refuse the answer.

    The prompt may have ended in any way; `values` is None if there are none. Raises InvalidAnswer after the
    third refused answer, at once for a refused default, and for a validator that raises anything but a
    ValueError or AssertionError; and the errors of AskPrompt.
    """
    asked, name, refused = content, key, ""
    edits: dict[str, str] = {}
    for number in range(2, MAX_ROUNDS + 2):
        prompt = await lease.ask(name, asked, supersedes, same=same)
        # If this answer was carried over, the next round's may be too, with a differently worded reason.
        same = same or _is_carried(prompt)
        answer = prompt.answered
        if answer is None or answer.decision not in GIVING_VALUES:
            return Fitting(prompt, None, {})
        edits |= answer.edits
        try:
            values = None if form is None else _parse(form, answer.values_json, content.title, key)
            return Fitting(prompt, values, edits)
        except ValidationError as error:
            fault = error
        refused = "; ".join(_in_words(".".join(map(str, place)), text) for place, text in _faults(fault))
        if answer.by_default:
            raise InvalidAnswer(f"the default of {content.title!r} (key {key!r}) does not fit: {refused}")
        name, supersedes = f"{key}#{number}", []
        if number <= MAX_ROUNDS and len(name.encode()) > MAX_BYTES:
            raise InvalidAnswer(
                f"the answer to {content.title!r} (key {key!r}) was refused: {refused}. To be asked again a "
                f"question needs a key of at most {MAX_BYTES - 2} bytes"
            )
        # Reuse the wording of an answered round: a new version may word the same reason differently.
        if (same_wording := lease.find_closed_content(name)) is not None:
            asked = same_wording
        else:
            assert isinstance(form, TypeForm)  # no other form has validators
            faults = _corrections(fault, form, answer.values_json)[:_MAX_REASONS]
            asked = _correction_question(content, faults, answer.values_json, edits)
            asked.correction.key = prompt.key
        if isinstance(deadline, datetime):
            asked.ClearField("deadline")
            asked.timeout.CopyFrom(time_to_correct(deadline))
    raise InvalidAnswer(
        f"{MAX_ROUNDS} answers to {content.title!r} (key {key!r}) were refused, the last because of "
        f"{refused}. To have it asked again, retry the job without its answers (`askback job retry --fresh`)"
    )


def _is_carried(prompt: PromptInfo) -> bool:
    """Whether the answer was given in an earlier job of the chain of retries: it is older than the prompt."""
    at = prompt.answered.at if prompt.answered else None
    return at is not None and prompt.created_at is not None and at < prompt.created_at


def _parse(form: Form, values_json: str, title: str, key: str) -> Any:
    """Convert the values to the form's type. Raises ValidationError if another answer could fit."""
    try:
        return form.parse(values_json)
    except ValidationError:
        raise
    except Exception as error:
        # Every attempt would fail in the same way with this answer.
        _log.exception("a validator broke on the answer to %r", title)
        raise InvalidAnswer(
            f"a validator broke on the answer to {title!r} (key {key!r}): {type(error).__name__}: {error}"
        ) from error


def _faults(error: ValidationError) -> Iterator[tuple[Sequence[int | str], str]]:
    """The place of each fault as pydantic names it, and what is wrong, without the value."""
    for fault in error.errors(include_url=False, include_context=False, include_input=False):
        text = fault["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
        yield fault["loc"], one_line(text, _MAX_REASON_CHARS) or "is not accepted"


def _in_words(place: str, text: str) -> str:
    """A fault in one line: `Cost in euros: whole euros only`."""
    return one_line(f"{place}: {text}" if place else text, _MAX_REASON_CHARS)


@dataclass(frozen=True, slots=True)
class _Fault:
    """What is wrong with one field: for people who read the text, and for consoles that show it there."""

    reason: str
    violation: pb.FieldViolation


def _corrections(error: ValidationError, form: TypeForm, values_json: str) -> list[_Fault]:
    """What people must correct, by the fields that they see."""
    found = []
    for place, text in _faults(error):
        steps = form.steps_to(place, values_json)
        # The title of a form's only value is the question itself.
        titles = [step.title for step in (steps[1:] if form.wrapped else steps)]
        field = values_field(step.key for step in steps)
        while len(field.encode()) > _MAX_VIOLATION_BYTES:
            field = field.rpartition("/")[0]
        violation = pb.FieldViolation(field=field, description=cut_bytes(text, _MAX_VIOLATION_BYTES))
        found.append(_Fault(_in_words(", ".join(titles), text), violation))
    return found


def _correction_question(
    content: pb.PromptContent, faults: Sequence[_Fault], values_json: str, edits: Mapping[str, str]
) -> pb.PromptContent:
    """The question with the reasons above it and at its fields, and with the previous answer filled in."""
    question = pb.PromptContent()
    question.CopyFrom(content)
    question.correction.violations.extend(fault.violation for fault in faults)
    listed = "\n".join(f"> - {fault.reason}" for fault in faults)
    question.body = f"{NOT_ACCEPTED}\n>\n{listed}\n\n{content.body}".rstrip()
    filled = _fill_defaults(loads_spelled(content.schema_json), loads_spelled(values_json or "{}"))
    text = dumps(filled)
    question.schema_json = text if len(text) <= _MAX_FILLED_CHARS else content.schema_json
    for part in question.contents:
        if part.content_id in edits:
            part.text = edits[part.content_id]
    return question


def _fill_defaults(schema: Any, values: Any) -> Any:
    """The schema with the values as defaults of its fields."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not properties or not isinstance(values, dict):
        return {**schema, "default": values}
    filled = {
        name: _fill_defaults(part, values[name]) if name in values else part
        for name, part in properties.items()
    }
    return {**schema, "properties": filled}
