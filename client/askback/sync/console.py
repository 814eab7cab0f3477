"""A live console for programs without an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, Self

from askback._console import console as aio
from askback._console import console_prompt as aio_prompt
from askback._console.console_view import Closing
from askback._model.prompts import PromptInfo
from askback._model.times import seconds
from askback.sync.loop_thread import LoopThread, loop_thread
from askback.sync.twin import Twin, blocking, items, iterating


class CaughtUpFlag:
    """Whether the view is complete, as a threading.Event."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def is_set(self) -> bool:
        """Whether every open prompt has been received."""
        return self._console._twin.caught_up.is_set()

    def wait(self, timeout: timedelta | float | None = None) -> bool:
        """Wait until it is set; return False after `timeout` (a timedelta or seconds)."""
        limit = None if timeout is None else seconds(timeout, "timeout")
        return self._console._wait(_set_within(self._console._twin, limit))


class Console(Twin):
    """A live view of one person's open prompts, as askback.Console. Made by `Client.console`; use it with
    `with`.

        with client.console() as console:
            for prompt in console.prompts():
                prompt.approve(comment="checked")

    It may be used in several threads: iterators share the prompts. Listeners are called in the background
    thread and must not use askback.sync themselves.
    """

    _twin: aio.Console

    def __init__(self, twin: aio.Console) -> None:
        super().__init__(twin)
        self._entered: LoopThread | None = None

    def _loop(self) -> LoopThread:
        if self._entered is None:
            raise RuntimeError("enter the console first: with client.console() as desk")
        return self._entered

    def __enter__(self) -> Self:
        self._entered = loop_thread()
        self._entered.close_at_end(self._twin)
        self._wait(self._twin.__aenter__())
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the console. May be called repeatedly."""
        if self._entered is not None:
            self._wait(self._twin.aclose())

    @property
    def connected(self) -> bool:
        """Whether a stream is open. Without one, prompts may be out of date and answers wait."""
        return self._twin.connected

    @property
    def caught_up(self) -> CaughtUpFlag:
        """Set while the view is complete: every open prompt has been received."""
        return CaughtUpFlag(self)

    @property
    def open_ids(self) -> list[str]:
        """The ids of the prompts that were received and are open in this view."""
        return self._twin.open_ids

    def prompts(self) -> Iterator[ConsolePrompt]:
        """Yield open prompts, as askback.Console.prompts. The loop ends only by an error, `break` or
        Ctrl-C."""
        for prompt in items(self._loop(), self._twin.prompts()):
            yield ConsolePrompt(prompt, self)

    def __iter__(self) -> Iterator[ConsolePrompt]:
        """Iterate over `prompts()`: `for prompt in console`."""
        return self.prompts()

    closings = iterating(aio.Console.closings)
    answer_prompts = blocking(aio.Console.answer_prompts)

    def request(self, **body: Any) -> Any:
        """Send one frame by the name of its body and return the reply's body. Raises AskbackError."""
        return self._wait(self._twin.request(**body))

    def on_closed(self, listener: Callable[[Closing], None]) -> Callable[[], None]:
        """Call `listener`, in the background thread, with each prompt that leaves the view."""
        return self._twin.on_closed(listener)

    def on_connection(self, watcher: Callable[[bool], None]) -> Callable[[], None]:
        """Call `watcher`, in the background thread, with False when the stream breaks and with True when it
        is open again."""
        return self._twin.on_connection(watcher)

    def is_open(self, prompt_id: str) -> bool:
        """Whether the prompt is in the view and, as far as the console knows, open."""
        return self._twin.is_open(prompt_id)


class ConsolePrompt(Twin, PromptInfo):
    """A prompt as it was shown, as askback.ConsolePrompt: its methods wait for the result."""

    _twin: aio_prompt.ConsolePrompt

    def __init__(self, twin: aio_prompt.ConsolePrompt, console: Console) -> None:
        super().__init__(twin)
        PromptInfo.__init__(self, twin.proto)
        self._console = console

    def _loop(self) -> LoopThread:
        return self._console._loop()

    @property
    def still_open(self) -> bool:
        """Whether the prompt is still open, as far as the console knows."""
        return self._twin.still_open

    @property
    def is_answering(self) -> bool:
        """Whether an answer was sent whose result is not known yet."""
        return self._twin.is_answering

    approve = blocking(aio_prompt.ConsolePrompt.approve)
    answer = blocking(aio_prompt.ConsolePrompt.answer)
    edit = blocking(aio_prompt.ConsolePrompt.edit)
    decline = blocking(aio_prompt.ConsolePrompt.decline)
    revise = blocking(aio_prompt.ConsolePrompt.revise)
    dismiss = blocking(aio_prompt.ConsolePrompt.dismiss)
    decide = blocking(aio_prompt.ConsolePrompt.decide)
    withdraw = blocking(aio_prompt.ConsolePrompt.withdraw)
    override = blocking(aio_prompt.ConsolePrompt.override)
    delegate = blocking(aio_prompt.ConsolePrompt.delegate)
    give_back = blocking(aio_prompt.ConsolePrompt.give_back)
    take_back = blocking(aio_prompt.ConsolePrompt.take_back)
    claim = blocking(aio_prompt.ConsolePrompt.claim)
    release = blocking(aio_prompt.ConsolePrompt.release)


async def _set_within(console: aio.Console, limit: float | None) -> bool:
    try:
        async with asyncio.timeout(limit):
            await console._or_failure(console.caught_up)
    except TimeoutError:
        return False
    return True
