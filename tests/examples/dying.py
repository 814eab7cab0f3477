"""A worker that is killed at a step: `python -m tests.examples.dying PROGRAM before|after KEY`.

It runs the program as it is. The step's function is called and, `after`, its checkpoint is committed;
then the process is gone, as by `kill -9` from outside.
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
    """As `Lease.send`, but for the one checkpoint."""
    this = name == "save_checkpoint" and request.key == KEY
    if this and MOMENT == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    reply = await send(lease, name, request)
    if this:
        os.kill(os.getpid(), signal.SIGKILL)
    return reply


Lease.send = send_or_die  # type: ignore[method-assign]
sys.path.insert(0, str(Path(PROGRAM).parent))
runpy.run_path(PROGRAM, run_name="__main__")
