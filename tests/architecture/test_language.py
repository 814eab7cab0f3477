"""Comments, docstrings, names and documents are in plain English (docs/style.md)."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.architecture.prose import functions_of, names_of, parse, prose_of, words_of_code
from tests.architecture.sources import ROOT

DIALECT = re.compile(
    r"\b(somebody|anybody|nobody|everybody|whoever|anew|for ever|so many)\b",
    re.IGNORECASE,
)
OF_THE_CONTRACT = re.compile(r"\b_?NOBODY\b")
"""A value of DelegationScope. Only this spelling is a name."""
DIALECT_IN_NAMES = {"somebody", "anybody", "nobody", "everybody", "whoever", "anew"}
EXAMPLES = "docs/style.md"
"""Quotes the words that this test forbids."""

MAX_PARTICIPLES = 0.03
"""Share of functions that may be named by a past participle: `joined`, `held`. It hides what they do."""
IRREGULAR = re.compile(
    r"begun|bound|broken|brought|built|chosen|done|drawn|driven|fallen|forgotten|found|given|gone|grown|heard|held|"
    r"hidden|kept|known|left|lost|made|met|seen|sent|shown|sold|spent|spoken|stolen|taken|taught|thought|told|torn|"
    r"understood|woken|won|worn|woven|written|said"
)
NO_PARTICIPLE = re.compile(r"(bl|br|exc|f|n|proc|s|sp|succ)eed|indeed|embed|shed|shred")
MAX_SKIPPED_FORMATS = 40
"""`fmt: skip` is for real tables only."""


@cache
def files(*endings: str) -> tuple[str, ...]:
    """The committed files with one of these endings, without generated code."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = (name for name in listed.splitlines() if name.endswith(endings) and (ROOT / name).is_file())
    return tuple(
        name for name in found if not name.startswith(("client/askback/v1/", "gen/", "examples/go/gen"))
    )


def dialect_in_python() -> Iterator[str]:
    for name in files(".py"):
        for prose in prose_of(ROOT / name):
            for found in DIALECT.finditer(re.sub(r"\s+", " ", OF_THE_CONTRACT.sub("", prose.text))):
                yield f"{name}:{prose.line}: {found[0]!r} in {prose.text.strip()[:80]!r}"
        text = (ROOT / name).read_text(encoding="utf-8").casefold()
        if not any(word in text for word in DIALECT_IN_NAMES):
            continue  # the walk over all expressions of a file is slow
        for line, identifier in names_of(ROOT / name):
            if DIALECT_IN_NAMES & set(OF_THE_CONTRACT.sub("", identifier).casefold().split("_")):
                yield f"{name}:{line}: {identifier}"


def dialect_in_texts() -> Iterator[str]:
    for name in files(".md", ".proto", ".ts", ".tsx", ".mjs"):
        if name != EXAMPLES:
            for number, line in enumerate((ROOT / name).read_text(encoding="utf-8").splitlines(), 1):
                if found := DIALECT.search(OF_THE_CONTRACT.sub("", line)):
                    yield f"{name}:{number}: {found[0]!r} in {line.strip()[:80]!r}"
    for name in files(".toml", ".yaml", ".yml", ".sh", "Makefile", "Dockerfile", ".ci/run"):
        for number, line in enumerate((ROOT / name).read_text(encoding="utf-8").splitlines(), 1):
            if found := DIALECT.search(line.partition("#")[2]):
                yield f"{name}:{number}: {found[0]!r} in {line.strip()[:80]!r}"


def test_comments_docstrings_and_names_are_in_plain_english() -> None:
    assert list(dialect_in_python()) == []


def test_documents_and_protos_are_in_plain_english() -> None:
    assert len(files(".md")) > 30
    assert list(dialect_in_texts()) == []


def test_no_docstring_is_one_word_or_empty_of_meaning() -> None:
    short = [
        f"{name}:{prose.line}: {prose.text!r}"
        for name in files(".py")
        for prose in prose_of(ROOT / name)
        if prose.is_docstring and (len(prose.text.split()) == 1 or prose.text == "As the contract says.")
    ]
    assert short == []


def test_no_comment_of_a_proto_is_one_word() -> None:
    short = [
        f"{name}:{number}: {line.strip()}"
        for name in files(".proto")
        for number, line in enumerate(_comment_blocks((ROOT / name).read_text(encoding="utf-8")), 1)
        if len(line.split()) < 2
    ]
    assert short == []


def _comment_blocks(text: str) -> Iterator[str]:
    """Each comment as one line, however many it takes."""
    block: list[str] = []
    for line in [*text.splitlines(), ""]:
        code, slashes, comment = line.partition("//")
        if slashes and not code.strip():
            block.append(comment.strip())
            continue
        if block:
            yield " ".join(block)
            block = []
        if slashes:
            yield comment.strip()


def test_the_style_guide_names_each_forbidden_word() -> None:
    guide = (ROOT / EXAMPLES).read_text(encoding="utf-8").casefold()
    words = DIALECT.pattern.removeprefix(r"\b(").removesuffix(r")\b").split("|")
    assert [word for word in words if word not in guide] == []


@pytest.mark.parametrize("folder", ["client", "server", "tests", "scripts", "examples"])
def test_functions_are_named_by_verbs_and_nouns(folder: str) -> None:
    functions = [
        (f"{name}:{line}: {function}", function)
        for name in files(".py")
        if name.startswith(f"{folder}/")
        for line, function in functions_of(ROOT / name)
    ]
    participles = [where for where, name in functions if is_participle(name.strip("_").split("_")[0])]
    assert len(participles) < MAX_PARTICIPLES * len(functions), "\n".join(
        [f"{len(participles)} of {len(functions)} functions", *participles]
    )


def is_participle(word: str) -> bool:
    return bool(
        IRREGULAR.fullmatch(word)
        or (word.endswith("ed") and len(word) > 3 and not NO_PARTICIPLE.fullmatch(word))
    )


def test_names_in_backticks_exist() -> None:
    """A docstring that names what was renamed or removed misleads its reader."""
    known = words_of_code(ROOT, files(""))
    missing = [
        f"{name}:{prose.line}: `{quoted}`"
        for name in files(".py")
        for prose in prose_of(ROOT / name)
        for quoted in re.findall(r"`([A-Za-z_][\w.]*(?:\(\))?)`", prose.text)
        if not set(quoted.removesuffix("()").split(".")) - {""} <= known
    ]
    assert missing == []


def test_the_formatter_decides() -> None:
    skips = [
        f"{name}:{prose.line}"
        for name in files(".py")
        for prose in prose_of(ROOT / name)
        if re.match(r"fmt: (skip|off)", prose.text)
    ]
    assert len(skips) <= MAX_SKIPPED_FORMATS, skips


def test_the_rules_see_what_they_are_for(tmp_path: Path) -> None:
    """Each of the rules above finds its fault in a file that has it."""
    source = tmp_path / "faulty.py"
    source.write_text(
        '"""No."""\n\n# Whoever asks.\nLIMIT = 1\n"""So many."""\n\n\ndef joined(somebody): ...\n'
        'def find():\n    return "nobody"\n'
    )
    prose = {p.text: p.is_docstring for p in prose_of(source)}
    assert prose == {"No.": True, "So many.": True, "Whoever asks.": False}
    assert {name for _, name in names_of(source)} == {"LIMIT", "joined", "somebody", "find"}
    assert [name for _, name in functions_of(source) if is_participle(name)] == ["joined"]
    assert "nobody" in words_of_code(tmp_path, ["faulty.py"])
    assert "asks" not in words_of_code(tmp_path, ["faulty.py"])
    assert parse(source).body
