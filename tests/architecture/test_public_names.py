"""The public names of the client: few modules, and only documented names."""

from __future__ import annotations

import re
from importlib import import_module

import pytest

import askback
from tests.architecture.sources import ROOT

CLIENT = ROOT / "client" / "askback"
PUBLIC_MODULES = {"cli", "demo", "errors", "sync", "terminal", "testing", "v1", "web"}
REFERENCE = (ROOT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
PRIVATE_IMPORT = re.compile(r"(?:from|import) askback(?:\.\w+)*\._\w+")


def test_the_client_has_exactly_the_listed_public_modules() -> None:
    found = {
        path.stem for path in CLIENT.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert {name for name in found if not name.startswith("_")} == PUBLIC_MODULES


@pytest.mark.parametrize("name", askback.__all__)
def test_the_reference_documents_every_public_name(name: str) -> None:
    described, _, errors = REFERENCE.partition("\n## Errors\n")
    if name in vars(import_module("askback.errors")):
        assert re.search(rf"\b{name}\b", errors)
    else:
        assert f"\n### {name}\n" in described


def test_public_errors_name_their_public_module() -> None:
    for name in askback.__all__:
        value = getattr(askback, name)
        if isinstance(value, type) and issubclass(value, Exception):
            assert value.__module__ in ("askback", "askback.errors"), name


def test_docs_and_examples_import_public_modules_only() -> None:
    files = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.py")]
    found = {path.name: PRIVATE_IMPORT.findall(path.read_text(encoding="utf-8")) for path in files}
    assert {name: lines for name, lines in found.items() if lines} == {}
