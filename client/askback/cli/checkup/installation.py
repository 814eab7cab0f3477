"""Checks this installation: Python, packages, configuration, and a database."""

from __future__ import annotations

import os
import platform
import re
import stat
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import click

from askback.cli.checkup import Finding, fail, ok, warn
from askback.cli.connection import CONNECTION_OPTIONS
from askback.cli.profiles import config_file, read_profiles

_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)[^;]*(?:;.*\bextra\s*==\s*['\"]([a-z]+)['\"])?")

_USES = {
    "rules": "conditions of rules, at each replica of the service",
    "server": "running the service",
    "testing": "pytest",
    "tui": "questions, colours and Markdown at a terminal",
}


def check_installation() -> Iterator[Finding]:
    """Check the installation and its configuration."""
    yield ok("python", f"{platform.python_implementation()} {platform.python_version()}")
    yield ok("askback", version("askback"))
    yield from _check_packages()
    yield from _check_configuration(config_file())


def _check_packages() -> Iterator[Finding]:
    """The packages of the light client are required; an extra is reported as installed or not."""
    wanted: dict[str, list[str]] = {"": []}
    for text in requires("askback") or ():
        found = _REQUIREMENT.match(text)
        if found is not None and "win32" not in text:
            wanted.setdefault(found[2] or "", []).append(found[1])
    missing = {extra: [name for name in names if not _is_installed(name)] for extra, names in wanted.items()}
    if missing[""]:
        yield fail(
            "packages", f"not installed: {', '.join(missing[''])}", "pip install --force-reinstall askback"
        )
    else:
        yield ok("packages", ", ".join(f"{name} {version(name)}" for name in wanted[""]))
    for extra in wanted:
        if not extra or extra == "dev":
            continue
        absent = missing[extra]
        if not absent:
            yield ok(f"extra {extra}", "installed")
        else:
            use = f", for {_USES[extra]}" if extra in _USES else ""
            lacks = f"not installed (lacks {', '.join(absent)}){use}: pip install 'askback[{extra}]'"
            yield ok(f"extra {extra}", lacks)


def _is_installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def _check_configuration(path: Path) -> Iterator[Finding]:
    """The profile file, and the environment variables that override it."""
    if not path.exists():
        yield ok("configuration", f"no file {path}")
    else:
        try:
            profiles, chosen = read_profiles(path)
        except click.UsageError as error:
            yield fail("configuration", error.message, "correct the file, or move it away")
            return
        names = ", ".join(sorted(profiles)) or "none"
        yield ok(
            "configuration", f"{path}: profiles {names}" + (f"; {chosen} unless named" if chosen else "")
        )
        readable = path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH)
        if readable and any("token" in settings for settings in profiles.values()):
            yield warn("configuration", f"{path} holds a token and others may read it", f"chmod 600 {path}")
    variables = ["group" if name == "groups" else name for name in CONNECTION_OPTIONS]
    given = [name for name in (f"ASKBACK_{name.upper()}" for name in variables) if os.environ.get(name)]
    if given:
        yield ok("environment", ", ".join(given))


def check_database(url: str) -> Finding:
    """Check that the database can be reached and has this version's schema. Needs the service."""
    try:
        service: Any = import_module("askback_server.__main__")
    except ModuleNotFoundError as error:
        lacks = f"cannot be looked at without the service (no module {error.name!r})"
        return fail("database", lacks, "pip install 'askback[server]'")
    problem, message = service.look_at_database(url)
    if not problem:
        return ok("database", message)
    if "recreate the database" in problem:
        return fail("database", problem, "drop it or remove the file, then askback migrate --db URL")
    if "askback migrate" in problem:
        return fail("database", problem, "askback migrate --db URL")
    return fail("database", problem, "see that it runs and that the URL is right")
