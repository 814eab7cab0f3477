"""Converts the usual database URLs to URLs for our drivers."""

from __future__ import annotations

import re

_SCHEMES = {
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "sqlite": "sqlite+aiosqlite",
}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9]*)(?=:)")
_RENAMED = {"sslmode": "ssl"}
"""Names of libpq's parameters in asyncpg."""
_IGNORED = frozenset({"application_name", "connect_timeout", "gssencmode", "channel_binding"})
"""Parameters of libpq that we set ourselves, or that asyncpg neither knows nor needs."""
_BY_ENVIRONMENT = {
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "options": "PGOPTIONS",
}


def driver_url(url: str) -> str:
    """The URL with our driver: `postgres://` and `postgresql://` are PostgreSQL, `sqlite://` is SQLite.

    Parameters that hosting services add, such as `sslmode`, are converted for the driver. Raises ValueError,
    without the URL in its text, for a parameter that cannot be given in the URL.
    """
    if matched := _SCHEME.match(url):
        url = _SCHEMES.get(matched[1].lower(), matched[1]) + url[matched.end() :]
    if not url.startswith("postgresql+asyncpg:"):
        return url
    before, mark, query = url.partition("?")
    if not before.removeprefix("postgresql+asyncpg://").partition("/")[2]:
        raise ValueError("the URL names no database: write postgresql+asyncpg://USER@HOST/NAME")
    pairs = [part.partition("=") for part in query.split("&") if part]
    for name, _, value in pairs:
        if name in _BY_ENVIRONMENT:
            raise ValueError(f"{name} cannot be given in the URL: set {_BY_ENVIRONMENT[name]} instead")
        if name == "channel_binding" and value == "require":
            raise ValueError("the driver has no channel_binding=require: use sslmode=verify-full")
    converted = [f"{_RENAMED.get(name, name)}={value}" for name, _, value in pairs if name not in _IGNORED]
    return before + (mark + "&".join(converted) if converted else "")
