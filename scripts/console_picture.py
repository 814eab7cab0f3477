"""Draw docs/pictures/console.svg: the output of `askback inbox`, from a real server.

`python -m scripts.console_picture` starts a server on a free port, asks four questions, runs the commands in
a terminal of 100 columns, and writes their output as an SVG. Ids and times differ each time.
"""

from __future__ import annotations

import asyncio
import fcntl
import io
import os
import pty
import re
import struct
import sys
import tempfile
import termios
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, Field
from rich.console import Console
from rich.text import Text

from askback import Client, Content
from askback_server.config.settings import Config
from askback_server.lifecycle import Service

WIDTH = 100
PICTURE = Path(__file__).resolve().parents[1] / "docs" / "pictures" / "console.svg"
NOTES = """\
--- 1.3.0
+++ 1.4.0
@@ -1,2 +1,3 @@
 - Faster search
-- Approvals by e-mail
+- Approvals in the terminal
+- No answer is lost
"""


class Policy(StrEnum):
    """The choices of one question."""

    STANDARD = "standard"
    GOODWILL = "goodwill"


class Refund(BaseModel):
    """The form of one question."""

    policy: Policy = Field(title="Which policy applies?")
    amount: float = Field(ge=0, le=500, title="Refund in EUR")
    note: str = Field("", title="Note for the customer")


async def ask(server: str) -> None:
    """Ask the questions of the picture."""
    audience = ["group:desk"]
    async with Client(server, user="shop") as shop, Client(server, user="release-bot") as bot:
        await shop.ask(
            "How do we refund order A-17?",
            kind="clarify",
            form=Refund,
            to=audience,
            body="The parcel came **two days late**.",
            deadline=timedelta(hours=4, seconds=30),
        )
        await shop.ask("Which address belongs to Ada Lovelace?", kind="clarify", form=str, to=audience)
        await bot.ask(
            "Release 1.4.0 to production now?",
            to=audience,
            deadline=timedelta(minutes=25, seconds=30),
            body="It has **2 changes**. All 4,310 tests passed.",
            contents=[Content("notes", NOTES, title="Against what is live", media_type="text/x-diff")],
        )
        await bot.ask(
            "Are these the right release notes?",
            kind="preview",
            to=audience,
            deadline=timedelta(days=2, seconds=30),
            contents=[Content("notes", "- Approvals in the terminal", editable=True)],
        )


async def run_at_terminal(server: str, *command: str) -> str:
    """Run a command of Askback at a terminal and return its output, with colours.

    Raises RuntimeError if the command fails.
    """
    terminal, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 60, WIDTH, 0, 0))
    environment = {
        **{n: v for n, v in os.environ.items() if not n.startswith("ASKBACK_") and n != "NO_COLOR"},
        "ASKBACK_SERVER": server,
        "ASKBACK_USER": "ana",
        "ASKBACK_GROUP": "desk",
        "PAGER": "cat",
        "COLUMNS": str(WIDTH),
        "TERM": "xterm-256color",
        "GRPC_VERBOSITY": "NONE",
    }
    program = ["-c", "import sys; from askback.cli import main; sys.argv[0] = 'askback'; main()", *command]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *program, stdin=asyncio.subprocess.DEVNULL, stdout=end, stderr=end, env=environment
    )
    os.close(end)
    text = b""
    loop = asyncio.get_running_loop()
    while True:
        try:
            part = await loop.run_in_executor(None, os.read, terminal, 65536)
        except OSError:  # on Linux: the program has closed its end
            break
        if not part:
            break
        text += part
    os.close(terminal)
    if await process.wait() != 0:
        raise RuntimeError(f"askback {' '.join(command)} failed:\n{text.decode()}")
    return text.decode().replace("\r\n", "\n")


async def draw() -> str:
    """The picture as SVG. Raises RuntimeError if a command fails."""
    shown = Console(
        record=True, width=WIDTH, force_terminal=True, color_system="truecolor", file=io.StringIO()
    )
    with tempfile.TemporaryDirectory() as folder:
        config = Config(
            listen="127.0.0.1:0", db=f"sqlite+aiosqlite:///{folder}/db", migrate=True, drain_grace=1
        )
        async with Service(config) as service:
            server = f"127.0.0.1:{service.port}"
            await ask(server)
            async with Client(server, user="ana", groups=["desk"]) as ana:
                [go] = [p async for p in ana.prompts(kinds=["confirm"])]
            for command in (("inbox", "ls"), ("inbox", "show", go.prompt_id[-6:])):
                shown.print(Text(f"$ askback {' '.join(command)}", style="bold"))
                shown.print(Text.from_ansi(await run_at_terminal(server, *command)))
    svg = shown.export_svg(title="askback inbox")
    return re.sub(r",\s*url\([^)]*\) format\([^)]*\)", "", svg)  # do not load fonts from the network


if __name__ == "__main__":
    PICTURE.write_text(asyncio.run(draw()), encoding="utf-8")
