"""Where settings come from: flags over the environment over a TOML file over defaults."""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from askback._text.files import file_problem
from askback_server.config.by_name import joined
from askback_server.config.settings import SETTINGS, Config, ConfigError, Setting, masked

FILE_VARIABLE = "ASKBACK_CONFIG"
OF_CLIENTS = frozenset(
    f"ASKBACK_{name}"
    for name in (
        "SERVER",
        "TOKEN",
        "USER",
        "GROUP",
        "NAMESPACE",
        "TLS",
        "CA",
        "CERT",
        "KEY",
        "PROFILE",
        "TIMEOUT",
    )
)
"""Variables that programs and the command line read, and the server does not."""
_SWITCHES = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False, "": False}


@dataclass(frozen=True, slots=True)
class Effective:
    """The settings in force, and the origin of each by its name: a flag, a variable, a file or `default`."""

    config: Config
    origins: Mapping[str, str]

    def as_toml(self) -> str:
        """The settings as a file that `--config` takes, origins as comments, passwords masked."""
        values = {name: getattr(self.config, name) for name in SETTINGS}
        values["db"] = masked(self.config.db)
        # A JSON text is a TOML text too, and so are its numbers and its true and false.
        lines = {f"{n} = {json.dumps(v, ensure_ascii=False)}": self.origins[n] for n, v in values.items()}
        width = max(map(len, lines))
        return "".join(f"{line:<{width}}  # {origin}\n" for line, origin in lines.items())


def load(flags: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> Config:
    """The settings in force. Raises ConfigError."""
    return effective(flags, environment).config


def effective(flags: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> Effective:
    """The settings in force and where they come from. Raises ConfigError.

    `flags` are by the settings' names, None where one was not given; `config` among them, or
    ASKBACK_CONFIG in the environment, names a TOML file.
    """
    given = _given(flags, environment)
    config = Config(**given.values).checked(given.places)
    return Effective(config, {name: given.origins.get(name, "default") for name in SETTINGS})


def database_url(flags: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> str:
    """The database alone: who migrates it needs neither the tokens nor the certificates of those who
    serve. Raises ConfigError."""
    given = _given(flags, environment)
    return Config(db=given.values.get("db", Config().db)).checked(given.places).db


def token_file(flags: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> str:
    """The path of the token file alone; empty if none is set. Raises ConfigError."""
    found: str = _given(flags, environment).values.get("auth", "")
    return found


@dataclass(frozen=True, slots=True)
class _Given:
    """The settings that are not left to their defaults."""

    values: dict[str, Any]
    origins: dict[str, str]
    places: dict[str, str]
    """What an error calls each: where it stands, with its value."""


def _given(flags: Mapping[str, Any], environment: Mapping[str, str] | None) -> _Given:
    environment = os.environ if environment is None else environment
    _refuse_misspelt(environment)
    path = flags.get("config") or environment.get(FILE_VARIABLE) or ""
    written = _file(path) if path else {}
    if unknown := set(flags) - set(SETTINGS) - {"config"}:
        raise ConfigError(f"unknown settings: {', '.join(sorted(unknown))}")
    found = _Given({}, {}, {})
    for name, setting in SETTINGS.items():
        if (value := flags.get(name)) is not None:
            origin, place = setting.flag, f"{setting.flag} {_shown(setting, value)}"
        elif (text := environment.get(setting.variable)) is not None:
            origin, place = setting.variable, f"{setting.variable}={_shown(setting, text)!r}"
            value = _parsed(setting, text, place)
        elif name in written:
            origin, place = path, f"{path}: {name} = {_shown(setting, written[name])!r}"
            value = _typed(setting, written[name], place)
        else:
            continue
        if not setting.takes(value):
            raise ConfigError(f"{place} must be {setting.wants}")
        found.values[name], found.origins[name], found.places[name] = value, origin, place
    return found


def _refuse_misspelt(environment: Mapping[str, str]) -> None:
    """Raise ConfigError for a variable that is most likely a setting's, misspelt.

    Others that begin alike are let be: Kubernetes sets ASKBACK_SERVICE_HOST and more beside a service that
    is called askback.
    """
    known = {setting.variable: setting.variable.replace("_", "") for setting in SETTINGS.values()}
    known[FILE_VARIABLE] = FILE_VARIABLE.replace("_", "")
    bare = {squeezed: variable for variable, squeezed in known.items()}
    for name in sorted(environment):
        if not name.startswith("ASKBACK_") or name in known or name in OF_CLIENTS:
            continue
        near = difflib.get_close_matches(name.replace("_", ""), bare, 1, 0.87)
        if near:
            raise ConfigError(f"{name} in the environment is not a setting; did you mean {bare[near[0]]}?")


def _file(path: str) -> Mapping[str, Any]:
    """What a file sets. Raises ConfigError for one that cannot be read, or sets what there is not."""
    try:
        written = tomllib.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"the settings' file {file_problem(path, error)}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"the settings' file {path} is not TOML: {error}") from None
    for key in written:
        if key not in SETTINGS:
            near = difflib.get_close_matches(key.replace("-", "_"), SETTINGS, 1)
            hint = f"did you mean {near[0]}?" if near else "`askback serve --print-config` lists them all"
            raise ConfigError(f"{path}: {key} is not a setting; {hint}")
    return written


def _parsed(setting: Setting, text: str, where: str) -> Any:
    try:
        return _SWITCHES[text.lower()] if setting.kind is bool else setting.kind(text)
    except (KeyError, ValueError):
        raise ConfigError(f"{where} must be {_kind_and_range(setting)}") from None


def _typed(setting: Setting, value: Any, where: str) -> Any:
    """A file's value, which must have the setting's own type; a whole number is a number too."""
    if setting.kind is float and type(value) is int:
        return float(value)
    if setting.by_name is not None and isinstance(value, dict):
        try:
            return joined(value)
        except ValueError as error:
            raise ConfigError(f"{where}: {error}") from None
    if type(value) is not setting.kind:
        raise ConfigError(f"{where} must be {_kind_and_range(setting)}")
    return value


def _kind_and_range(setting: Setting) -> str:
    number = {int: "a whole number ", float: "a number "}.get(setting.kind, "")
    return number + setting.wants


def _shown(setting: Setting, value: Any) -> Any:
    """A value as an error may show it: without a password."""
    return masked(value) if setting.name == "db" and isinstance(value, str) else value
