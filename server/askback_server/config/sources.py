"""Reads settings: from flags, else the environment, else a TOML file, else the default."""

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
from askback_server.config.by_name import join_pairs
from askback_server.config.settings import SETTINGS, Config, ConfigError, Setting, mask_password

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
"""Variables of clients and of the command line, which the server does not read."""
OF_GATEWAYS = frozenset(
    f"ASKBACK_WEB_{name}"
    for name in (
        "CONFIG",
        "DRAIN_GRACE",
        "DRAIN_SPREAD",
        "DRAIN_WAIT",
        "LISTEN",
        "METRICS_LISTEN",
        "NAMES",
        "PUBLIC_ORIGIN",
        "TLS_CERT",
        "TLS_KEY",
    )
)
"""Variables of `askback web`, which the server does not read either. Both read ASKBACK_WEB_SESSION_KEYS."""
_SWITCHES = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False, "": False}


@dataclass(frozen=True, slots=True)
class Effective:
    """Settings, and the origin of each by name: a flag, a variable, a file or `default`."""

    config: Config
    origins: Mapping[str, str]

    def as_toml(self) -> str:
        """The settings as a file for `--config`, with origins as comments and without passwords."""
        values = {name: getattr(self.config, name) for name in SETTINGS}
        values["db"] = mask_password(self.config.db)
        # JSON strings, numbers, true and false are valid TOML.
        lines = {f"{n} = {json.dumps(v, ensure_ascii=False)}": self.origins[n] for n, v in values.items()}
        width = max(map(len, lines))
        return "".join(f"{line:<{width}}  # {origin}\n" for line, origin in lines.items())


def load(flags: Mapping[str, object], environment: Mapping[str, str] | None = None) -> Config:
    """The settings. Raises ConfigError."""
    return effective(flags, environment).config


def effective(flags: Mapping[str, object], environment: Mapping[str, str] | None = None) -> Effective:
    """The settings and their origins. Raises ConfigError.

    `flags` has values by name, None for a flag that was not given. `config` in it, or ASKBACK_CONFIG in the
    environment, names a TOML file.
    """
    given = _collect(flags, environment)
    config = Config(**given.values).validate(given.places)
    return Effective(config, {name: given.origins.get(name, "default") for name in SETTINGS})


def database_url(flags: Mapping[str, object], environment: Mapping[str, str] | None = None) -> str:
    """Only the database URL: a migration needs no files of tokens and certificates. Raises ConfigError."""
    given = _collect(flags, environment)
    return Config(db=given.values.get("db", Config().db)).validate(given.places).db


def token_file(flags: Mapping[str, object], environment: Mapping[str, str] | None = None) -> str:
    """Only the path of the token file; empty if none is set. Raises ConfigError."""
    found: str = _collect(flags, environment).values.get("auth", "")
    return found


@dataclass(frozen=True, slots=True)
class _Collected:
    """The settings that were set."""

    values: dict[str, Any]  # of the kind of each setting
    origins: dict[str, str]
    places: dict[str, str]
    """Where each was set, with its value, for errors."""


def _collect(flags: Mapping[str, object], environment: Mapping[str, str] | None) -> _Collected:
    environment = os.environ if environment is None else environment
    _refuse_misspelt(environment)
    path = str(flags.get("config") or environment.get(FILE_VARIABLE) or "")
    written = _file(path) if path else {}
    if unknown := set(flags) - set(SETTINGS) - {"config"}:
        raise ConfigError(f"unknown settings: {', '.join(sorted(unknown))}")
    found = _Collected({}, {}, {})
    for name, setting in SETTINGS.items():
        if (value := flags.get(name)) is not None:
            origin, place = setting.flag, f"{setting.flag} {_mask(setting, value)}"
        elif (text := environment.get(setting.variable)) is not None:
            origin, place = setting.variable, f"{setting.variable}={_mask(setting, text)!r}"
            value = _parse(setting, text, place)
        elif name in written:
            origin, place = path, f"{path}: {name} = {_mask(setting, written[name])!r}"
            value = _check_type(setting, written[name], place)
        else:
            continue
        if not setting.allows(value):
            raise ConfigError(f"{place} must be {setting.wants}")
        found.values[name], found.origins[name], found.places[name] = value, origin, place
    return found


def _refuse_misspelt(environment: Mapping[str, str]) -> None:
    """Raise ConfigError for a variable that is probably a misspelt setting.

    Others with the prefix are ignored: for a service named askback Kubernetes sets ASKBACK_SERVICE_HOST and
    more.
    """
    known = {setting.variable: setting.variable.replace("_", "") for setting in SETTINGS.values()}
    known[FILE_VARIABLE] = FILE_VARIABLE.replace("_", "")
    bare = {squeezed: variable for variable, squeezed in known.items()}
    for name in sorted(environment):
        if not name.startswith("ASKBACK_") or name in known or name in OF_CLIENTS | OF_GATEWAYS:
            continue
        near = difflib.get_close_matches(name.replace("_", ""), bare, 1, 0.87)
        if near:
            raise ConfigError(f"{name} in the environment is not a setting; did you mean {bare[near[0]]}?")


def _file(path: str) -> Mapping[str, object]:
    """The settings of a file. Raises ConfigError if it cannot be read or has unknown settings."""
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


def _parse(setting: Setting, text: str, where: str) -> object:
    try:
        return _SWITCHES[text.lower()] if setting.kind is bool else setting.kind(text)
    except (KeyError, ValueError):
        raise ConfigError(f"{where} must be {_kind_and_range(setting)}") from None


def _check_type(setting: Setting, value: object, where: str) -> Any:
    """A value of the file, which must have the type of the setting; an integer is a valid float."""
    if setting.kind is float and type(value) is int:
        return float(value)
    if setting.by_name is not None and isinstance(value, dict):
        try:
            return join_pairs(value)
        except ValueError as error:
            raise ConfigError(f"{where}: {error}") from None
    if type(value) is not setting.kind:
        raise ConfigError(f"{where} must be {_kind_and_range(setting)}")
    return value


def _kind_and_range(setting: Setting) -> str:
    number = {int: "a whole number ", float: "a number "}.get(setting.kind, "")
    return number + setting.wants


def _mask(setting: Setting, value: object) -> object:
    """A value without a password, for errors."""
    return mask_password(value) if setting.name == "db" and isinstance(value, str) else value
