"""Validates large answers in a child process, one at a time, principals and namespaces in turn.

The JSON Schema validator holds the GIL while it runs, so a thread would block the event loop too. Each
validation has a deadline; an answer that exceeds it is refused and the process replaced. The queue is
bounded, in total and per principal and namespace. If it is full, the principal with the most entries loses
its newest one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import pickle
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from askback_server.domain.errors import LimitExceeded, QueueFull
from askback_server.domain.forms import Judgement, Unjudged
from askback_server.domain.json_text import Violation
from askback_server.engine import judge_process
from askback_server.engine.judge_process import LENGTH, pack

_log = logging.getLogger("askback.server.engine")

DEADLINE_SECONDS = 5.0
"""Seconds per validation."""
START_SECONDS = 60.0
"""Seconds for the process to start."""
MAX_WAITING = 64
"""Maximum number of waiting validations."""
MAX_WAITING_OF_ONE = 8
"""Maximum per principal, and per namespace."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    subject: str
    namespace: str
    asked: Unjudged
    reply: asyncio.Future[tuple[Violation, ...]]


class Judges:
    """Validates the answers that `validate_values` leaves to it (`Unjudged`)."""

    def __init__(self, deadline: float = DEADLINE_SECONDS) -> None:
        self._deadline = deadline
        self._waiting: list[_Waiting] = []
        """In the order in which they are served."""
        self._process: asyncio.subprocess.Process | None = None
        self._work: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def busy(self) -> bool:
        """Whether a started validation has not been reported yet."""
        return bool(self._tasks)

    def start(
        self, subject: str, namespace: str, asked: Unjudged, report: Callable[[Judgement | Exception], None]
    ) -> None:
        """Validate an answer in the background and pass the outcome to `report`."""

        async def work() -> None:
            try:
                found = await self.judge(subject, namespace, asked)
            except Exception as error:
                outcome: Judgement | Exception = error
            else:
                outcome = Judgement(asked.form, asked.values_json, found)
            self._tasks.discard(task)
            report(outcome)

        task = asyncio.create_task(work())
        self._tasks.add(task)

    async def judge(self, subject: str, namespace: str, asked: Unjudged) -> tuple[Violation, ...]:
        """Validate an answer. Returns its violations. Raises QueueFull, and LimitExceeded at the deadline."""
        if sum(w.subject == subject for w in self._waiting) >= MAX_WAITING_OF_ONE:
            raise _full()
        self._make_room(subject, [w for w in self._waiting if w.namespace == namespace], MAX_WAITING_OF_ONE)
        self._make_room(subject, self._waiting, MAX_WAITING)
        reply: asyncio.Future[tuple[Violation, ...]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(subject, namespace, asked, reply))
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._judge_all())
        return await reply

    def _make_room(self, subject: str, among: list[_Waiting], maximum: int) -> None:
        """If the queue is full, refuse the newest entry of the principal with the most entries in `among`.
        Raises QueueFull if that principal would then have fewer than this one."""
        if len(among) < maximum:
            return
        counts = Counter(w.subject for w in among)
        largest, count = counts.most_common(1)[0]
        if count <= counts[subject] + 1:
            raise _full()
        loser = next(w for w in reversed(among) if w.subject == largest)
        self._waiting.remove(loser)
        if not loser.reply.done():
            loser.reply.set_exception(_full())

    def close(self) -> None:
        """End the process. Waiting answers are not validated."""
        for task in (*self._tasks, *([self._work] if self._work is not None else [])):
            task.cancel()
        self._kill()

    async def _judge_all(self) -> None:
        while self._waiting:
            last = self._waiting.pop(0)
            asked, reply = last.asked, last.reply
            # Other principals and namespaces come first; `sort` is stable.
            self._waiting.sort(key=lambda w: (w.subject == last.subject, w.namespace == last.namespace))
            if reply.done():
                continue
            try:
                found = await self._judge_one(asked)
            except Exception as error:
                reply.set_exception(error)
                reply.exception()  # mark as retrieved: the caller may be gone
            else:
                reply.set_result(found)

    async def _judge_one(self, asked: Unjudged) -> tuple[Violation, ...]:
        question = pack((asked.form, asked.values_json, asked.max_bytes))
        try:
            process = await self._running()
            async with asyncio.timeout(self._deadline):
                assert process.stdin is not None
                process.stdin.write(question)
                await process.stdin.drain()
                return await _message(process)
        except TimeoutError:
            self._kill()
            _log.warning("an answer of %d bytes took too long to check", len(asked.values_json))
            raise LimitExceeded(
                "the values take too long to check against the form; send fewer or shorter ones",
                limit="judging_seconds",
                value=f"{self._deadline:g}",
            ) from None
        except (OSError, EOFError, asyncio.IncompleteReadError) as error:
            self._kill()
            _log.warning("the process that checks large answers ended: %r", error)
            raise QueueFull("the answer could not be checked now; send it again a little later") from error
        except asyncio.CancelledError:
            self._kill()
            raise

    async def _running(self) -> asyncio.subprocess.Process:
        """The running process; started if there is none."""
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                judge_process.__name__,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            async with asyncio.timeout(START_SECONDS):
                await _message(self._process)
        return self._process

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()


def _full() -> QueueFull:
    return QueueFull("too many large answers wait to be checked; send it again a little later")


async def _message(process: asyncio.subprocess.Process) -> tuple[Violation, ...]:
    assert process.stdout is not None
    head = await process.stdout.readexactly(LENGTH.size)
    body = await process.stdout.readexactly(*LENGTH.unpack(head))
    found: tuple[Violation, ...] = pickle.loads(body)  # noqa: S301 - from our own child process
    return found
