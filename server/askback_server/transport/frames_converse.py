"""Converse frames: protobuf <-> what the session core speaks."""

from __future__ import annotations

from typing import Any

from askback.v1 import hitl_service_pb2 as pb
from askback_server.domain.errors import InvalidField
from askback_server.domain.principals import Principal
from askback_server.sessions import frames as f
from askback_server.sessions.converse_frames import ConverseHello, ConverseWelcome
from askback_server.transport.convert.prompts import closed_bytes, upserted_bytes, watched_prompts
from askback_server.transport.convert.replies import replies_within
from askback_server.transport.convert.values import put_time
from askback_server.transport.errors import to_frame_error
from askback_server.transport.wire import within

_CONTROL = frozenset({"hello", "heartbeat", "credit", "goodbye"})


def client_frame(frame: pb.ConverseClientFrame, principal: Principal) -> f.ClientFrame:
    """A frame as the core takes it. Raises InvalidField for an empty one, or a wrong hello."""
    name = frame.WhichOneof("body")
    if name is None:
        raise InvalidField.of("frames.body", "is required")
    message = getattr(frame, name)
    if name not in _CONTROL:
        return f.ClientFrame(frame.ref, f.Call(name, message))
    body: f.ClientBody
    if name == "hello":
        body = ConverseHello(
            filter=watched_prompts(message.filter, message.namespace, principal),
            console_id=message.console_id,
            instance_id=message.instance_id,
            credit=message.credit,
            resume_token=message.resume_token,
        )
    elif name == "credit":
        body = f.Credit(message.prompts)
    elif name == "goodbye":
        body = f.Goodbye()
    else:
        body = f.Heartbeat()
    return f.ClientFrame(frame.ref, body)


def event_bytes(event: f.PromptEvent) -> bytes:
    """A change of a view: a PromptEvent."""
    match event:
        case f.Upserted(prompt):
            return upserted_bytes(prompt)
        case f.Closed(prompt):
            return closed_bytes(prompt)
        case f.Removed(prompt_id, version):
            message = pb.PromptEvent(removed=pb.PromptRemoved(prompt_id=prompt_id, version=version))
        case f.CaughtUp(token, count):
            message = pb.PromptEvent(caught_up=pb.PromptsCaughtUp(resume_token=token, open_prompts=count))
        case f.Reset(reason, history_lost):
            message = pb.PromptEvent(reset_view=pb.PromptsReset(reason=reason, history_lost=history_lost))
        case f.Bookmark(token):
            message = pb.PromptEvent(bookmark=pb.PromptsBookmark(resume_token=token))
    return message.SerializeToString()


def _control(body: Any, message: pb.ConverseServerFrame) -> None:
    match body:
        case f.Refused(error):
            message.error.CopyFrom(to_frame_error(error))
        case ConverseWelcome():
            message.welcome.session_id = body.session_id
            message.welcome.heartbeat_interval.FromMilliseconds(round(body.heartbeat_interval * 1000))
            message.welcome.max_in_flight = body.max_in_flight
            message.welcome.max_message_bytes = body.max_message_bytes
            message.welcome.replica = body.replica
            message.welcome.test_mode = body.test_mode
        case f.Heartbeat(token, time):
            message.heartbeat.resume_token = token
            if time is not None:
                put_time(message.heartbeat.time, time)
        case f.GoAway(reason, after):
            message.go_away.reason = reason
            message.go_away.after.FromMilliseconds(round(after * 1000))


def converse_message(frame: f.ServerFrame) -> bytes:
    """A message with this one frame."""
    body = frame.body
    if isinstance(body, f.PromptEvent):
        return _EVENT(event_bytes(body))
    if isinstance(body, f.Reply):
        return _FRAME(_REPLY(frame.ref, body))
    message = pb.ConverseServerFrame(ref=frame.ref)
    _control(body, message)
    return _FRAME(message.SerializeToString())


_FRAME = within(pb.ConverseResponse, "frames")
_EVENT = within(pb.ConverseResponse, "frames", "prompt_event")
_REPLY = replies_within(pb.ConverseServerFrame)
