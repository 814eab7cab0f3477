"""The targets of `.ci/run` run every test, each in exactly one of them."""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT

PYTEST = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
FILES = sorted(
    path
    for folder in PYTEST["testpaths"]
    for pattern in ("test_*.py", "*_test.py")
    for path in (ROOT / folder).rglob(pattern)
)


@dataclass(frozen=True)
class Selection:
    """The tests that a target of the Makefile runs."""

    paths: list[Path]
    ignored: list[Path]
    markers: str

    def contains(self, file: Path, *, is_long: bool) -> bool:
        """Whether the target runs the tests of a file that have the marker `long`, or those without it."""
        matches = {"": True, "long": is_long, "not long": not is_long}[self.markers]
        folders = {file, *file.parents}
        return matches and bool(folders & {*self.paths}) and not folders & {*self.ignored}


def selection_of(target: str) -> Selection:
    """Read the command that `make` would run."""
    command = ["make", "--dry-run", "--no-print-directory", target, "ARGS="]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    [line] = [line for line in shown.splitlines() if "-m pytest" in line]
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("paths", nargs="*", default=PYTEST["testpaths"])
    parser.add_argument("--ignore", action="append", default=[])
    parser.add_argument("-m", dest="markers", default="")
    for option in ("-n", "--dist", "-r"):
        parser.add_argument(option)
    parser.add_argument("-q", action="store_true")
    words = shlex.split(line.partition("-m pytest")[2])
    given = parser.parse_args(words)
    return Selection([ROOT / p for p in given.paths], [ROOT / p for p in given.ignore], given.markers)


@pytest.fixture(scope="module")
def selections() -> dict[str, Selection]:
    """What `.ci/run` runs, by target."""
    targets = re.findall(r"\bmake (test[a-z-]*)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    return {target: selection_of(target) for target in targets}


@pytest.mark.parametrize("is_long", [False, True], ids=["not long", "long"])
def test_each_test_file_is_in_one_target(selections: dict[str, Selection], is_long: bool) -> None:
    assert len(FILES) > 200
    found = {
        str(file.relative_to(ROOT)): [
            name for name, s in selections.items() if s.contains(file, is_long=is_long)
        ]
        for file in FILES
    }
    assert {file: targets for file, targets in found.items() if len(targets) != 1} == {}


def test_no_setting_of_pytest_leaves_tests_out() -> None:
    """Neither the options nor a conftest file."""
    assert not re.search(r"(^|\s)(-m|-k|--ignore|--deselect)", PYTEST["addopts"])
    assert not {"norecursedirs", "python_files", "python_functions"} & {*PYTEST}
    for path in (ROOT / "tests").rglob("conftest.py"):
        assert not re.search(r"collect_ignore|pytest_ignore_collect|pytest_deselected", path.read_text()), (
            path
        )
