"""The forms of prompts, from and to their messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from google.protobuf.message import Message

from askback.v1 import prompt_pb2
from askback_server.domain.forms import (
    BooleanInput,
    DateInput,
    Form,
    Input,
    IntegerInput,
    MultiInput,
    NumberInput,
    Option,
    Question,
    Questions,
    SchemaForm,
    SingleInput,
    TextInput,
    derive_schema,
)
from askback_server.domain.violations import Violations

if TYPE_CHECKING:
    from google.protobuf.internal.containers import RepeatedCompositeFieldContainer


def form(message: prompt_pb2.PromptContent, check: Violations) -> Form | None:
    """The form of a content, None if it has none. Notes each question without a type in `check`."""
    which = message.WhichOneof("form")
    if which is None:
        return None
    if which == "schema_json":
        return SchemaForm(message.schema_json)
    serialised = message.questions.SerializeToString()
    read = _read_shared if len(serialised) <= _MAX_SHARED_BYTES else _read
    questions, untyped = read(serialised)
    for index in untyped:
        check.bad(f"questions.questions[{index}].input", "is required: say of which type the value is")
    return questions


def _read(serialised: bytes) -> tuple[Questions, tuple[int, ...]]:
    """A QuestionForm, and the indexes of questions without a type, which are left out."""
    questions, untyped = [], []
    for index, question in enumerate(prompt_pb2.QuestionForm.FromString(serialised).questions):
        kind = question.WhichOneof("input")
        if kind is None:
            untyped.append(index)
            continue
        questions.append(
            Question(
                question_id=question.question_id,
                title=question.title,
                input=_INPUTS[kind](question),
                help=question.help,
                required=question.required,
                rationale=question.rationale,
            )
        )
    return Questions(tuple(questions)), tuple(untyped)


_MAX_SHARED_BYTES = 2048
_read_shared = lru_cache(maxsize=256)(_read)
"""Returns one object for equal forms. Jobs of a type ask the same form again and again, and the object caches
its check and its documents: 209,000 of 1,996,000 instructions of a trip. A form that is new each time costs
17,000 more. The limit of the size bounds the memory, to a few megabytes."""


def _choices(messages: Iterable[prompt_pb2.Option]) -> tuple[Option, ...]:
    return tuple(Option(o.value, o.title, o.description, o.recommended) for o in messages)


def _optional(message: Message, field: str) -> Any:  # of the type of the field
    """The value of an `optional` field, None if it is unset."""
    return getattr(message, field) if message.HasField(field) else None


def _boolean(question: prompt_pb2.Question) -> Input:
    return BooleanInput(_optional(question.boolean, "default_value"))


def _single(question: prompt_pb2.Question) -> Input:
    m = question.single
    return SingleInput(_choices(m.options), _optional(m, "default_value"), m.allow_other)


def _multi(question: prompt_pb2.Question) -> Input:
    m = question.multi
    minimum, maximum = _optional(m, "min_items"), _optional(m, "max_items")
    return MultiInput(_choices(m.options), tuple(m.default_values), minimum, maximum, m.allow_other)


def _text(question: prompt_pb2.Question) -> Input:
    m = question.text
    minimum, maximum = _optional(m, "min_length"), _optional(m, "max_length")
    return TextInput(_optional(m, "default_value"), minimum, maximum, m.pattern, m.multiline)


def _integer(question: prompt_pb2.Question) -> Input:
    m = question.integer
    return IntegerInput(_optional(m, "default_value"), _optional(m, "minimum"), _optional(m, "maximum"))


def _number(question: prompt_pb2.Question) -> Input:
    m = question.number
    return NumberInput(_optional(m, "default_value"), _optional(m, "minimum"), _optional(m, "maximum"))


def _date(question: prompt_pb2.Question) -> Input:
    m = question.date
    return DateInput(_optional(m, "default_value"), m.minimum, m.maximum)


_OptionList: TypeAlias = "RepeatedCompositeFieldContainer[prompt_pb2.Option]"

_INPUTS: dict[str, Callable[[prompt_pb2.Question], Input]] = {
    "boolean": _boolean,
    "single": _single,
    "multi": _multi,
    "text": _text,
    "integer": _integer,
    "number": _number,
    "date": _date,
}


def put_form(target: prompt_pb2.PromptContent, form: Form) -> None:
    """Set the form of a content, with the JSON Schema that is derived from its questions."""
    if isinstance(form, SchemaForm):
        target.schema_json = form.schema_json
        return
    target.questions.SetInParent()
    for question in form.questions:
        _put_question(target.questions.questions.add(), question)
    target.derived_schema_json = derive_schema(form)


def _put_question(target: prompt_pb2.Question, question: Question) -> None:
    target.question_id = question.question_id
    target.title = question.title
    target.help = question.help
    target.required = question.required
    target.rationale = question.rationale
    match question.input:
        case BooleanInput(default):
            target.boolean.SetInParent()
            _put(target.boolean, default_value=default)
        case SingleInput(options, default, allow_other):
            target.single.allow_other = allow_other
            _put_options(target.single.options, options)
            _put(target.single, default_value=default)
        case MultiInput(options, defaults, minimum, maximum, allow_other):
            target.multi.allow_other = allow_other
            _put_options(target.multi.options, options)
            target.multi.default_values.extend(defaults)
            _put(target.multi, min_items=minimum, max_items=maximum)
        case TextInput(default, minimum, maximum, pattern, multiline):
            target.text.pattern = pattern
            target.text.multiline = multiline
            _put(target.text, default_value=default, min_length=minimum, max_length=maximum)
        case IntegerInput(default, low, high):
            target.integer.SetInParent()
            _put(target.integer, default_value=default, minimum=low, maximum=high)
        case NumberInput(default, low, high):
            target.number.SetInParent()
            _put(target.number, default_value=default, minimum=low, maximum=high)
        case DateInput(default, first, last):
            target.date.minimum = first
            target.date.maximum = last
            _put(target.date, default_value=default)


def _put(target: Message, **values: object) -> None:
    for name, value in values.items():
        if value is not None:
            setattr(target, name, value)


def _put_options(target: _OptionList, options: tuple[Option, ...]) -> None:
    for option in options:
        choice = target.add()
        choice.value = option.value
        choice.title = option.title
        choice.description = option.description
        choice.recommended = option.recommended
