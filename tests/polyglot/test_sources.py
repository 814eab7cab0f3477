"""The examples as sources: clean by their own tools, in step with the README, free of what machines leave."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from tests.polyglot.build import COMMANDS, EXAMPLES, ROOT, Example

VECTORS = sorted((ROOT / "tests" / "vectors").glob("*.json"))


def test_go_is_clean(go: Example) -> None:
    """Formatted, and vet has nothing to say."""
    sources = list(go.folder.rglob("*.go"))
    assert sources
    assert go.run("gofmt", "-l", *map(str, sources)) == ""
    go.run("go", "vet", "./...")


def test_go_module_is_tidy(go: Example) -> None:
    """go.mod and go.sum name what is used, and nothing else."""
    go.run("go", "mod", "tidy", "-diff")


def test_typescript_is_strict(typescript: Example) -> None:
    """The build has type-checked everything; this is how strictly."""
    shown = json.loads(typescript.run("npx", "tsc", "--showConfig"))
    assert shown["compilerOptions"]["strict"]
    assert shown["compilerOptions"]["noUncheckedIndexedAccess"]
    assert not [
        path
        for path in (typescript.folder / "src").glob("[!g]*/*.ts")
        if re.search(r"\bany\b[^a-z ]|@ts-", path.read_text())
    ]


def test_the_vectors_are_read_by_go(go: Example) -> None:
    """Every frame of every vector, by Go's generated types."""
    out = go.run("go", "test", "-count=1", "-v", "./askback")
    assert out.count("--- PASS: TestVectors/") == len(VECTORS)


def test_the_vectors_are_read_by_typescript(typescript: Example) -> None:
    """Every frame of every vector, by TypeScript's generated types."""
    out = typescript.run("npm", "test")
    assert f"# pass {len(VECTORS)}" in out


def test_nothing_but_a_yes_is_one_in_go(go: Example) -> None:
    """The zero value, an unknown decision and an empty line approve nothing."""
    out = go.run("go", "test", "-count=1", "-v", "./...")
    for name in (
        "OnlyAnAnswerThatAcceptsAuthorises",
        "WhatIsNotThereAuthorisesNothing",
        "Ending",
        "OnlyAYesAndValuesAreAnswers",
    ):
        assert f"--- PASS: Test{name} " in out


def test_nothing_but_a_yes_is_one_in_typescript(typescript: Example) -> None:
    """The zero value, an unknown decision and an empty line approve nothing."""
    assert "# pass 4" in typescript.run("npm", "run", "test:verdict")


def test_lock_files_hold_names_versions_and_hashes() -> None:
    """Where packages come from is each machine's own matter."""
    lock = json.loads((ROOT / EXAMPLES / "typescript" / "package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert packages
    for name, entry in packages.items():
        assert "resolved" not in entry, name
        assert entry["integrity"].startswith("sha512-"), name
    assert "://" not in (ROOT / EXAMPLES / "go" / "go.sum").read_text()


def test_nothing_that_is_made_is_committed() -> None:
    """Generated code is made anew by whoever builds: it cannot be stale."""
    listed = subprocess.run(
        ["git", "ls-files", "--", str(EXAMPLES)], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False
    )
    if listed.returncode or not listed.stdout:
        pytest.skip("not a git checkout")
    made = re.compile(r"/(gen|bin|dist|node_modules)/|service_config\.json$")
    assert [name for name in listed.stdout.splitlines() if made.search(name)] == []


@pytest.mark.parametrize("language", ["go", "typescript"])
def test_the_readme_has_the_commands(language: str) -> None:
    """Those that these tests build by."""
    readme = (ROOT / EXAMPLES / "README.md").read_text()
    assert f"cd {EXAMPLES / language}\n" + "\n".join(COMMANDS[language]) + "\n" in readme


def test_the_readme_shows_the_minimal_worker() -> None:
    """As it is, to the letter."""
    readme = (ROOT / EXAMPLES / "README.md").read_text()
    shown = re.search(r"```go\n(.*?)```", readme, re.DOTALL)
    assert shown is not None
    assert shown[1] == (ROOT / EXAMPLES / "go" / "minimal" / "main.go").read_text()
