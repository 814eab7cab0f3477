"""What a page needs to run: a folder, a server, and an environment without this machine's settings."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import pytest

from askback.cli.profiles import read_profiles
from askback.cli.rules.spec_file import read_spec
from askback.cli.web import read_settings, web
from askback_server.config.settings import Config
from askback_server.config.sources import load
from askback_server.lifecycle import Service
from askback_server.transport.tokens import TokenFile
from tests.docs.playing import Playing


@pytest.fixture
async def playing(
    tmp_path: Path, migrated_file: Path, forked_commands: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Playing]:
    """A page that can be played; its server runs in this process on a fresh SQLite file."""
    with closing(sqlite3.connect(migrated_file)) as source, closing(sqlite3.connect(tmp_path / "db")) as copy:
        source.backup(copy)
    config = Config(listen="127.0.0.1:0", db=f"sqlite+aiosqlite:///{tmp_path / 'db'}", drain_grace=1)
    folder = tmp_path / "page"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("ASKBACK_")]:
        monkeypatch.delenv(name)
    async with Service(config) as service:
        for name, value in {
            "ASKBACK_SERVER": f"127.0.0.1:{service.port}",
            "GRPC_VERBOSITY": "NONE",
            "HOME": str(tmp_path),
            "NO_COLOR": "1",
            "PATH": os.pathsep.join(
                [str(forked_commands), str(Path(sys.executable).parent), os.environ["PATH"]]
            ),
            "XDG_CONFIG_HOME": str(tmp_path / "config"),
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(folder)
        yield Playing(folder, os.environ, loaders())


def read_web_settings(path: Path) -> None:
    """Read a file of settings as `askback web --config` does."""
    context = click.Context(web, info_name="web")
    read_settings(context, web.params[-1], str(path))


RULES = ("ls.toml", "small.toml", "large.toml", "window.toml")
"""Files with a rule."""


def loaders() -> dict[str, Any]:
    """The product's reader of each settings file that the pages show."""
    return {
        "askback.toml": lambda path: load({"config": str(path)}, {}),
        "config.toml": read_profiles,
        "pyproject.toml": Path.read_text,
        "tokens.toml": TokenFile,
        "web.toml": read_web_settings,
        **dict.fromkeys(RULES, lambda path: read_spec(str(path))),
    }
