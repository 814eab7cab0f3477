"""The alerts are valid PromQL and refer to existing metrics and labels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest
import yaml

from askback_server.metrics.catalogue import CATALOGUE, Kind
from tests.architecture.sources import ROOT

ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yaml"

OURS = {
    f"{metric.exposed}{suffix}": {*metric.labels, *(("le",) if suffix == "_bucket" else ())}
    for metric in CATALOGUE
    for suffix in (("_bucket", "_sum", "_count") if metric.kind is Kind.HISTOGRAM else ("",))
}
PROCESS = {"process_open_fds", "process_max_fds"}
"""Metrics of prometheus_client's process collector; tests/integration/test_metrics.py checks them."""
TARGET = {"job", "instance"}
"""Labels that Prometheus adds."""


def rules() -> list[dict[str, Any]]:
    """All rules in the file."""
    [group] = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def parts(node: Any) -> Iterator[Any]:
    """An expression and all its subexpressions."""
    yield node
    for name in ("lhs", "rhs", "expr", "vector_selector", "param"):
        if (inner := getattr(node, name, None)) is not None:
            yield from parts(inner)
    for argument in getattr(node, "args", None) or ():
        yield from parts(argument)


def metrics_of(expression: str) -> Iterator[tuple[str, set[str]]]:
    """The metrics of an expression, with the labels by which each is matched and grouped."""
    parsed = promql_parser.parse(expression)
    for part in parts(parsed):
        if isinstance(part, promql_parser.VectorSelector):
            yield part.name, {matcher.name for matcher in part.matchers.matchers}
        elif isinstance(part, promql_parser.AggregateExpr) and part.modifier is not None:
            for inner in parts(part.expr):
                if isinstance(inner, promql_parser.VectorSelector):
                    yield inner.name, set(part.modifier.labels)


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_an_alert_uses_existing_metrics_and_labels(rule: dict[str, Any]) -> None:
    found = list(metrics_of(rule["expr"]))
    assert found, "no metric was found in it"
    for name, labels in found:
        assert name in OURS or name in PROCESS, name
        assert labels <= OURS.get(name, set()) | TARGET, (name, labels)
    # Labels shown in the annotations must be kept by the expression.
    shown = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
    grouped = set(re.findall(r"by \(([\w, ]+)\)", rule["expr"]))
    assert shown <= {label.strip() for group in grouped for label in group.split(",")}
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert rule["annotations"]["summary"].endswith(".")


def test_the_parser_finds_every_metric_of_an_expression() -> None:
    """Compared with a search by regular expression."""
    for rule in rules():
        mentioned = set(re.findall(r"\b(?:askback|process)_\w+", rule["expr"]))
        assert {name for name, _ in metrics_of(rule["expr"])} == mentioned, rule["alert"]


def test_alert_names_are_unique_and_have_the_prefix() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    assert all(name.startswith("Askback") for name in names)
