"""`python -m askback_server`: the service's own entrance; `askback serve` calls the same."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from typing import Any

from askback_server.config import ConfigError, load
from askback_server.domain.errors import AskbackError
from askback_server.lifecycle import run_until_signal
from askback_server.storage.migrate import look, upgrade
from askback_server.structured_logs import configure
from askback_server.transport.tokens import BadTokenFile


def serve(flags: Mapping[str, Any]) -> int:
    """Serve with these settings until a signal. Returns the exit code; errors go to stderr."""
    try:
        config = load(flags)
    except ConfigError as error:
        print(f"askback: {error}", file=sys.stderr)
        return 2
    configure(config.log_format, config.log_level)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(run_until_signal(config))
    except (AskbackError, BadTokenFile, ValueError, RuntimeError, OSError) as error:
        print(f"askback: cannot start: {error}", file=sys.stderr)
        return 1


def migrate(flags: Mapping[str, Any]) -> int:
    """Bring the database to this version's schema. Returns the exit code."""
    try:
        url = load({"db": flags.get("db")}).db
        upgrade(url)
    except (AskbackError, ValueError) as error:
        print(f"askback: {error}", file=sys.stderr)
        return 1
    print("the schema is up to date")
    return 0


def look_at_database(url: str) -> tuple[str, str]:
    """What is wrong with a database, and what was seen; the first is empty if nothing is wrong."""
    try:
        return "", look(load({"db": url}).db)
    except (AskbackError, ValueError) as error:
        return str(error), ""


def _loop_factory() -> Any:
    """uvloop where it is installed: 10 to 20 % more round trips."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


if __name__ == "__main__":
    sys.exit(serve({}))
