"""`python -m askback_server`: the service's own entrance; `askback serve` calls the same."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Mapping
from typing import Any

from askback_server.allocator import give_memory_back
from askback_server.config.settings import ConfigError
from askback_server.config.sources import database_url, effective
from askback_server.domain.errors import AskbackError
from askback_server.lifecycle import run_until_signal
from askback_server.storage.migrate import WAIT, begin_history_after_restore, describe, upgrade
from askback_server.structured_logs import configure, log_the_uncaught

_log = logging.getLogger("askback.server")


def serve(flags: Mapping[str, Any]) -> int:
    """Serve with these settings until a signal. Returns the exit code; errors go to stderr.

    With `print_config` among the flags the settings are printed instead.
    """
    try:
        settings = effective({name: value for name, value in flags.items() if name != "print_config"})
    except ConfigError as error:
        # The settings are not known; what was said of the format is.
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
    log_the_uncaught()
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
    """Bring the database to this version's schema. Returns the exit code; errors go to stderr.

    `wait`: seconds to wait for locks; `after_restore`: refuse resume tokens from before a restore.
    """
    own = {"wait", "after_restore"}
    try:
        url = database_url({name: value for name, value in flags.items() if name not in own})
        wait = flags.get("wait")
        before, after = upgrade(url, wait=WAIT if wait is None else wait)
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
    """What is wrong with a database, and what was seen; the first is empty if nothing is wrong."""
    try:
        return "", describe(database_url({"db": url}))
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
