"""Reads what a person types, with prompt_toolkit; keys typed before the question was drawn are dropped."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
from collections.abc import Callable, Sequence
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.application import Application
from prompt_toolkit.data_structures import Size
from prompt_toolkit.history import DummyHistory, InMemoryHistory
from prompt_toolkit.input.typeahead import clear_typeahead
from prompt_toolkit.input.vt100 import Vt100Input
from prompt_toolkit.key_binding import KeyBindings, KeyPress, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import Layout
from prompt_toolkit.output import ColorDepth, Output
from prompt_toolkit.output.vt100 import Vt100_Output

BURST_SECONDS = 0.01
"""In seconds: keys in shorter intervals were not pressed one by one by a person."""
_ENTER = (Keys.ControlM, Keys.ControlJ)
_MAX_BURSTS = 500
"""The maximum number of bursts that are discarded; in a flood of keys the question is asked after them."""


class Keyboard:
    """Asks questions on the terminal that is standard input and output.

    Keys typed before a question are discarded. A paste stays in its field: its line ends do not submit.
    Several lines in one burst count as a paste, for terminals that do not mark pastes. A question with few
    answers ignores pastes.
    """

    def __init__(self) -> None:
        self._keys = _Keys(sys.stdin)
        self._output = _output()
        self._app: Application[str] | None = None
        self._history = InMemoryHistory()

    async def ask(
        self,
        question: str,
        *,
        choice: bool = False,
        secret: bool = False,
        recall: bool = False,
        started: bool = False,
        left: Callable[[], str] | None = None,
    ) -> str:
        """Draw a question and return the line that was typed. Raises EOFError for Ctrl-D.

        Keys typed before the question is on the screen are discarded, unless the question has `started`: its
        beginning was written earlier. With `choice` the answer is a word or two, and pastes are ignored. A
        `secret` is not shown. With `recall` the Up key recalls earlier answers to such questions, which are
        kept in memory only. `left` returns the time left to answer, shown at the right and renewed every
        second.
        """
        history = self._history if recall and not secret else DummyHistory()
        session = self._session(_bindings(choice), history=history, is_password=secret)
        return await self._prompt(session, question, started, left)

    async def ask_text(
        self, question: str, text: str, *, started: bool = False, left: Callable[[], str] | None = None
    ) -> str:
        """Ask for a text of several lines; `text` is what the person starts from. Raises EOFError."""
        bindings = _bindings(choice=False)

        @bindings.add("c-s", eager=True)
        def finish(event: KeyPressEvent) -> None:
            event.current_buffer.validate_and_handle()

        session = self._session(
            bindings,
            history=DummyHistory(),
            multiline=True,
            reserve_space_for_menu=0,
        )
        return await self._prompt(session, question, started, left, text)

    def _session(self, bindings: KeyBindings, **options: Any) -> PromptSession[str]:
        return PromptSession(
            input=self._keys,
            output=self._output,
            key_bindings=bindings,
            color_depth=_depth(),
            enable_suspend=True,
            include_default_pygments_style=False,
            **options,
        )

    async def _prompt(
        self,
        session: PromptSession[str],
        question: str,
        started: bool,
        left: Callable[[], str] | None,
        text: str = "",
    ) -> str:
        self._app = session.app
        _draw_once(session.app)
        if not started:
            _call_before_showing(session.app, self._keys.discard)
        try:
            return await session.prompt_async(
                # Any style makes prompt_toolkit write the space at the end.
                [("fg:ansidefault bold", question)],
                rprompt=None if left is None else lambda: [("fg:ansidefault", left()), ("", " ")],
                default=text,
                refresh_interval=0.0 if left is None else 1.0,
                handle_sigint=False,
                set_exception_handler=False,
            )
        finally:
            self._app = None

    def discard(self) -> None:
        """Discard all keys typed so far."""
        self._keys.discard()

    def write_above(self, write: Callable[[], None]) -> None:
        """Write lines above the open question; the text typed so far stays."""
        if self._app is None:
            write()
            return
        self._app.renderer.erase()
        write()
        self._app.invalidate()


class _Keys(Vt100Input):
    """Reads the keys of a terminal in bursts; a burst of several lines becomes a paste."""

    _half_pasted = False

    def discard(self) -> None:
        """Discard all keys typed so far, in the terminal and in prompt_toolkit; Ctrl-C still counts."""
        cancelled = False
        for _ in range(_MAX_BURSTS):
            cancelled = self._has_ctrl_c() or cancelled
            termios.tcflush(self.fileno(), termios.TCIFLUSH)
            if not self._is_ready(BURST_SECONDS):
                break
        clear_typeahead(self)
        # The end of a paste that began before this question may still arrive.
        self._half_pasted = bool(getattr(self.vt100_parser, "_in_bracketed_paste", False))
        self._buffer.clear()
        if cancelled:
            signal.raise_signal(signal.SIGINT)

    def _has_ctrl_c(self) -> bool:
        """Whether Ctrl-C waits to be read. In canonical mode the terminal turns it into a signal itself."""
        with_lines = termios.tcgetattr(self.fileno())[3] & termios.ICANON
        return not with_lines and self._is_ready(0) and b"\x03" in os.read(self.fileno(), 65_536)

    def read_keys(self) -> list[KeyPress]:
        """Read all keys of one burst."""
        data = self.stdin_reader.read()
        while len(data) > 1 and self._is_ready(BURST_SECONDS) and not self.closed:
            data += self.stdin_reader.read()
        self.vt100_parser.feed(data)
        keys, self._buffer = self._buffer, []
        if self._half_pasted and (
            ends := [n for n, key in enumerate(keys) if key.key == Keys.BracketedPaste]
        ):
            self._half_pasted = False
            keys = keys[ends[0] + 1 :]
        return burst(keys)

    def _is_ready(self, seconds: float) -> bool:
        return bool(select.select([self.fileno()], [], [], seconds)[0])


def burst(keys: Sequence[KeyPress]) -> list[KeyPress]:
    """The keys of one burst, as one paste if it has more than one line. Ctrl-C always stays a key."""
    remaining = list(keys)
    if (stop := next((key for key in remaining if key.key == Keys.ControlC), None)) is not None:
        return [stop]
    if [key.key for key in remaining[-2:]] == list(_ENTER):
        remaining.pop()  # some terminals send both for one Enter
    if not any(key.key in _ENTER for key in remaining[:-1]):
        return remaining
    text = "".join(key.data for key in remaining if not key.data.startswith("\x1b"))
    return [KeyPress(Keys.BracketedPaste, text)]


def normalise_paste(data: str) -> str:
    """The text of a paste with newlines as line ends, and without those at its end, which came along."""
    return data.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")


def _bindings(choice: bool) -> KeyBindings:
    bindings = KeyBindings()

    @bindings.add(Keys.BracketedPaste, eager=True)
    def paste(event: KeyPressEvent) -> None:
        if not choice:
            event.current_buffer.insert_text(normalise_paste(event.data))

    @bindings.add("c-c", eager=True)
    def interrupt(event: KeyPressEvent) -> None:
        signal.raise_signal(signal.SIGINT)  # cancels the command, which cleans up, as without a question

    return bindings


def _draw_once(app: Application[Any]) -> None:
    """Do not draw a question again when it has been answered.

    prompt_toolkit would draw it once more, and screen readers and logs would have it twice.
    """
    renderer = app.renderer
    draw = renderer.render

    def render(app: Application[Any], layout: Layout, is_done: bool = False) -> None:
        app.exit_style = ""  # another style would draw the question again
        draw(app, layout)
        screen = renderer.last_rendered_screen
        if is_done and screen is not None:
            row = screen.get_cursor_position(layout.current_window).y
            renderer.output.write_raw("\r\n" * max(screen.height - row, 1))
            renderer.reset()
            renderer.output.flush()

    renderer.render = render  # type: ignore[method-assign]


def _call_before_showing(app: Application[Any], ready: Callable[[], None]) -> None:
    """Call `ready` when the question is drawn, just before it is sent to the terminal.

    Drawing takes many milliseconds: keys typed meanwhile cannot answer a question that is not visible yet.
    """
    renderer, output = app.renderer, app.renderer.output
    draw, show = renderer.render, output.flush

    def render(app: Application[Any], layout: Layout, is_done: bool = False) -> None:
        renderer.render = draw  # type: ignore[method-assign]
        output.flush = lambda: None  # type: ignore[method-assign]
        try:
            draw(app, layout, is_done)
        finally:
            output.flush = show  # type: ignore[method-assign]
        ready()
        output.flush()

    renderer.render = render  # type: ignore[method-assign]


def _output() -> Output | None:
    """The output that draws questions; None lets prompt_toolkit choose, for terminals without a cursor."""
    if os.environ.get("TERM", "") in ("", "dumb", "unknown"):
        return None

    def size() -> Size:
        try:
            found = os.get_terminal_size(sys.stdout.fileno())
        except OSError:
            found = os.terminal_size((0, 0))
        return Size(rows=found.lines or 24, columns=found.columns or 80)

    # Without CPR: the terminal's reply with the cursor position would arrive as keys.
    return Vt100_Output(sys.stdout, size, term=os.environ["TERM"], enable_cpr=False)


def _depth() -> ColorDepth | None:
    return ColorDepth.DEPTH_1_BIT if os.environ.get("NO_COLOR") else None
