"""The examples' sources: clean by their own tools, equal to the README, without generated files."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from tests.polyglot.build import COMMANDS, EXAMPLES, ROOT, Example

VECTORS = sorted((ROOT / "tests" / "vectors").glob("*.json"))
PROMPTS = sorted((ROOT / "tests" / "vectors" / "prompts").glob("*.json"))


def test_the_go_sources_are_formatted_and_pass_vet(go: Example) -> None:
    sources = list(go.folder.rglob("*.go"))
    assert sources
    assert go.run("gofmt", "-l", *map(str, sources)) == ""
    go.run("go", "vet", "./...")


def test_the_go_example_s_module_is_tidy(go: Example) -> None:
    go.run("go", "mod", "tidy", "-diff")


def test_typescript_is_compiled_strictly_and_uses_no_any(typescript: Example) -> None:
    """The build has already type-checked the sources."""
    shown = json.loads(typescript.run("npx", "tsc", "--showConfig"))
    assert shown["compilerOptions"]["strict"]
    assert shown["compilerOptions"]["noUncheckedIndexedAccess"]
    assert not [
        path
        for path in (typescript.folder / "src").glob("[!g]*/*.ts")
        if re.search(r"\bany\b[^a-z ]|@ts-", path.read_text())
    ]


def test_the_tests_in_go_pass(go: Example) -> None:
    """One run, because each links the test programs."""
    out = go.run("go", "test", "-count=1", "-v", "./...")
    assert out.count("--- PASS: TestVectors/") == len(VECTORS)
    assert out.count("--- PASS: TestDigests/") == len(PROMPTS)  # by protojson and a library for RFC 8785
    for name in (
        "OnlyAnAnswerThatAcceptsAuthorises",
        "WhatIsNotThereAuthorisesNothing",
        "Ending",
        "OnlyAYesAndValuesAreAnswers",
        "AStreamChangesNothingAfterTheHelloOfTheNext",
        "AStreamServesOnIfTheNextOneIsRefused",
    ):
        assert f"--- PASS: Test{name} " in out


def test_the_tests_in_typescript_pass(typescript: Example) -> None:
    out = typescript.run("npm", "test")
    passed = re.findall(r"^ok \d+ - (.+)$", out, re.MULTILINE)
    assert sorted(name for name in passed if name.endswith(".json")) == [path.name for path in VECTORS]
    assert {
        "only an answer that accepts authorises",
        "what is not there authorises nothing",
        "how it ended",
        "only a yes and values are answers",
        "a stream changes nothing after the hello of the next",
        "a stream serves on if the next one is refused",
    } <= set(passed)


def test_lock_files_have_hashes_but_no_download_addresses() -> None:
    """Each machine has its own package index."""
    lock = json.loads((ROOT / EXAMPLES / "typescript" / "package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert packages
    for name, entry in packages.items():
        assert "resolved" not in entry, name
        assert entry["integrity"].startswith("sha512-"), name
    assert "://" not in (ROOT / EXAMPLES / "go" / "go.sum").read_text()


def test_no_generated_file_of_the_examples_is_committed() -> None:
    """Each build generates the code again, so it cannot be stale."""
    listed = subprocess.run(
        ["git", "ls-files", "--", str(EXAMPLES)], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False
    )
    if listed.returncode or not listed.stdout:
        pytest.skip("not a git checkout")
    made = re.compile(r"/(gen|bin|dist|node_modules)/|service_config\.json$")
    assert [name for name in listed.stdout.splitlines() if made.search(name)] == []


@pytest.mark.parametrize("language", ["go", "typescript"])
def test_the_readme_has_the_build_commands_of_the_tests(language: str) -> None:
    readme = (ROOT / EXAMPLES / "README.md").read_text()
    assert f"cd {EXAMPLES / language}\n" + "\n".join(COMMANDS[language]) + "\n" in readme


def test_the_readme_shows_the_minimal_worker_s_source() -> None:
    readme = (ROOT / EXAMPLES / "README.md").read_text()
    shown = re.search(r"```go\n(.*?)```", readme, re.DOTALL)
    assert shown is not None
    assert shown[1] == (ROOT / EXAMPLES / "go" / "minimal" / "main.go").read_text()
