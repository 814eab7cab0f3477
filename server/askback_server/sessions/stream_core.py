"""The part that both stream protocols share: hello, replies by ref, heartbeats, going away.

Pure: frames in, frames out; time comes as an argument. It decides nothing about stored data.
"""

from __future__ import annotations

from typing import TypeAlias

from askback_server.domain.errors import AskbackError, BadHello, TooManyInFlight
from askback_server.sessions.converse_frames import ConverseHello
from askback_server.sessions.frames import (
    Call,
    ClientBody,
    ClientFrame,
    GoAway,
    Goodbye,
    Refused,
    Reply,
    Response,
    ServerBody,
    ServerFrame,
)
from askback_server.sessions.memory_budget import body_size
from askback_server.sessions.work_frames import WorkHello

Hello: TypeAlias = ConverseHello | WorkHello

MAX_WRITE_BYTES = 512 * 1024
"""Maximum bytes handed to the transport at once, unless a single frame is larger."""


class StreamCore:
    """The state of a stream that is the same for consoles and workers."""

    __slots__ = (
        "_heartbeat",
        "_hello_type",
        "_max_in_flight",
        "_next_beat",
        "_out",
        "_out_bytes",
        "_taken_bytes",
        "_taken_frames",
        "going_away",
        "hello",
        "in_flight",
        "said_goodbye",
    )

    def __init__(self, hello_type: type[Hello], max_in_flight: int, heartbeat: float) -> None:
        self._hello_type = hello_type
        self._max_in_flight = max_in_flight
        self._heartbeat = heartbeat
        self._next_beat: float | None = None
        self._out: list[ServerFrame] = []
        """Frames to be written."""
        self._out_bytes = 0
        self._taken_bytes = self._taken_frames = 0
        """Size of the frames returned by the last `drain`: they count until they are written."""
        self.hello: Hello | None = None
        self.in_flight = 0
        self.said_goodbye = False
        self.going_away = False

    def receive(self, frame: ClientFrame) -> ClientBody | None:
        """Take a frame. Returns its body if the caller must act on it, else None.

        Raises BadHello, which ends the stream.
        """
        body = frame.body
        if isinstance(body, ConverseHello | WorkHello) and isinstance(body, self._hello_type):
            if self.hello is not None:
                raise BadHello("the hello was said already; it is the first frame and only the first")
            self.hello = body
            return body
        if self.hello is None:
            raise BadHello("the first frame must be a hello")
        if isinstance(body, Goodbye):
            self.said_goodbye = True
            return body
        if isinstance(body, Call):
            if self.in_flight >= self._max_in_flight:
                self.refuse(frame.ref, TooManyInFlight(self._max_in_flight))
                return None
            self.in_flight += 1
        return body

    def reply(self, ref: int, name: str, response: Response) -> None:
        """Send the reply to a call."""
        self.in_flight -= 1
        if ref:
            self.push(Reply(name, response), ref)

    def fail_call(self, ref: int, error: AskbackError) -> None:
        """Send the error of a call."""
        self.in_flight -= 1
        self.refuse(ref, error)

    def refuse(self, ref: int, error: AskbackError) -> None:
        """Refuse a frame; the stream continues."""
        if ref:
            self.push(Refused(error), ref)

    def push(self, body: ServerBody, ref: int = 0) -> None:
        """Send a frame: with the `ref` of a client frame to which it replies, else 0."""
        size = body_size(body)
        self._out_bytes += size
        self._out.append(ServerFrame(ref, body, size))

    def go_away(self, reason: str, after: float) -> None:
        """Ask the client to reconnect; only the first call has an effect."""
        if not self.going_away:
            self.going_away = True
            self.push(GoAway(reason, after))

    def seconds_to_beat(self, now: float) -> float | None:
        """Seconds until a heartbeat is due; None before the hello."""
        return None if self._next_beat is None else max(0.0, self._next_beat - now)

    def beat_due(self, now: float) -> bool:
        """Whether a heartbeat is due at a monotonic time. If so, schedules the next one."""
        if self.hello is None:
            return False
        if self._next_beat is None:
            self._next_beat = now + self._heartbeat
            return False
        if now < self._next_beat:
            return False
        self._next_beat = now + self._heartbeat
        return True

    @property
    def has_frames(self) -> bool:
        """Whether replies or control frames are waiting."""
        return bool(self._out)

    def drain(self, limit: int) -> list[ServerFrame]:
        """Take the next replies and control frames. The previous ones must have been written."""
        self.note_written()
        taken: list[ServerFrame] = []
        for frame in self._out[:limit]:
            if self._taken_bytes >= MAX_WRITE_BYTES:
                break
            taken.append(frame)
            self._taken_bytes += frame.size
        del self._out[: len(taken)]
        self._out_bytes -= self._taken_bytes
        self._taken_frames = len(taken)
        return taken

    def note_written(self) -> None:
        """Note that the frames returned by the last `drain` have been written."""
        self._taken_bytes = self._taken_frames = 0

    @property
    def unsent(self) -> tuple[int, int]:
        """The number and bytes of frames that are not written yet, without those of a view."""
        return len(self._out) + self._taken_frames, self._out_bytes + self._taken_bytes
