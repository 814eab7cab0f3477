"""The canonical form of what people see and may decide, and its digest (ADR 0057).

The form is a contract with clients, which may compute the digest too (docs/reference/prompt-form.md): the
ProtoJSON document of a PromptContent with only the shown fields, as RFC 8785 writes it. The functions below
write its text, because a document for a library would take twice the time: members in the order of their
keys, without those that ProtoJSON leaves out. Tests compare it with what libraries make of the message.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from json.encoder import encode_basestring as quote
from typing import Any

from askback_server.domain.approvals import Approval, GroupApproval
from askback_server.domain.content import Correction, Part, PromptContent
from askback_server.domain.decisions import Decision, DecisionOption
from askback_server.domain.evolve import cached_on_argument
from askback_server.domain.forms import (
    BooleanInput,
    DateInput,
    Input,
    IntegerInput,
    MultiInput,
    NumberInput,
    Option,
    Question,
    Questions,
    SingleInput,
    TextInput,
)

VERSION = "askback.prompt.v1\n"
"""The beginning of what is hashed. Another form gets another version and another field."""

_START = hashlib.sha256(VERSION.encode())
_DECISIONS = {decision: f'"decision":"DECISION_{decision}"' for decision in Decision}


@cached_on_argument
def shown_digest(content: PromptContent) -> str:
    """The SHA-256 of VERSION and the canonical form of a normalised content: 64 hexadecimal digits."""
    digest = _START.copy()
    digest.update(canonical_form(content).encode())
    return digest.hexdigest()


def canonical_form(content: PromptContent) -> str:
    """The shown fields of a normalised content as JSON text by RFC 8785.

    `quote` escapes as RFC 8785 does: quotation marks, backslashes and control characters.
    """
    text = "{" if content.approval is None else f'{{"approval":{_approval(content.approval)},'
    if content.body:
        text += f'"body":{quote(content.body)},'
    if content.parts:
        text += f'"contents":[{",".join(map(_part, content.parts))}],'
    if content.correction is not None:
        text += f'"correction":{_correction(content.correction)},'
    text += f'"decisions":[{",".join(map(_decision, content.decisions))}],"kind":{quote(content.kind)},'
    form = content.form
    if isinstance(form, Questions):
        text += f'"questions":{_questions(form)},'
    elif form is not None:
        text += f'"schemaJson":{quote(form.schema_json)},'
    return f'{text}"title":{quote(content.title)}}}'


def _approval(approval: Approval) -> str:
    members = []
    if approval.per_group:
        members.append(f'"perGroup":[{",".join(map(_group_approval, approval.per_group))}]')
    if approval.reject_at:
        members.append(f'"rejectAt":{approval.reject_at}')
    if approval.required:
        members.append(f'"required":{approval.required}')
    if approval.rules_may_fill:
        members.append(f'"rulesMayFill":{approval.rules_may_fill}')
    if approval.shared:
        members.append('"shared":true')
    return f"{{{','.join(members)}}}"


def _group_approval(place: GroupApproval) -> str:
    members = [f'"group":{quote(place.group)}'] if place.group else []
    if place.required:
        members.append(f'"required":{place.required}')
    return f"{{{','.join(members)}}}"


def _part(part: Part) -> str:
    text = f'{{"contentId":{quote(part.content_id)}'
    if part.editable:
        text += ',"editable":true'
    if part.media_type:
        text += f',"mediaType":{quote(part.media_type)}'
    if not part.url:
        text += f',"text":{quote(part.text)}'  # a member of a oneof, so it is there also if it is empty
    if part.title:
        text += f',"title":{quote(part.title)}'
    if part.url:
        text += f',"url":{quote(part.url)}'
    return text + "}"


def _correction(correction: Correction) -> str:
    faults = ",".join(
        f'{{"description":{quote(v.description)},"field":{quote(v.field)}}}' for v in correction.violations
    )
    return f'{{"key":{quote(correction.key)},"violations":[{faults}]}}'


def _decision(option: DecisionOption) -> str:
    required = '"commentRequired":true,' if option.comment_required else ""
    return f'{{{required}{_DECISIONS[option.decision]},"label":{quote(option.label)}}}'


@cached_on_argument
def _questions(form: Questions) -> str:
    return f'{{"questions":[{",".join(map(_question, form.questions))}]}}'


def _question(question: Question) -> str:
    members = [
        f'"questionId":{quote(question.question_id)}',
        f'"title":{quote(question.title)}',
        _INPUTS[question.input.__class__](question.input),
    ]
    if question.help:
        members.append(f'"help":{quote(question.help)}')
    if question.rationale:
        members.append(f'"rationale":{quote(question.rationale)}')
    if question.required:
        members.append('"required":true')
    members.sort()  # by key: the key of the input, and so its place, depends on its type
    return f"{{{','.join(members)}}}"


def _boolean(asked: BooleanInput) -> str:
    if asked.default is None:
        return '"boolean":{}'
    return f'"boolean":{{"defaultValue":{"true" if asked.default else "false"}}}'


def _single(asked: SingleInput) -> str:
    text = '"single":{"allowOther":true,' if asked.allow_other else '"single":{'
    if asked.default is not None:
        text += f'"defaultValue":{quote(asked.default)},'
    return f'{text}"options":[{",".join(map(_option, asked.options))}]}}'


def _multi(asked: MultiInput) -> str:
    text = '"multi":{"allowOther":true,' if asked.allow_other else '"multi":{'
    if asked.default:
        text += f'"defaultValues":[{",".join(map(quote, asked.default))}],'
    if asked.max_items is not None:
        text += f'"maxItems":{asked.max_items},'
    if asked.min_items is not None:
        text += f'"minItems":{asked.min_items},'
    return f'{text}"options":[{",".join(map(_option, asked.options))}]}}'


def _option(option: Option) -> str:
    text = f'{{"description":{quote(option.description)},' if option.description else "{"
    if option.recommended:
        text += '"recommended":true,'
    if option.title:
        text += f'"title":{quote(option.title)},'
    return f'{text}"value":{quote(option.value)}}}'


def _text(asked: TextInput) -> str:
    members = []
    if asked.default is not None:
        members.append(f'"defaultValue":{quote(asked.default)}')
    if asked.max_length is not None:
        members.append(f'"maxLength":{asked.max_length}')
    if asked.min_length is not None:
        members.append(f'"minLength":{asked.min_length}')
    if asked.multiline:
        members.append('"multiline":true')
    if asked.pattern:
        members.append(f'"pattern":{quote(asked.pattern)}')
    return f'"text":{{{",".join(members)}}}'


def _integer(asked: IntegerInput) -> str:
    members = [f'"{name}":"{value}"' for name, value in _bounds(asked)]  # 64 bits: a string in ProtoJSON
    return f'"integer":{{{",".join(members)}}}'


def _number(asked: NumberInput) -> str:
    members = [f'"{name}":{double_text(float(value))}' for name, value in _bounds(asked)]
    return f'"number":{{{",".join(members)}}}'


def double_text(value: float) -> str:
    """A finite double as ECMAScript writes it (RFC 8785, 3.2.2.3): the shortest digits that mean it."""
    if value == 0:
        return "0"
    sign, rest = ("-", repr(value)[1:]) if value < 0 else ("", repr(value))
    mantissa, _, exponent = rest.partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if 0 < point <= 21:
        if len(digits) <= point:
            return sign + digits.ljust(point, "0")
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    tail = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{tail}e{point - 1:+d}"


def _bounds(asked: IntegerInput | NumberInput) -> list[tuple[str, float]]:
    given = (("defaultValue", asked.default), ("maximum", asked.maximum), ("minimum", asked.minimum))
    return [(name, value) for name, value in given if value is not None]


def _date(asked: DateInput) -> str:
    members = []
    if asked.default is not None:
        members.append(f'"defaultValue":{quote(asked.default)}')
    if asked.maximum:
        members.append(f'"maximum":{quote(asked.maximum)}')
    if asked.minimum:
        members.append(f'"minimum":{quote(asked.minimum)}')
    return f'"date":{{{",".join(members)}}}'


_INPUTS: Mapping[type[Input], Callable[[Any], str]] = {
    BooleanInput: _boolean,
    SingleInput: _single,
    MultiInput: _multi,
    TextInput: _text,
    IntegerInput: _integer,
    NumberInput: _number,
    DateInput: _date,
}
"""Functions that write the member of a question's input, with its key."""
