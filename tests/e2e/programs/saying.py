"""How programs report their actions, and wait for a test."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any


def say(event: str, **fields: Any) -> None:
    """Write one line in one call: a killed program leaves no part of a line."""
    line = {"at": round(time.time(), 4), "event": event, **fields}
    os.write(1, json.dumps(line, default=str).encode() + b"\n")


def log_to_stderr() -> None:
    """Log to stderr, which the report of a failed test shows."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )


async def wait_for_gate(gate: str) -> None:
    """Wait until the test opens the gate, that is, creates the file."""
    while not Path(gate).exists():  # noqa: ASYNC110 - there is nothing to wait for but a file
        await asyncio.sleep(0.01)
