"""Pin the packages of the container in requirements/*.lock, or check that the pins fit pyproject.toml.

In: pyproject.toml and, without --check, a package index. Out: `server.lock` (the service, the gateway,
conditions of rules, and their dependencies) and `build.lock` (the build system of the wheel), with names,
versions and hashes for every platform and Python that Askback runs on. Pins that still fit stay as they are,
unless --upgrade raises all of them. With --check nothing is written and no network is used; exit status 1
lists each pin that is missing, superfluous, or does not fit.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "requirements"
PIN = re.compile(r"(?P<pin>[\w.-]+==[^\s;]+)(?: ; (?P<marker>[^\\#]+?))?")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
PLATFORMS = [
    {
        "python_version": version,
        "python_full_version": f"{version}.0",
        "platform_machine": machine,
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
    }
    for version in ("3.11", "3.12", "3.13")
    for machine in ("x86_64", "aarch64")
]
"""The platforms that a lock must support. It may support others too."""


@dataclass
class Pin:
    """One package of a lock file."""

    requirement: Requirement
    hashes: int = 0
    required_by: set[str] = field(default_factory=set)


def requirements_by_lock() -> dict[str, list[Requirement]]:
    """The requirements in pyproject.toml, by the name of their lock."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return {
        "build": [Requirement(text) for text in project["build-system"]["requires"]],
        "server": [
            *map(Requirement, project["project"]["dependencies"]),
            *_extra(project["project"], "server"),
            *_extra(project["project"], "web"),
            *_extra(project["project"], "rules"),
        ],
    }


def _extra(project: Mapping[str, Any], name: str) -> Iterator[Requirement]:
    """The requirements of an extra, with those of the project's other extras that it includes."""
    for requirement in map(Requirement, project["optional-dependencies"][name]):
        if canonicalize_name(requirement.name) == project["name"]:
            for other in sorted(requirement.extras):
                yield from _extra(project, other)
        else:
            yield requirement


def read(path: Path) -> dict[str, Pin]:
    """The pins of a lock file by name. Exits at a line that is not a pin, a hash or a `# via` comment."""
    pins: dict[str, Pin] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        text = line.strip().removesuffix("\\").strip()
        if HASH.fullmatch(text) and pins:
            pins[next(reversed(pins))].hashes += 1
        elif text.startswith("# via ") and pins and re.fullmatch(r"[\w.\- ,()\[\]]+", text[6:]):
            pins[next(reversed(pins))].required_by.update(re.split(r", ", text[6:]))
        elif match := PIN.fullmatch(text):
            try:
                requirement = Requirement(text)
            except InvalidRequirement as error:
                sys.exit(f"{path.name}:{number}: {error}")
            pins[canonicalize_name(match["pin"].partition("==")[0])] = Pin(requirement)
        elif text:
            sys.exit(f"{path.name}:{number}: a lock holds names, versions and hashes only, not {text!r}")
    return pins


def faults(requirements: list[Requirement], pins: Mapping[str, Pin]) -> Iterator[str]:
    """The faults of a lock, one line each."""
    names: set[str] = {canonicalize_name(requirement.name) for requirement in requirements}
    for requirement in requirements:
        pin = pins.get(canonicalize_name(requirement.name))
        version = next(iter(pin.requirement.specifier)).version if pin else ""
        if pin is None:
            yield f"{requirement} has no pin"
        elif version not in requirement.specifier:
            yield f"{requirement} does not allow the pin {version}"
        elif any(_holds(requirement, at) and not _holds(pin.requirement, at) for at in PLATFORMS):
            yield f"{requirement} has a pin that leaves out a platform: {pin.requirement.marker}"
    for name, pin in pins.items():
        if not pin.hashes:
            yield f"{name} has no hash"
        # A pin must be required by the project or by another pin that is still in the lock.
        present = {by for by in pin.required_by if canonicalize_name(by.partition("[")[0]) in pins}
        if name not in names and not present:
            yield f"{name} is pinned, but nothing requires it"


def _holds(requirement: Requirement, platform: Mapping[str, str]) -> bool:
    return requirement.marker is None or requirement.marker.evaluate(dict(platform))


def compile_lock(requirements: list[Requirement], target: Path, *, upgrade: bool) -> None:
    """Resolve the requirements with pip's configured index, and write the lock."""
    with tempfile.TemporaryDirectory() as scratch:
        if target.exists() and not upgrade:
            shutil.copy(target, f"{scratch}/lock")  # uv keeps the pins of an existing output file
        source = Path(scratch) / "requirements.in"
        source.write_text("".join(f"{requirement}\n" for requirement in requirements), encoding="utf-8")
        command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", str(source)]
        command += ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-header"]
        command += ["--no-emit-index-url", "--no-emit-find-links", "--output-file", f"{scratch}/lock"]
        done = subprocess.run(command, env={**os.environ, **_index()}, check=False)
        if done.returncode:
            sys.exit(
                f"{target.name} is as it was; is `uv` installed (pip install uv), and the index reachable?"
            )
        lines = (Path(scratch) / "lock").read_text(encoding="utf-8").splitlines()
    target.parent.mkdir(exist_ok=True)
    target.write_text("\n".join(_tidy(lines)) + "\n", encoding="utf-8")


def _tidy(lines: list[str]) -> Iterator[str]:
    """The lines with each `# via` comment on one line, without the name of the scratch file.

    A package that only the project requires has no such comment.
    """
    names: list[str] = []
    for line in [*lines, ""]:
        if line.strip().startswith("#"):
            name = line.strip().removeprefix("#").strip().removeprefix("via").strip()
            names += [name] if name and not name.startswith("-r ") else []
            continue
        if names:
            yield f"    # via {', '.join(names)}"
            names = []
        if line:
            yield line


def _index() -> dict[str, str]:
    """pip's index settings as variables for uv, which does not read pip's configuration."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    )
    pairs = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
    found = {key.rpartition(".")[2].replace("_", "-"): value.strip("'\"") for key, value in pairs.items()}
    names = {"index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX", "cert": "SSL_CERT_FILE"}
    return {names[key]: value for key, value in found.items() if key in names}


def main() -> None:
    """Write both locks; with --check compare instead."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a lock does not fit")
    parser.add_argument("--upgrade", action="store_true", help="raise every pin to the newest that fits")
    options = parser.parse_args()
    wrong: list[str] = []
    for name, requirements in requirements_by_lock().items():
        path = LOCKS / f"{name}.lock"
        if not options.check:
            compile_lock(requirements, path, upgrade=options.upgrade)
        if path.exists():
            wrong += [f"  {path.name}: {fault}" for fault in faults(requirements, read(path))]
        else:
            wrong.append(f"  {path.name} is missing")
    if wrong:
        sys.exit("the pins do not fit pyproject.toml, run `make lock`:\n" + "\n".join(wrong))


if __name__ == "__main__":
    main()
