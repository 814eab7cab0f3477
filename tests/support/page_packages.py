"""The packages of the page's source, which its builds and tests need, and programs made of that source."""

import json
import subprocess
from pathlib import Path
from typing import Any

from scripts.web_build import SOURCE, install_packages, missing_programs
from tests.support.requirements import absent


def page_source() -> Path:
    """client/web with its packages installed. Skips the test where Node or npm is missing."""
    if missing := missing_programs():
        absent("node", f"{' and '.join(missing)} not installed")
    install_packages()
    return SOURCE


def bundle_program(source: str, folder: Path) -> Path:
    """A program of `client/web/test/pages` for Node, written to the folder."""
    page, program = page_source(), folder / "program.mjs"
    command = [str(page / "node_modules" / ".bin" / "esbuild"), f"test/pages/{source}", "--bundle"]
    flags = ["--platform=node", "--format=esm", f"--outfile={program}", "--log-level=error"]
    subprocess.run([*command, *flags], cwd=page, check=True, timeout=60)
    return program


def run_program(program: Path, cases: list[Any]) -> list[Any]:
    """What a program writes for these cases, both as JSON."""
    command = ["node", str(program)]
    done = subprocess.run(
        command, input=json.dumps(cases), capture_output=True, text=True, check=True, timeout=60
    )
    found: list[Any] = json.loads(done.stdout)
    return found
