"""`make demo`: creates a small environment in `.venv-demo` once, and runs `askback demo` in it.

It runs under the user's Python, so it uses only the standard library. Each step prints one line. At the end
it prints the number of packages in the environment and the CPU time of everything, including the processes
of the demo.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
import venv
from pathlib import Path

OLDEST = (3, 11)
TOP = Path(__file__).resolve().parent.parent
ENVIRONMENT = TOP / ".venv-demo"
PYTHON = ENVIRONMENT / "bin" / "python"
INSTALLED = ENVIRONMENT / "installed"
"""Written after a complete install, with the text of the installed pyproject.toml."""
TOOLS = {"pip", "setuptools"}
"""Packages of every new environment, which are not counted."""


class Failed(Exception):
    """A step failed; the message says which, and what to do."""


def main(arguments: list[str]) -> int:
    """Create the environment if there is none, and run the demo. Returns its exit code."""
    if sys.version_info < OLDEST:
        print("Askback needs Python 3.11 or newer; name one with make demo PYTHON=...", file=sys.stderr)
        return 2
    began = time.monotonic()
    # Let Python cache bytecode: four processes of the demo import the same modules.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        install()
    except Failed as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    say("play the demo")
    code = subprocess.run([ENVIRONMENT / "bin" / "askback", "demo", *arguments], check=False).returncode
    elsewhere, here = resource.getrusage(resource.RUSAGE_CHILDREN), resource.getrusage(resource.RUSAGE_SELF)
    cpu = elsewhere.ru_utime + elsewhere.ru_stime + here.ru_utime + here.ru_stime
    print(f"\n{len(packages())} packages, {cpu:.1f} s of CPU time, {time.monotonic() - began:.0f} s in all")
    return code


def install() -> None:
    """Create or update `.venv-demo` for the current pyproject.toml. Raises Failed."""
    project = (TOP / "pyproject.toml").read_text(encoding="utf-8")
    if INSTALLED.exists() and INSTALLED.read_text(encoding="utf-8") == project:
        return
    say(f"make an environment in {ENVIRONMENT.name}")
    try:
        venv.create(ENVIRONMENT, clear=True, with_pip=True, symlinks=True)
    except (subprocess.CalledProcessError, OSError) as error:
        raise Failed(f"no environment could be made ({error}); on Debian install python3-venv") from None
    say("install Askback with its embedded server, its console and its page")
    # Without compiling: the demo imports only a part of the modules.
    options = ["--quiet", "--disable-pip-version-check", "--no-compile"]
    done = subprocess.run(
        [PYTHON, "-m", "pip", "install", *options, "--editable", f"{TOP}[embedded,tui,web]"], check=False
    )
    if done.returncode:
        raise Failed("the packages could not be installed; see above for what pip says")
    INSTALLED.write_text(project, encoding="utf-8")


def packages() -> list[str]:
    """The names of the packages in the environment."""
    code = "import importlib.metadata as m; print(*(d.name for d in m.distributions()))"
    found = subprocess.run([PYTHON, "-c", code], check=True, capture_output=True, text=True).stdout
    return [name for name in found.split() if name not in TOOLS]


def say(step: str) -> None:
    """Print the line of a step."""
    print(f"demo: {step}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
