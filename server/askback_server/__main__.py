"""Runs and migrates the service: `python -m askback_server` and `askback serve` call `serve`."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from askback_server.allocator import give_memory_back
from askback_server.config.settings import ConfigError
from askback_server.config.sources import database_url, effective
from askback_server.domain.errors import AskbackError
from askback_server.lifecycle import run_until_signal
from askback_server.storage.migrate import WAIT_SECONDS, begin_history_after_restore, describe, upgrade
from askback_server.structured_logs import configure, log_uncaught_errors

_log = logging.getLogger("askback.server")


def serve(flags: Mapping[str, Any]) -> int:
    """Serve with these settings until a signal. Returns the exit code; errors go to stderr.

    With `print_config` in the flags it prints the settings instead.
    """
    try:
        settings = effective({name: value for name, value in flags.items() if name != "print_config"})
    except ConfigError as error:
        # The settings are unknown, except for the format of the log.
        if (flags.get("log_format") or os.environ.get("ASKBACK_LOG_FORMAT")) == "json":
            configure("json", "INFO")
            _log.critical("cannot start: %s", error)
        else:
            print(f"askback: {error}", file=sys.stderr)
        return 2
    if flags.get("print_config"):
        print(settings.as_toml(), end="")
        return 0
    config = settings.config
    configure(config.log_format, config.log_level)
    log_uncaught_errors()
    give_memory_back()
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(run_until_signal(config))
    except (AskbackError, ValueError, RuntimeError, OSError) as error:
        if config.log_format == "json":
            _log.critical("cannot start: %s", error)
        else:
            print(f"askback: cannot start: {error}", file=sys.stderr)
        return 1


def migrate(flags: Mapping[str, Any]) -> int:
    """Migrate the database to the schema of this version. Returns the exit code; errors go to stderr.

    Flags: `wait` (seconds to wait for locks), `after_restore` (reject resume tokens from before a restore).
    """
    own = {"wait", "after_restore"}
    try:
        url = database_url({name: value for name, value in flags.items() if name not in own})
        wait = flags.get("wait")
        before, after = upgrade(url, wait=WAIT_SECONDS if wait is None else wait)
        if flags.get("after_restore"):
            begin_history_after_restore(url)
            print("consoles will read all open prompts again")
    except ConfigError as error:
        print(f"askback: {error}", file=sys.stderr)
        return 2
    except (AskbackError, ValueError) as error:
        print(f"askback: {error}", file=sys.stderr)
        return 1
    print(f"schema: version {after}" if before == after else f"schema: version {before or 'none'} → {after}")
    print("the schema is up to date")
    return 0


def look_at_database(url: str) -> tuple[str, str]:
    """The problem with a database, empty if there is none, and a description of it."""
    try:
        return "", describe(database_url({"db": url}))
    except (AskbackError, ValueError) as error:
        return str(error), ""


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The loop factory of uvloop if it is installed: 10 to 20 % more round trips. None for the default."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


if __name__ == "__main__":
    sys.exit(serve({}))
