"""Database URLs as people have them, for the drivers that we use."""

from __future__ import annotations

import re

_SCHEMES = {
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "sqlite": "sqlite+aiosqlite",
}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9]*)(?=:)")
_RENAMED = {"sslmode": "ssl"}
"""libpq's parameters under asyncpg's names."""
_LEFT_OUT = frozenset({"application_name", "connect_timeout", "gssencmode", "channel_binding"})
"""What libpq's URLs may have and we set ourselves, or asyncpg does not know and does not need."""
_BY_ENVIRONMENT = {
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "options": "PGOPTIONS",
}


def driver_url(url: str) -> str:
    """The URL with our driver: `postgres://` and `postgresql://` are PostgreSQL, `sqlite://` is SQLite.

    `sslmode` and what else hosting services put into a URL becomes what the driver takes. Raises
    ValueError, without the URL in its text, for a parameter that cannot be given there.
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
    kept = [f"{_RENAMED.get(name, name)}={value}" for name, _, value in pairs if name not in _LEFT_OUT]
    return before + (mark + "&".join(kept) if kept else "")
