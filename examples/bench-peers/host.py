"""Runs one system in a process of its own, with the Python of that system's environment.

`run.py` starts it, and writes one JSON line for each turn to its standard input. The reply is one JSON line:
what was measured, or `{"error": ...}`, after which the process ends.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any, TextIO

from loops import Sizes, measure_turn
from peers.peer import Peer, Settings


def main() -> None:
    """Serve turns until the input ends."""
    module, given = sys.argv[1], json.loads(sys.argv[2])
    settings = Settings(Path(given["folder"]), given["database"], given["program"])
    # Libraries may print. Only replies go to the real standard output.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    # As the client of `make bench` does: garbage is collected rarely, and only what comes from now on.
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(_load(module, settings), replies))


def _load(module: str, settings: Settings) -> Peer:
    found: Peer = importlib.import_module(f"peers.{module}").System(settings)
    return found


def _loop_factory() -> Any:
    """The event loop: uvloop if it is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _serve(peer: Peer, replies: TextIO) -> None:
    def reply(value: dict[str, Any]) -> None:
        print(json.dumps(value), file=replies, flush=True)

    loop = asyncio.get_running_loop()
    try:
        await peer.start()
        reply({"started": True})
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            turn = await measure_turn(peer, Sizes(**json.loads(line)))
            reply(turn.as_json())
    except Exception as error:
        traceback.print_exc()
        reply({"error": _reason(error)})
    finally:
        await peer.stop()


def _reason(error: Exception) -> str:
    """An error in one line. Of a group of errors, those of 64 lanes, the first one."""
    if isinstance(error, ExceptionGroup):
        return _reason(error.exceptions[0])
    return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    main()
