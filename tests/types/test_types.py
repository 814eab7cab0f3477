"""The types that mypy and pyright infer for the SDK, checked with sample programs.

Lines with deliberate errors have an ignore comment for each checker. An unneeded ignore is an error, so the
programs also check what must be refused.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.requirements import absent

PROGRAMS = Path(__file__).parent / "programs"


def mypy(folder: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    """Run mypy like a user: strict, without our configuration."""
    options = ["--strict", "--config-file=", f"--cache-dir={cache}", "--no-error-summary"]
    return _run([sys.executable, "-m", "mypy", *options, str(folder)])


def pyright(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run pyright like a user, strict."""
    settings = {
        "typeCheckingMode": "strict",
        "enableTypeIgnoreComments": False,
        "reportUnnecessaryTypeIgnoreComment": True,
        "pythonVersion": "3.11",
    }
    (folder / "pyrightconfig.json").write_text(json.dumps(settings), "utf-8")
    return _run(["-m", "pyright", "--pythonpath", sys.executable, "--project", str(folder)], python=True)


def _run(command: list[str], *, python: bool = False) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    whole = [sys.executable, *command] if python else command
    return subprocess.run(whole, capture_output=True, text=True, env=environment, check=False)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mypy")


@pytest.fixture(scope="module")
def require_pyright() -> None:
    """Skip the test if pyright does not run: it needs node, and its first run downloads a package."""
    found = _run(["-m", "pyright", "--version"], python=True)
    if found.returncode != 0:
        absent("pyright", "pyright does not run here: " + (found.stderr.strip().splitlines() or ["?"])[-1])


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A copy of the programs in a folder outside the repository."""
    return copy_programs(tmp_path / "programs")


def copy_programs(folder: Path) -> Path:
    """Copy the programs into a new folder."""
    folder.mkdir()
    for path in PROGRAMS.glob("*.py"):
        (folder / path.name).write_text(path.read_text("utf-8"), "utf-8")
    return folder


@pytest.fixture(scope="module")
def pyright_output(require_pyright: None, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The output of one run of pyright over the programs (`clean`) and a copy with mistakes (`mistakes`).

    Two runs would cost twice as much: most of the time goes into reading the SDK.
    """
    folder = tmp_path_factory.mktemp("pyright")
    copy_programs(folder / "clean")
    mistakes = copy_programs(folder / "mistakes")
    for old, new in MISTAKES:
        replace_in(mistakes, old, new)
    found = pyright(folder)
    return found.stdout + found.stderr


def replace_in(folder: Path, old: str, new: str) -> None:
    """Replace the only occurrence of `old`."""
    [path] = [path for path in folder.glob("*.py") if old in path.read_text("utf-8")]
    path.write_text(path.read_text("utf-8").replace(old, new), "utf-8")


def test_mypy_finds_no_error_in_the_programs(programs: Path, cache: Path) -> None:
    found = mypy(programs, cache)
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.long
def test_pyright_finds_no_error_in_the_programs(pyright_output: str) -> None:
    assert f"{len(MISTAKES)} errors" in pyright_output, pyright_output
    found = [line for line in pyright_output.splitlines() if "/clean/" in line]
    assert not found, pyright_output


MISTAKES = [
    ('Ruling, key="model", to=["group:desk"]), Ruling)', 'Ruling, key="model"), Policy)'),
    ("assert_type(await run.result(), float)", "assert_type(await run.result(), int)"),
    ('refund.start(order="A-17", days=41)', 'refund.start(order="A-17", days="41")'),
    ("assert_type(decision, Verdict[None])", "assert_type(decision, bool)"),
    ("assert_type(told.values, Address)", "assert_type(told.values, Ruling)"),
    ("assert_type(await plan.result(), Verdict[Ruling])", "assert_type(await plan.result(), Ruling)"),
]


@pytest.mark.long
def test_mypy_finds_every_planted_mistake(programs: Path, cache: Path) -> None:
    for old, new in MISTAKES:
        replace_in(programs, old, new)
    found = mypy(programs, cache)
    assert found.stdout.count("error:") == len(MISTAKES), found.stdout


@pytest.mark.long
def test_pyright_finds_every_planted_mistake(pyright_output: str) -> None:
    found = [line for line in pyright_output.splitlines() if "/mistakes/" in line and " error:" in line]
    assert len(found) == len(MISTAKES), pyright_output
