"""Expressions of rules: what is refused at save, what is an error, and a conformance file of our own."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from askback_server.domain.rule_inputs import (
    MAX_ITEMS,
    VARIABLES,
    BadExpression,
    ExpressionError,
    inputs_digest,
    read_inputs,
)
from askback_server.expressions import INSTALL, Cel, Missing, load_expressions
from tests.support.rules import question

CASES = json.loads((Path(__file__).parent / "golden" / "rule_expressions.json").read_text())
CEL = Cel()


def inputs(metadata: Any = None, **content: Any) -> dict[str, Any]:
    text = "" if metadata is None else json.dumps(metadata)
    asked = question(metadata_json=text, **content)
    return dict(read_inputs(asked, key="k", job_type="agent", requested_by="carol", max_bytes=1 << 20))


@pytest.mark.parametrize("case", CASES["evaluated"], ids=lambda case: case["source"])
def test_expressions_evaluate_as_the_conformance_file_says(case: dict[str, Any]) -> None:
    evaluate = CEL.compile(case["source"])
    values = inputs(CASES["metadata"], **CASES["content"])
    if case["is"] == "error":
        with pytest.raises(ExpressionError):
            evaluate(values)
    else:
        assert evaluate(values) is case["is"]


@pytest.mark.parametrize("case", CASES["refused"], ids=lambda case: case["source"][:40])
def test_sources_are_refused_as_the_conformance_file_says(case: dict[str, Any]) -> None:
    with pytest.raises(BadExpression, match=case["because"]):
        CEL.compile(case["source"] * case.get("times", 1))


def test_every_variable_has_a_value_of_its_type() -> None:
    assert inputs().keys() == VARIABLES.keys()
    for name in VARIABLES:
        assert CEL.compile(f"{name} == {name}")(inputs()) is True


def test_inputs_are_converted_once_for_all_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    cel, made = Cel(), []
    env = cel._env

    class Counting:
        compile = env.compile

        def Activation(self, data: Any) -> Any:
            made.append(data)
            return env.Activation(data)

    monkeypatch.setattr(cel, "_env", Counting())
    first, second = inputs({"n": 1}), inputs({"n": 2})
    when = [cel.compile(f"metadata.n == {n}") for n in (1, 2)]
    found = [[each(values) for each in when] for values in (first, second, first)]
    assert found == [[True, False], [False, True], [True, False]]
    assert [values["metadata"]["n"] for values in made] == [1, 2, 1]
    joined = cel.compile("prompt.body + prompt.title == ''")
    for _ in range(2):  # an activation would keep what it makes
        assert joined(first) is False
    assert len(made) == 5


def test_too_many_iterations_are_an_error() -> None:
    source = "metadata.l.exists(x, metadata.l.exists(y, x + y == -1))"
    with pytest.raises(ExpressionError, match="budget"):
        CEL.compile(source)(inputs({"l": list(range(MAX_ITEMS))}))


@pytest.mark.parametrize(
    ("source", "body"),
    [
        ("metadata.l.all(x, metadata.l.all(y, !prompt.body.matches('[a-z]+q')))", "x" * 50_000),
        ("metadata.l.all(x, !prompt . body.contains('q'))", "x" * 200_000),
        (
            "metadata.l.map(x, prompt.body + prompt.body + prompt.body + prompt.body).size() == 0",
            "x" * 90_000,
        ),
        (f"prompt.body.matches('(a|b)*a{'(a|b)' * 60}')", "ab" * 250_000),
    ],
)
def test_what_would_hold_up_the_process_is_an_error_and_not_evaluated(source: str, body: str) -> None:
    # It took up to 49 s of CPU in the process that serves all calls.
    with pytest.raises(ExpressionError, match="too large"):
        CEL.compile(source)(inputs({"l": list(range(MAX_ITEMS))}, body=body))


def test_long_lists_and_texts_are_evaluated_where_that_is_cheap() -> None:
    paths = {"l": ["/srv/" + "x" * 40] * MAX_ITEMS}
    assert CEL.compile("metadata.l.all(x, x.startsWith('/srv/'))")(inputs(paths, body="x" * 400_000)) is True
    assert CEL.compile("prompt.body.matches('^x+y?$')")(inputs(paths, body="x" * 400_000)) is True


@pytest.mark.parametrize(
    "metadata", [[1], {"l": [0] * (MAX_ITEMS + 1)}, {"a": {"b": [[0] * (MAX_ITEMS + 1)]}}]
)
def test_metadata_that_cannot_be_read_whole_is_an_error_and_not_left_out(metadata: Any) -> None:
    # `!has(metadata.l)` would be true of metadata that was left out.
    with pytest.raises(ExpressionError):
        inputs(metadata)


def test_a_variable_that_is_not_known_later_is_an_error_only_where_it_is_read() -> None:
    asked = question()
    known = read_inputs(asked, key="k", job_type="t", requested_by="", max_bytes=99, is_asked=False)
    with pytest.raises(ExpressionError):
        CEL.compile("prompt.priority == 0")(known)
    assert CEL.compile("prompt.kind == 'confirm' || prompt.priority == 0")(known) is True


def test_the_digest_of_inputs_changes_with_a_value() -> None:
    assert inputs_digest(inputs({"a": 1})) == inputs_digest(inputs({"a": 1}))
    assert inputs_digest(inputs({"a": 1})) != inputs_digest(inputs({"a": 2}))


def test_without_the_library_each_expression_is_refused_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert load_expressions().version.startswith("cel-expr-python ")
    monkeypatch.setitem(sys.modules, "cel_expr_python.cel", None)
    found = load_expressions()
    assert isinstance(found, Missing)
    assert found.version == ""
    with pytest.raises(BadExpression) as refused:
        found.compile("true")
    assert INSTALL in str(refused.value)
