"""How programs tell what they did."""

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
    """One line, whole or not at all: a killed program leaves no half of one."""
    line = {"at": round(time.time(), 4), "event": event, **fields}
    os.write(1, json.dumps(line, default=str).encode() + b"\n")


def log_to_stderr() -> None:
    """The SDK's own log: shown when a test fails."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )


async def passes(gate: str) -> None:
    """Wait until the test opens the gate: until the file is there."""
    while not Path(gate).exists():  # noqa: ASYNC110 - there is nothing to wait for but a file
        await asyncio.sleep(0.01)
