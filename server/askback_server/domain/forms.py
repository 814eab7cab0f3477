"""Forms: the values that a prompt asks for, and the validation of an answer's values.

A form is a list of questions or a JSON Schema; None stands for no form. Questions have their own validation,
which is fast and says what is allowed; `json_schema.py` validates by a schema. A default is only a suggestion
on the console: the server never fills in a missing value.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic_core import to_json

from askback_server.domain.choice_inputs import MultiInput, Option, SingleInput
from askback_server.domain.evolve import fast_init
from askback_server.domain.form_clarity import check_schema
from askback_server.domain.input_rules import FormLimits, text_faults
from askback_server.domain.json_schema import (
    MAX_QUICK_WORK,
    MAX_WORK,
    compile_schema,
    schema_violations,
)
from askback_server.domain.json_text import (
    BadFields,
    JsonObject,
    Violation,
    cap_violations,
    check_text,
    is_plain,
    parse_json,
    pointer,
)
from askback_server.domain.question_inputs import (
    BooleanInput,
    DateInput,
    Input,
    IntegerInput,
    NumberInput,
    TextInput,
)
from askback_server.domain.schema_cost import pattern_work

__all__ = [
    "BooleanInput",
    "DateInput",
    "Form",
    "FormLimits",
    "Input",
    "IntegerInput",
    "Judgement",
    "MultiInput",
    "NumberInput",
    "Option",
    "Question",
    "Questions",
    "SchemaForm",
    "SingleInput",
    "TextInput",
    "Unjudged",
    "check_form",
    "derive_schema",
    "judge_values",
    "validate_values",
]

_QUESTION_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_CHECKED = "check_form"
"""Name of the cached limits by which a form was found valid."""
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


@fast_init
@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One field of a form. `rationale` tells people why the job asks."""

    question_id: str
    title: str
    input: Input
    help: str = ""
    required: bool = False
    rationale: str = ""


@fast_init
@dataclass(frozen=True)  # no slots: see evolve.py
class Questions:
    """A form as a list of questions, shown in this order.

    Jobs of a type ask the same form again and again, and equal forms may be one object
    (`transport/convert/forms.py`). So what is derived from the questions alone is cached in it.
    """

    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class SchemaForm:
    """A form as the JSON Schema of an object (draft 2020-12 unless it names another)."""

    schema_json: str


Form = Questions | SchemaForm


def check_form(form: Form | None, limits: FormLimits, *, prefix: str = "") -> None:
    """Raise BadFields unless the form is valid; `prefix` is put before each field's path."""
    match form:
        case Questions(questions):
            if form.__dict__.get(_CHECKED) is limits:
                return
            found = tuple(Violation(prefix + field, reason) for field, reason in _faults(questions, limits))
            if found:
                raise BadFields(found)
            form.__dict__[_CHECKED] = limits
        case SchemaForm(schema_json):
            try:
                check_text(schema_json, field="schema_json", max_bytes=limits.max_schema_bytes)
                compile_schema(schema_json)
                check_schema(schema_json)
            except BadFields as bad:
                raise BadFields(Violation(prefix + v.field, v.description) for v in bad.violations) from None


def derive_schema(form: Questions) -> str:
    """The questions as a JSON Schema, in their order, for clients that render schemas."""
    schema = {
        "$schema": _DIALECT,
        "type": "object",
        "properties": {question.question_id: _property(question) for question in form.questions},
        "required": [question.question_id for question in form.questions if question.required],
        "additionalProperties": False,
    }
    return to_json(schema).decode()


@dataclass(frozen=True, slots=True)
class Judgement:
    """The violations of values of a form, found by `judge_values` outside the event loop."""

    form: Form
    values_json: str
    violations: tuple[Violation, ...]


class Unjudged(Exception):
    """Judging these values may take long: call `judge_values` in another process, then decide again."""

    def __init__(self, form: Form, values_json: str, max_bytes: int) -> None:
        super().__init__("judging these values may take long")
        self.form = form
        self.values_json = values_json
        self.max_bytes = max_bytes


def validate_values(
    form: Form | None, values_json: str, *, max_bytes: int, judgement: Judgement | None = None
) -> tuple[Violation, ...]:
    """The violations of an answer's values; empty if they are valid. An empty text counts as {}.

    Takes some milliseconds at most. Raises Unjudged if it may take longer, unless `judgement` is the result
    for the same form and values.
    """
    if judgement is not None and judgement.form == form and judgement.values_json == values_json:
        return judgement.violations
    found = _judge(form, values_json, "values_json", max_bytes, quick=True)
    if found is None:
        assert form is not None
        raise Unjudged(form, values_json, max_bytes)
    return found


