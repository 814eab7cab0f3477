"""Settings of a replica, each in one place: flags, environment, file, help and docs come from this table.

A value comes from the command's flags, else the environment, else a TOML file, else the default; a wrong
one is refused with where it stands and what would be right (`sources.py`).
"""

from __future__ import annotations

import dataclasses
import os
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType
from typing import Any

from askback._text.files import unreadable
from askback_server.addresses import address, is_address, is_loopback, overlap, with_port
from askback_server.config.by_name import SHORT_RETENTION, ended_retention, running_limits
from askback_server.database_urls import driver_url
from askback_server.domain.limits import Limits


class ConfigError(ValueError):
    """A setting is wrong; the message names it and says what would be right."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What is known of one setting besides its value."""

    name: str
    default: str | bool | int | float
    help: str
    metavar: str = ""
    within: tuple[float, float] | None = None
    """The least and the greatest value."""
    choices: tuple[str, ...] = ()
    by_name: Callable[[str], Mapping[str, Any]] | None = None
    """For a setting of values by name: what reads its text, and raises ValueError."""

    @property
    def kind(self) -> type:
        """str, bool, int or float."""
        return type(self.default)

    @property
    def flag(self) -> str:
        """`--lease-ttl`."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """`ASKBACK_LEASE_TTL`."""
        return f"ASKBACK_{self.name.upper()}"

    @property
    def wants(self) -> str:
        """What would be right, to follow `must be`."""
        if self.choices:
            return f"{', '.join(self.choices[:-1])} or {self.choices[-1]}"
        if self.within is not None:
            low, high = self.within
            return f"between {low:.10g} and {high:.10g}"
        return {bool: "true or false", str: "a text"}[self.kind]

    def takes(self, value: Any) -> bool:
        """Whether a value of the right kind is one of those allowed."""
        if self.within is not None:
            return bool(self.within[0] <= value <= self.within[1])  # False for what is not a number too
        return not self.choices or value in self.choices


def _setting(default: str | bool | int | float, help: str, **more: Any) -> Any:
    return dataclasses.field(default=default, metadata={"help": help, **more})


@dataclass(frozen=True, slots=True)
class Config:
    """What `askback serve` needs. Times are seconds."""

    listen: str = _setting(
        "127.0.0.1:50051", "The address to listen on; port 50051 by default.", metavar="HOST[:PORT]"
    )
    db: str = _setting(
        "sqlite+aiosqlite:///askback.db",
        "Database URL: sqlite:///FILE or postgresql://USER@HOST/NAME.",
        metavar="URL",
    )
    auth: str = _setting(
        "", "File of hashed tokens. Without it, the server listens only on loopback.", metavar="FILE"
    )
    tls_cert: str = _setting(
        "",
        "Certificate chain (PEM). With it every call needs TLS. Reloaded when it changes.",
        metavar="FILE",
    )
    tls_key: str = _setting("", "The certificate's private key (PEM), not encrypted.", metavar="FILE")
    tls_client_ca: str = _setting(
        "",
        "Certificate authorities (PEM). With it every client needs a certificate from one of them.",
        metavar="FILE",
    )
    health_listen: str = _setting(
        "", "A second address, without TLS or tokens, for health checks only.", metavar="HOST:PORT"
    )
    metrics_listen: str = _setting(
        "",
        "An address for Prometheus, over plain HTTP. Metrics are disabled unless set.",
        metavar="HOST:PORT",
    )
    replica: str = _setting("", "This replica's name. By default host and process id.", metavar="NAME")
    migrate: bool = _setting(False, "Migrate PostgreSQL at start. SQLite is always migrated at start.")
    test_mode: bool = _setting(False, "Accept the answers of a test's scripted human. On loopback only.")
    lease_ttl: float = _setting(
        30.0,
        "Lease duration in seconds; workers send heartbeats every third of it.",
        within=(0.5, 3600),
    )
    heartbeat: float = _setting(15.0, "Seconds between heartbeats of consoles.", within=(0.1, 300))
    concurrency: str = _setting(
        "",
        "Running jobs over all replicas, by TYPE or NAMESPACE:TYPE. Must be the same on all replicas.",
        metavar="TYPE=N,…",
        by_name=running_limits,
    )
    retention: str = _setting(
        "",
        "How long ended jobs are kept, by STATE, NAMESPACE:STATE or default. Needs a unit: 30d, 1d12h.",
        metavar="STATE=TIME,…",
        by_name=ended_retention,
    )
    allow_short_retention: bool = _setting(
        False, "Allow a retention under 1 h: jobs and answers are deleted that soon after their end."
    )
    streams_per_connection: int = _setting(
        100,
        "Calls that one connection may have open at once; others wait, or open another connection.",
        within=(64, 100_000),
    )
    stream_age: float = _setting(
        2700.0,
        "Seconds after which a stream is asked to move, so that load reaches new replicas; ±20 %.",
        within=(1, 604_800),
    )
    sweep_interval: float = _setting(300.0, "Seconds between two clean-ups.", within=(0.1, 86_400))
    drain_wait: float = _setting(
        0.0,
        "Seconds from not being ready to asking streams to leave; 5 to 10 behind a load balancer.",
        within=(0, 600),
    )
    drain_spread: float = _setting(
        5.0,
        "Seconds over which streams are asked to leave, so that many clients do not come back at once.",
        within=(0, 600),
    )
    drain_grace: float = _setting(10.0, "Seconds that calls have to finish.", within=(0, 600))
    hot_jobs: int = _setting(50_000, "Maximum number of jobs kept in memory.", within=(100, 10_000_000))
    hot_jobs_bytes: int = _setting(
        256 * 1024 * 1024,
        "Bytes of jobs kept in memory: their texts, prompts and answers.",
        within=(1024 * 1024, 2**40),
    )
    batch: int = _setting(256, "Maximum number of commands in one commit.", within=(1, 2_000))
    queue: int = _setting(8_192, "Maximum number of commands that may wait.", within=(16, 1_000_000))
    log_format: str = _setting("text", "Format of log lines.", choices=("text", "json"))
    log_level: str = _setting(
        "INFO", "Lowest level that is logged.", choices=("DEBUG", "INFO", "WARNING", "ERROR")
    )

    @property
    def host(self) -> str:
        """The host that is listened on."""
        return address(with_port(self.listen))[0]

    def checked(self, places: Mapping[str, str] | None = None) -> Config:
        """The same settings, completed (port, database driver), if they make sense together. Raises
        ConfigError.

        `places` say, by a setting's name, where its value stands; without one it is called by its flag.
        """

        def at(name: str) -> str:
            shown = masked(self.db) if name == "db" else getattr(self, name)
            return (places or {}).get(name) or f"{SETTINGS[name].flag} {shown}"

        given = {"listen": with_port(self.listen)}
        given |= {name: getattr(self, name) for name in ("health_listen", "metrics_listen")}
        listened = {name: text for name, text in given.items() if text or name == "listen"}
        for name, text in listened.items():
            if not is_address(text):
                raise ConfigError(f"{at(name)} is not HOST:PORT, for example 127.0.0.1:50051")
        for name, other in combinations(listened, 2):
            if overlap(listened[name], listened[other]):
                raise ConfigError(
                    f"{at(other)} is where {SETTINGS[name].flag} listens too: choose another port"
                )
        if not self.auth and not is_loopback(self.host):
            raise ConfigError(
                f"{at('listen')} can be reached from outside, and no authentication is set: "
                "give --auth TOKENFILE, or listen on 127.0.0.1"
            )
        if self.test_mode and not is_loopback(self.host):
            raise ConfigError(
                f"{at('listen')} can be reached from outside, and --test-mode lets programs answer "
                "in people's place: listen on 127.0.0.1, or leave test mode"
            )
        for name, setting in SETTINGS.items():
            if setting.by_name is not None:
                try:
                    setting.by_name(getattr(self, name))
                except ValueError as error:
                    raise ConfigError(f"{at(name)}: {error}") from None
        for name, kept in ended_retention(self.retention).items():
            if kept < SHORT_RETENTION and not self.allow_short_retention:
                raise ConfigError(
                    f"{at('retention')}: {name} would be kept for {kept.total_seconds():g} s only, jobs and "
                    "answers; give 1h or more, or --allow-short-retention"
                )
        for name in ("auth", "tls_cert", "tls_key", "tls_client_ca"):
            path = getattr(self, name)
            if path and (problem := unreadable(path)):
                raise ConfigError(f"{at(name)}: {problem}")
        if bool(self.tls_cert) != bool(self.tls_key):
            alone, other = ("tls_cert", "--tls-key") if self.tls_cert else ("tls_key", "--tls-cert")
            raise ConfigError(f"{at(alone)} needs {other} too: give both, or neither")
        if self.tls_client_ca and not self.tls_cert:
            raise ConfigError(f"{at('tls_client_ca')} needs --tls-cert and --tls-key too")
        try:
            db = driver_url(self.db)
        except ValueError as error:
            raise ConfigError(f"{at('db')}: {error}") from None
        if not db.startswith(("sqlite+aiosqlite:///", "postgresql+asyncpg://")):
            raise ConfigError(
                f"{at('db')}: use sqlite+aiosqlite:///FILE or postgresql+asyncpg://USER@HOST/NAME"
            )
        return dataclasses.replace(self, db=db, listen=given["listen"])

    @property
    def queue_limits(self) -> Mapping[str, int]:
        """How many jobs run at once, by `TYPE` or `NAMESPACE:TYPE`."""
        return running_limits(self.concurrency)

    @property
    def limits(self) -> Limits:
        """The limits of the service."""
        return Limits(retention=ended_retention(self.retention))

    @property
    def name(self) -> str:
        """The replica's name: as set, else host and process."""
        return self.replica or f"{socket.gethostname()}-{os.getpid()}"


SETTINGS: Mapping[str, Setting] = MappingProxyType(
    {f.name: Setting(f.name, f.default, **f.metadata) for f in dataclasses.fields(Config)}  # type: ignore[arg-type]
)
"""Every setting by its name, in the order in which people are shown them."""


def masked(url: str) -> str:
    """A database's URL without its passwords, for people and logs."""
    url = re.sub(r"(?i)([?&][^=&]*(?:pass|secret)[^=&]*=)[^&]*", r"\1***", url)
    return re.sub(r"^([^:/]+://[^:/@]*):.*@", r"\1:***@", url, flags=re.DOTALL)
