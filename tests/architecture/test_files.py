"""Files are small, named after a noun, and documented; generated files are up to date."""

from __future__ import annotations

import subprocess
import sys
from pathlib import PurePosixPath

import pytest

from tests.architecture.sources import ROOT, python_files

MAX_LINES = 320
NAMES_NOTHING = {"base", "common", "helper", "helpers", "misc", "models", "shared", "stuff", "util", "utils"}


def test_the_search_for_source_files_finds_some() -> None:
    assert len(python_files()) > 50


def test_no_file_exceeds_the_line_limit() -> None:
    # A migration that creates all tables is one list, and cannot be split.
    names = [name for name in python_files() if "/migrations/versions/" not in name]
    lengths = {name: len((ROOT / name).read_text(encoding="utf-8").splitlines()) for name in names}
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


def test_no_file_of_the_page_exceeds_the_line_limit() -> None:
    # Generated code, and the catalogues of texts: each is one list, and cannot be split.
    lists = {"wire/messages.ts", "words/en.ts", "words/de.ts"}
    source = ROOT / "client/web/src"
    found = [path for path in source.rglob("*.ts*") if path.relative_to(source).as_posix() not in lists]
    lengths = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in found}
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


def test_no_file_has_a_catch_all_name() -> None:
    page = [path.relative_to(ROOT).as_posix() for path in (ROOT / "client/web/src").rglob("*.ts*")]
    for name in [*page, *python_files("client", "server", "tests", "scripts", "examples")]:
        assert not NAMES_NOTHING & {part.partition(".")[0] for part in PurePosixPath(name).parts}, name


def test_every_module_has_a_docstring() -> None:
    for name in python_files():
        text = (ROOT / name).read_text(encoding="utf-8")
        assert not text.strip() or text.startswith(('"""', 'r"""')), f"{name} has no docstring"


@pytest.mark.parametrize("script", ["gen_protos.py", "gen_states.py", "gen_web_types.py", "lock.py"])
def test_generated_files_are_up_to_date(script: str) -> None:
    command = [sys.executable, str(ROOT / "scripts" / script), "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
