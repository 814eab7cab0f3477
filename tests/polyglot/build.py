"""Build the examples with the commands of their README, in a copy of the sources."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.requirements import absent

ROOT = Path(__file__).parents[2]
EXAMPLES = Path("examples/polyglot")
COMMANDS = {
    "go": ["go generate ./...", "go build -o bin/ ./..."],
    "typescript": ["npm ci", "npm run generate", "npm run build"],
}
_NEEDED = ["protos", "gen/go", "client/askback/service_config.json", "tests/vectors"]
"""Files outside the examples' folder that their builds read."""


@dataclass(frozen=True)
class Example:
    """The built programs of one language."""

    language: str
    folder: Path
    """The copy of the example's folder."""

    def command(self, program: str) -> list[str]:
        """The command for `worker`, `console`, `start` or, in Go, `minimal`."""
        if self.language == "go":
            return [str(self.folder / "bin" / program)]
        return ["node", str(self.folder / "dist" / f"{program}.js")]

    def run(self, *command: str) -> str:
        """Run a tool in the folder. Returns its output; fails the test with the output if it fails."""
        # buf is installed beside this Python.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=300,
        )
        if done.returncode:
            pytest.fail(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}", pytrace=False)
        return done.stdout


def build(language: str, scratch: Path) -> Example:
    """Copy one language's example into an empty folder and build it there."""
    source = EXAMPLES / language
    for part in [*map(Path, _NEEDED), source]:
        target = scratch / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / part).is_dir():
            # Files that a developer has built may be stale.
            made = shutil.ignore_patterns("bin", "node_modules", "dist", "__pycache__")
            shutil.copytree(ROOT / part, target, ignore=made)
        else:
            shutil.copy(ROOT / part, target)
    example = Example(language, scratch / source)
    for command in COMMANDS[language]:
        example.run(*command.split())
    return example


def need(tool: str, *commands: str) -> None:
    """Skip the test if one of the commands is missing; fail it if `ASKBACK_REQUIRE` names the tool."""
    missing = [command for command in commands if shutil.which(command) is None]
    if missing:
        absent(tool, f"{', '.join(missing)} not found: the {tool} example cannot be built")
