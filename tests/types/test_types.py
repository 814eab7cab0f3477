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
    folder = tmp_path / "programs"
    folder.mkdir()
    for path in PROGRAMS.glob("*.py"):
        (folder / path.name).write_text(path.read_text("utf-8"), "utf-8")
    return folder


def replace_in(folder: Path, old: str, new: str) -> None:
    """Replace the only occurrence of `old`."""
    [path] = [path for path in folder.glob("*.py") if old in path.read_text("utf-8")]
    path.write_text(path.read_text("utf-8").replace(old, new), "utf-8")


@pytest.mark.slow
def test_mypy_finds_no_error_in_the_programs(programs: Path, cache: Path) -> None:
    found = mypy(programs, cache)
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("require_pyright")
def test_pyright_finds_no_error_in_the_programs(programs: Path) -> None:
    found = pyright(programs)
    assert found.returncode == 0, found.stdout + found.stderr


MISTAKES = [
    ('Ruling, key="model", to=["group:desk"]), Ruling)', 'Ruling, key="model"), Policy)'),
    ("assert_type(await run.result(), float)", "assert_type(await run.result(), int)"),
    ('refund.start(order="A-17", days=41)', 'refund.start(order="A-17", days="41")'),
    ("assert_type(decision, Verdict[None])", "assert_type(decision, bool)"),
    ("assert_type(told.values, Address)", "assert_type(told.values, Ruling)"),
    ("assert_type(await plan.result(), Verdict[Ruling])", "assert_type(await plan.result(), Ruling)"),
]


@pytest.mark.slow
def test_mypy_finds_every_planted_mistake(programs: Path, cache: Path) -> None:
    for old, new in MISTAKES:
        replace_in(programs, old, new)
    found = mypy(programs, cache)
    assert found.stdout.count("error:") == len(MISTAKES), found.stdout


@pytest.mark.slow
@pytest.mark.usefixtures("require_pyright")
def test_pyright_finds_every_planted_mistake(programs: Path) -> None:
    for old, new in MISTAKES:
        replace_in(programs, old, new)
    found = pyright(programs)
    assert found.stdout.count(" error:") == len(MISTAKES), found.stdout
