"""A worker that is killed at a step: `python -m tests.examples.dying PROGRAM before|after KEY`.

It runs the program unchanged. After the function of the step has run, the process kills itself: with
`before`, before it sends the checkpoint, with `after`, once the checkpoint is committed.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
from pathlib import Path
from typing import Any

from askback._worker.lease import Lease

PROGRAM, MOMENT, KEY = sys.argv[1:]
send = Lease.send


async def send_or_die(lease: Lease, name: str, request: Any) -> Any:
    """Send a request as `Lease.send` does, and die at the checkpoint of the step."""
    is_the_checkpoint = name == "save_checkpoint" and request.key == KEY
    if is_the_checkpoint and MOMENT == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    reply = await send(lease, name, request)
    if is_the_checkpoint:
        os.kill(os.getpid(), signal.SIGKILL)
    return reply


Lease.send = send_or_die  # type: ignore[method-assign]
sys.path.insert(0, str(Path(PROGRAM).parent))
runpy.run_path(PROGRAM, run_name="__main__")
