"""Small forms for tests, and shortcuts to validate forms and answers."""

import json
from typing import Any

from askback_server.domain.forms import (
    Form,
    FormLimits,
    Input,
    Option,
    Question,
    Questions,
    SchemaForm,
    check_form,
    judge_values,
)
from askback_server.domain.json_text import BadFields

LIMITS = FormLimits()
POLICY = (Option("standard", "Standard"), Option("goodwill", "", "Costs more", recommended=True))


def ask(*inputs: Input, required: bool = False) -> Questions:
    return Questions(
        tuple(
            Question(question_id=f"q{i}", title=f"Question {i}", input=input_, required=required)
            for i, input_ in enumerate(inputs)
        )
    )


def faults(form: Form | None) -> dict[str, str]:
    try:
        check_form(form, LIMITS)
    except BadFields as bad:
        return {v.field: v.description for v in bad.violations}
    return {}


def problems(form: Form | None, values: Any) -> dict[str, str]:
    text = values if isinstance(values, str) else json.dumps(values)
    return {v.field: v.description for v in judge_values(form, text, max_bytes=LIMITS.max_values_bytes)}


def problem(input_: Input, value: Any, required: bool = False) -> str | None:
    form = ask(input_, required=required)
    assert faults(form) == {}
    return problems(form, {"q0": value}).get("values_json/q0")


def schema(**keywords: Any) -> SchemaForm:
    return SchemaForm(json.dumps({"type": "object", **keywords}))
