"""What the frames of both streams have in common: calls, replies, errors, GoAway."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message

from askback_server.domain.errors import InvalidField
from askback_server.sessions.frames import GoAway, Refused, Reply, ServerFrame
from askback_server.transport.convert.replies import reply_writer
from askback_server.transport.errors import to_frame_error
from askback_server.transport.wire import within


def frame_body(frame: Any) -> tuple[str, Any]:  # a frame of either service
    """The name and the message of a client frame's body. Raises InvalidField for a frame without one."""
    name = frame.WhichOneof("body")
    if name is None:
        raise InvalidField.of("frames.body", "is required")
    return name, getattr(frame, name)


def frame_writer(
    response: type[Message], frame: Any, put: Callable[[Any, Any], None]
) -> Callable[[ServerFrame], bytes]:
    """A function that serialises a server frame as a `response` with this one frame.

    `frame` is the generated class of the frames, Any because both classes have the fields used here;
    `put(message, body)` fills a frame with a body that only this kind of stream has.
    """
    within_response, write_reply = within(response, "frames"), reply_writer(frame)

    def write(server_frame: ServerFrame) -> bytes:
        body = server_frame.body
        if isinstance(body, Reply):
            return within_response(write_reply(server_frame.ref, body))
        message = frame(ref=server_frame.ref)
        match body:
            case Refused(error):
                message.error.CopyFrom(to_frame_error(error))
            case GoAway(reason, after):
                message.go_away.reason = reason
                message.go_away.after.FromMilliseconds(round(after * 1000))
            case _:
                put(message, body)
        return within_response(message.SerializeToString())

    return write
