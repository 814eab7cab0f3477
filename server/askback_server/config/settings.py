"""The table of settings. Flags, variables, keys of the file, help and docs are derived from it.

`sources.py` reads the values.
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
from askback_server.config.by_name import SHORT_RETENTION, job_retention, pairs, running_limits
from askback_server.database_urls import driver_url
from askback_server.domain.limits import Limits


class ConfigError(ValueError):
    """A setting is wrong. The message names it, where it was set, and what would be right."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting without its value."""

    name: str
    default: str | bool | int | float
    help: str
    metavar: str = ""
    within: tuple[float, float] | None = None
    """The smallest and the largest value."""
    choices: tuple[str, ...] = ()
    by_name: Callable[[str], Mapping[str, object]] | None = None
    """Parses a setting that has values by name. Raises ValueError."""

    @property
    def kind(self) -> type:
        """str, bool, int or float."""
        return type(self.default)

    @property
    def flag(self) -> str:
        """The flag of the command line, for example `--lease-ttl`."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """The environment variable: ASKBACK_ and the name in capitals."""
        return f"ASKBACK_{self.name.upper()}"

    @property
    def wants(self) -> str:
        """The allowed values, as the end of a sentence with `must be`."""
        if self.choices:
            return f"{', '.join(self.choices[:-1])} or {self.choices[-1]}"
        if self.within is not None:
            low, high = self.within
            return f"between {low:.10g} and {high:.10g}"
        return {bool: "true or false", str: "a text"}[self.kind]

    def allows(self, value: Any) -> bool:  # any of the kinds
        """Whether a value of the right kind is allowed."""
        if self.within is not None:
            return bool(self.within[0] <= value <= self.within[1])  # False for NaN too
        return not self.choices or value in self.choices


def _setting(default: str | bool | int | float, help: str, **more: Any) -> Any:  # as dataclasses.field
    return dataclasses.field(default=default, metadata={"help": help, **more})


@dataclass(frozen=True, slots=True)
class Config:
    """The settings of `askback serve`. Times are in seconds."""

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
    web: str = _setting(
        "",
        "An address for the web page, on plain HTTP. Only on loopback without --auth.",
        metavar="HOST:PORT",
    )
    web_origin: str = _setting(
        "",
        "Where browsers see the page, such as https://askback.example. By default the address of --web.",
        metavar="ORIGIN",
    )
    web_session_keys: str = _setting(
        "",
        "Keys that seal the page's sessions. Without them people sign in again after a restart.",
        metavar="FILE",
    )
    signing_keys: str = _setting(
        "",
        "Keys that sign the checkpoints of the audit, and receipts. Without them nothing is signed.",
        metavar="FILE",
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
        by_name=job_retention,
    )
    exclude_requester: str = _setting(
        "", "Namespaces in which who asks may not answer; '*': all.", metavar="NAMESPACE,…"
    )
    rules_need_approval: str = _setting(
        "", "Groups that approve changes of rules, by namespace.", metavar="NAME=GROUP,…", by_name=pairs
    )
    allow_override: str = _setting(
        "",
        "Namespaces in which admins may override a prompt's exclusion and approval; '*': all.",
        metavar="NAMESPACE,…",
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
    overview_days: int = _setting(
        400, "Days for which the hourly figures of the overview are kept.", within=(31, 3_660)
    )
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
    hot_jobs_bytes: int = _setting(
        48 * 1024 * 1024,
        "Bytes of jobs kept in memory: those used in the last minute, or the newest that fit.",
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
        """The host to listen on."""
        return address(with_port(self.listen))[0]

    def validate(self, places: Mapping[str, str] | None = None) -> Config:
        """The settings with the port and the database driver filled in. Raises ConfigError.

        `places` has by name where a value was set, for messages; the default is the flag.
        """

        def at(name: str) -> str:
            shown = mask_password(self.db) if name == "db" else getattr(self, name)
            return (places or {}).get(name) or f"{SETTINGS[name].flag} {shown}"

        given = {"listen": with_port(self.listen)}
        given |= {name: getattr(self, name) for name in ("health_listen", "metrics_listen", "web")}
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
        if self.web and not is_loopback(address(self.web)[0]):
            if not self.auth:
                raise ConfigError(
                    f"{at('web')} can be reached from outside, and no authentication is set: "
                    "give --auth TOKENFILE, or an address on 127.0.0.1"
                )
            if not self.web_origin:
                raise ConfigError(
                    f"{at('web')} can be reached from outside: say with --web-origin where browsers see the "
                    "page, for example https://askback.example"
                )
        if self.web_origin and not self.auth:
            raise ConfigError(f"{at('web_origin')} makes the page public: give --auth TOKENFILE too")
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
        for name, kept in job_retention(self.retention).items():
            if kept < SHORT_RETENTION and not self.allow_short_retention:
                raise ConfigError(
                    f"{at('retention')}: {name} would be kept for {kept.total_seconds():g} s only, jobs and "
                    "answers; give 1h or more, or --allow-short-retention"
                )
        for name in ("auth", "tls_cert", "tls_key", "tls_client_ca", "web_session_keys", "signing_keys"):
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
        """The limits of running jobs, by `TYPE` or `NAMESPACE:TYPE`."""
        return running_limits(self.concurrency)

    @property
    def limits(self) -> Limits:
        """The limits of the service."""
        return Limits(
            retention=job_retention(self.retention),
            requester_excluded=_names(self.exclude_requester),
            override_allowed=_names(self.allow_override),
            rule_approvers=pairs(self.rules_need_approval),
        )

    @property
    def name(self) -> str:
        """The name of the replica: the setting, else host and process id."""
        return self.replica or f"{socket.gethostname()}-{os.getpid()}"


SETTINGS: Mapping[str, Setting] = MappingProxyType(
    {f.name: Setting(f.name, f.default, **f.metadata) for f in dataclasses.fields(Config)}  # type: ignore[arg-type]
)
"""All settings by name, in the order of help and docs."""


def _names(listed: str) -> frozenset[str]:
    """The names of a list with commas."""
    return frozenset(filter(None, (name.strip() for name in listed.split(","))))


def mask_password(url: str) -> str:
    """A database URL without its passwords, for people and logs."""
    url = re.sub(r"(?i)([?&][^=&]*(?:pass|secret)[^=&]*=)[^&]*", r"\1***", url)
    return re.sub(r"^([^:/]+://[^:/@]*):.*@", r"\1:***@", url, flags=re.DOTALL)
