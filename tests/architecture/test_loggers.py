"""Every logger of the service is below `askback.server`, is called `_log`, and is in the operator's table."""

from __future__ import annotations

import ast
import re

from tests.architecture.sources import ROOT, SERVER, python_files

OF_LIBRARIES = {"alembic", "aiosqlite", "grpc._cython.cygrpc", ""}
"""Loggers whose lines the service filters; the empty name is the root's."""
TABLE = ROOT / "docs" / "how-to" / "operator.md"


def named_loggers() -> list[tuple[str, str, str]]:
    """(path, variable, logger) of each `logging.getLogger` in the service; variable empty for a bare call."""
    found = []
    for path in python_files(SERVER):
        text = (ROOT / path).read_text(encoding="utf-8")
        if "getLogger" not in text:
            continue
        tree = ast.parse(text)
        variables = {
            id(node.value): ast.unparse(node.targets[0])
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "logging.getLogger":
                name = ast.literal_eval(node.args[0]) if node.args else ""
                found.append((path, variables.get(id(node), ""), name))
    return found


def test_the_service_logs_below_one_name() -> None:
    own = [(path, variable, name) for path, variable, name in named_loggers() if name not in OF_LIBRARIES]
    assert len(own) > 20
    assert [entry for entry in own if not re.fullmatch(r"askback\.server(\.[a-z]+)?", entry[2])] == []
    assert [entry for entry in own if entry[1] != "_log"] == []


def test_the_operators_table_lists_every_logger() -> None:
    [table] = re.findall(r"\| Logger \|.*?\n\n", TABLE.read_text(encoding="utf-8"), re.DOTALL)
    listed = set(re.findall(r"`(askback\.server[a-z.]*)`", table))
    listed |= {f"askback.server{name}" for name in re.findall(r"`(\.[a-z]+)`", table)}
    assert listed == {name for _, _, name in named_loggers() if name not in OF_LIBRARIES}
