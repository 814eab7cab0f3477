"""Settings of a replica: from flags, else the environment, else defaults. Wrong ones are refused."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from askback_server.domain.limits import Limits


class ConfigError(ValueError):
    """A setting is wrong; the message names it and says what would be right."""


@dataclass(frozen=True, slots=True)
class Config:
    """What `askback serve` needs. Times are seconds. Each field's environment variable is its name
    in capitals behind ASKBACK_: `lease_ttl` is ASKBACK_LEASE_TTL."""

    listen: str = "127.0.0.1:50051"
    db: str = "sqlite+aiosqlite:///askback.db"
    auth: str = ""
    """A token file. Empty: no authentication, on loopback only."""
    replica: str = ""
    migrate: bool = False
    """Migrate PostgreSQL at start (SQLite always is)."""
    test_mode: bool = False
    """Take the answers of scripted humans (see askback.testing). On loopback only."""
    lease_ttl: float = 30.0
    """A worker that is not heard for so long loses its jobs; it is heard three times as often."""
    heartbeat: float = 15.0
    """Of consoles' streams."""
    sweep_interval: float = 300.0
    drain_wait: float = 0.0
    """Between not being ready and asking streams to leave; 5 to 10 behind a load balancer."""
    drain_grace: float = 10.0
    hot_jobs: int = 50_000
    batch: int = 256
    queue: int = 8_192
    log_format: str = "text"
    log_level: str = "INFO"

    @property
    def host(self) -> str:
        """The host that is listened on."""
        return self.listen.rpartition(":")[0].strip("[]")

    def checked(self) -> Config:
        """Itself, if every setting makes sense. Raises ConfigError."""
        host, _, port = self.listen.rpartition(":")
        if not host or not port.isdigit() or int(port) > 65535:
            raise ConfigError(f"--listen {self.listen!r} is not HOST:PORT, for example 127.0.0.1:50051")
        if not self.auth and not _is_loopback(self.host):
            raise ConfigError(
                f"--listen {self.listen} can be reached from outside, and no authentication is set: "
                "give --auth TOKENFILE, or listen on 127.0.0.1"
            )
        if self.test_mode and not _is_loopback(self.host):
            raise ConfigError(
                f"--listen {self.listen} can be reached from outside, and --test-mode lets programs answer "
                "in people's place: listen on 127.0.0.1, or leave test mode"
            )
        if self.auth and not Path(self.auth).is_file():
            raise ConfigError(f"--auth {self.auth}: there is no such file")
        if not self.db.startswith(("sqlite+aiosqlite:///", "postgresql+asyncpg://")):
            raise ConfigError(
                f"--db {self.db!r}: use sqlite+aiosqlite:///FILE or postgresql+asyncpg://USER@HOST/NAME"
            )
        for name, low, high in (
            ("lease_ttl", 0.5, 3600),
            ("heartbeat", 0.1, 300),
            ("sweep_interval", 0.1, 86_400),
            ("drain_wait", 0, 600),
            ("drain_grace", 0, 600),
            ("hot_jobs", 100, 10_000_000),
            ("batch", 1, 2_000),
            ("queue", 16, 1_000_000),
        ):
            if not low <= getattr(self, name) <= high:
                flag = "--" + name.replace("_", "-")
                raise ConfigError(f"{flag} {getattr(self, name)} must be between {low} and {high}")
        if self.log_format not in ("text", "json"):
            raise ConfigError(f"--log-format {self.log_format!r} must be text or json")
        if self.log_level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
            raise ConfigError(f"--log-level {self.log_level!r} must be DEBUG, INFO, WARNING or ERROR")
        return self

    @property
    def limits(self) -> Limits:
        """The limits of the service."""
        return Limits()

    @property
    def name(self) -> str:
        """The replica's name: as set, else host and process."""
        return self.replica or f"{socket.gethostname()}-{os.getpid()}"


def load(flags: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> Config:
    """Settings from flags (those that are not None) over the environment over the defaults.

    Raises ConfigError.
    """
    environment = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    for field in fields(Config):
        given = flags.get(field.name)
        text = environment.get("ASKBACK_" + field.name.upper())
        if given is not None:
            values[field.name] = given
        elif text is not None:
            values[field.name] = _parsed(field.name, str(field.type), text)
    unknown = set(flags) - {field.name for field in fields(Config)}
    if unknown:
        raise ConfigError(f"unknown settings: {', '.join(sorted(unknown))}")
    return Config(**values).checked()


def _parsed(name: str, kind: str, text: str) -> Any:
    try:
        if kind == "bool":
            return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False, "": False}[
                text.lower()
            ]
        return {"float": float, "int": int, "str": str}[kind](text)
    except (KeyError, ValueError):
        raise ConfigError(f"ASKBACK_{name.upper()}={text!r} is not a {kind}") from None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
