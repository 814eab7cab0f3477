"""The demo runs from an installed wheel as it runs from a checkout."""

from __future__ import annotations

import asyncio
import sys
import zipfile
from pathlib import Path

import pytest

from askback.demo.story import NAMES
from tests.support.processes import ROOT, Processes

pytestmark = [pytest.mark.long, pytest.mark.timeout(180)]
RUN = "from askback.cli import main; main()"


async def test_the_demo_runs_from_an_installed_wheel(processes: Processes, tmp_path: Path) -> None:
    """The wheel has the examples without their tests; one of them runs to its end."""
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(ROOT)]
    process = await asyncio.create_subprocess_exec(*build)
    assert await process.wait() == 0
    (wheel,) = tmp_path.glob("*.whl")
    installed = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    for folder in NAMES.values():
        here = {
            path.name: path.read_bytes() for path in (ROOT / "examples" / folder).iterdir() if path.is_file()
        }
        there = {
            path.name: path.read_bytes() for path in (installed / "askback/demo/examples" / folder).iterdir()
        }
        assert there == {name: content for name, content in here.items() if not name.startswith("test_")}
    assert {path.name for path in (installed / "askback/demo/examples").iterdir()} == set(NAMES.values())
    demo = processes.command(
        "demo", sys.executable, "-c", RUN, "demo", "import", "--scripted", PYTHONPATH=str(installed)
    )
    assert await demo.wait_for_end(60) == 0, demo.story()
    assert demo.out.splitlines()[-1].startswith("demo: the job completed")
