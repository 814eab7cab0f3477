"""Import contracts, and names that only some layers may use."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT, SERVER, python_files

DIALECT = re.compile(r"postgres|sqlite|asyncpg", re.IGNORECASE)

# Outside storage/ only code that handles the configured URL may name a database.
NAMES_A_DATABASE = {
    "server/askback_server/database_urls.py",
    "client/askback/cli/service.py",  # options of `askback serve` and `askback demo`
    "client/askback/demo/__init__.py",  # the demo's own file
    "server/askback_server/config/settings.py",  # the default URL, and which URLs there are
    "server/askback_server/lifecycle.py",  # a SQLite file is migrated at start
    "server/askback_server/in_process.py",  # the file of one test
}

# The domain is pure: no clock, no randomness, no input or output.
IMPURE = {
    "asyncio",
    "io",
    "logging",
    "os",
    "pathlib",
    "random",
    "secrets",
    "shutil",
    "socket",
    "sqlite3",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "uuid",
}


def test_the_import_contracts_hold() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def names_and_strings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every name and string of a module except docstrings, with its line number."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    # A string on its own documents the field before it.
    docstrings |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.lineno, node.value
        elif isinstance(node, ast.Name):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute):
            yield node.lineno, node.attr


def test_only_storage_names_a_database() -> None:
    found = {
        f"{path}:{line}: {text[:60]}"
        for path in python_files()
        if not path.startswith("server/askback_server/storage/") and path not in NAMES_A_DATABASE
        for line, text in names_and_strings(ast.parse((ROOT / path).read_text(encoding="utf-8")))
        if DIALECT.search(text)
    }
    assert not found


def test_each_exception_that_may_name_a_database_still_does() -> None:
    for path in NAMES_A_DATABASE:
        words = names_and_strings(ast.parse((ROOT / path).read_text(encoding="utf-8")))
        assert any(DIALECT.search(text) for _, text in words), f"{path} no longer names a database"


@pytest.mark.parametrize("path", [p for p in python_files() if p.startswith(f"{SERVER}/domain/")])
def test_the_domain_uses_no_clock_randomness_or_io(path: str) -> None:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert not IMPURE & {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in IMPURE
        elif isinstance(node, ast.Attribute):
            assert node.attr not in {"now", "utcnow", "today"} or not _is_a_clock(node), ast.unparse(node)
        else:
            assert not isinstance(node, ast.AsyncFunctionDef | ast.Await)


def _is_a_clock(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id in {"datetime", "date"}


def test_only_the_domain_rules_use_the_transition_tables() -> None:
    """docs/design.md 3 lists these modules."""
    asking = {
        path
        for path in python_files()
        if path.startswith(SERVER)
        and re.search(r"\bnext_(job|prompt)_state\b", (ROOT / path).read_text(encoding="utf-8"))
    }
    modules = ("transitions", "life", "prompt_rules", "rule_answers", "voting_rules", "exclusions", "due")
    modules += ("delegation_rules", "rerouting_rules", "substitutes")
    assert asking == {f"{SERVER}/domain/{name}.py" for name in modules}