def judge_values(form: Form | None, values_json: str, *, max_bytes: int) -> tuple[Violation, ...]:
    """The violations of values, as by `validate_values`, without a limit of time."""
    found = _judge(form, values_json, "values_json", max_bytes, quick=False)
    assert found is not None
    return found


def _judge(
    form: Form | None, values_json: str, field: str, max_bytes: int, *, quick: bool
) -> tuple[Violation, ...] | None:
    """The violations; None if finding them may take long and `quick` is set."""
    if form is None and values_json in ("", "{}"):
        return ()
    if isinstance(form, SchemaForm) and len(values_json) <= max_bytes:
        try:
            schema = compile_schema(form.schema_json)
        except BadFields as bad:
            return bad.violations
        if schema.work(values_json) > MAX_WORK:
            return (Violation(field, "takes too long to check against the form's schema: send fewer values"),)
        if quick and not schema.is_quick(values_json):
            return None
    try:
        values = parse_json(values_json or "{}", field=field, max_bytes=max_bytes)
    except BadFields as bad:
        return bad.violations
    if not isinstance(values, dict):
        return (Violation(field, "must be a JSON object"),)
    match form:
        case None:
            return (Violation(field, "must be empty: this prompt has no form"),) if values else ()
        case SchemaForm(schema_json):
            found = schema_violations(schema_json, values, field, quick=quick)
            return None if found is None else cap_violations(found)
        case Questions(questions):
            if quick and _pattern_work(questions, values) > MAX_QUICK_WORK:
                return None
            return cap_violations(_problems(questions, values, field))


def _pattern_work(questions: tuple[Question, ...], values: JsonObject) -> int:
    """The estimated cost of matching the patterns of text questions. Other checks of questions are cheap."""
    work = 0
    for question in questions:
        if isinstance(question.input, TextInput) and question.input.pattern:
            value = values.get(question.question_id)
            work += pattern_work(question.input.pattern, len(value)) if isinstance(value, str) else 0
    return work


def _problems(questions: tuple[Question, ...], values: JsonObject, field: str) -> Iterator[Violation]:
    answered = 0
    for question in questions:
        if question.question_id in values:
            answered += 1
            problem = question.input.problem(values[question.question_id], question.required)
        else:
            problem = "is required" if question.required else None
        if problem is not None:
            yield Violation(field + pointer(question.question_id), problem)
    if answered < len(values):
        known = {question.question_id for question in questions}
        for name in values:
            if name not in known:
                yield Violation(field + pointer(name), "is not a question of this form")


def _property(question: Question) -> JsonObject:
    head = {"title": question.title}
    description = "\n\n".join(text for text in (question.help, question.rationale) if text)
    if description:
        head["description"] = description
    return head | question.input.schema(question.required)


def _faults(questions: tuple[Question, ...], limits: FormLimits) -> Iterator[tuple[str, str]]:
    if not questions:
        yield ("questions.questions", "must have at least one question")
    if len(questions) > limits.max_questions:
        yield (
            "questions.questions",
            f"has {len(questions)} questions; at most {limits.max_questions} are allowed",
        )
        return
    seen: set[str] = set()
    for index, question in enumerate(questions):
        at = f"questions.questions[{index}]."
        if not _QUESTION_ID.fullmatch(question.question_id):
            yield (
                at + "question_id",
                "must be 1 to 64 of the characters A-Z a-z 0-9 _ . -, the first one a letter or _",
            )
        elif question.question_id in seen:
            yield (at + "question_id", "is the id of an earlier question")
        seen.add(question.question_id)
        if not question.title.strip():
            yield (at + "title", "must not be empty")
        for name, text, size in (
            ("title", question.title, limits.max_title_bytes),
            ("help", question.help, limits.max_text_bytes),
            ("rationale", question.rationale, limits.max_text_bytes),
        ):
            if text and not is_plain(text, size):
                yield from text_faults(text, at + name, size)
        for path, reason in _input_faults(question, limits):
            yield (f"{at}{question.input.oneof}.{path}", reason)


def _input_faults(question: Question, limits: FormLimits) -> Iterator[tuple[str, str]]:
    """The faults of an input; if it has none, those of its default."""
    sound = True
    for fault in question.input.faults(limits):
        sound = False
        yield fault
    default = question.input.default
    if not sound or default is None or default == ():
        return
    name = "default_values" if isinstance(default, tuple) else "default_value"
    for text in default if isinstance(default, tuple) else (default,):
        if isinstance(text, str):
            yield from text_faults(text, name, limits.max_text_bytes)
    value = list(default) if isinstance(default, tuple) else default
    problem = question.input.problem(value, question.required)
    if problem is not None:
        yield (name, problem)
