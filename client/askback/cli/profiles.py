"""The configuration file of the command line: profiles, each with a server and the caller's identity.

The file is `askback/config.toml` under XDG_CONFIG_HOME (`~/.config`):

    profile = "work"              # the default profile

    [profiles.work]
    server = "askback.example:443"
    token = "…"
    tls = true
    ca = "ca.pem"                 # beside this file, or an absolute path
    namespace = "payments"
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

DEFAULT_SERVER = "127.0.0.1:50051"
_TEXTS = ("server", "token", "user", "namespace", "ca", "cert", "key")
_FILES = ("ca", "cert", "key")


def config_file() -> Path:
    """The path of the configuration file."""
    home = os.environ.get("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / "askback" / "config.toml"


def profile_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the profile that `given` names, or of the file's default profile.

    The default profile is ignored if `given` names another server: its token is for its own server only.
    """
    path, name = config_file(), given.get("profile")
    if name is None and not path.is_file():
        return {}
    profiles, chosen = read_profiles(path)
    if name is None:
        if chosen is None:
            return {}
        settings = profiles[chosen]
        server = settings.get("server", DEFAULT_SERVER)
        return {**settings, "profile": chosen} if given.get("server", server) == server else {}
    if name not in profiles:
        known = ", ".join(sorted(profiles)) or "none"
        raise click.UsageError(f"there is no profile {name!r} in {path} (it has: {known})")
    return profiles[name]


def read_profiles(path: Path) -> tuple[dict[str, dict[str, Any]], str | None]:
    """The profiles of a file, and the name of its default profile, if any. Raises click.UsageError."""
    import tomllib

    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}, None
    except OSError as error:
        from askback._text.files import file_problem

        raise click.UsageError(file_problem(path, error)) from None
    except ValueError as error:
        raise click.UsageError(f"{path}: {error}") from None
    profiles = document.get("profiles", {})
    if not isinstance(profiles, dict) or set(document) - {"profile", "profiles"}:
        raise click.UsageError(f"{path}: it may hold `profile` and tables [profiles.NAME]")
    for name, settings in profiles.items():
        for key, value in settings.items() if isinstance(settings, dict) else [(name, settings)]:
            if not _fits(key, value):
                raise click.UsageError(
                    f"{path}: profiles.{name}: {key} does not belong there, or is of another type; "
                    f"there are {', '.join(_TEXTS)} (texts), groups (a list of texts) and tls (true or false)"
                )
    chosen = document.get("profile")
    if chosen is not None and chosen not in profiles:
        raise click.UsageError(f"{path}: profile = {chosen!r}, but there is no [profiles.{chosen}]")
    return {name: _resolve_paths(path, settings) for name, settings in profiles.items()}, chosen


def _fits(key: str, value: object) -> bool:
    if key in _TEXTS:
        return isinstance(value, str)
    if key == "groups":
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    return key == "tls" and isinstance(value, bool)


def _resolve_paths(path: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with file names relative to the configuration file, and groups as a tuple."""
    placed = {
        key: str(path.parent / Path(value).expanduser()) if key in _FILES else value
        for key, value in settings.items()
    }
    return {**placed, "groups": tuple(placed["groups"])} if "groups" in placed else placed
