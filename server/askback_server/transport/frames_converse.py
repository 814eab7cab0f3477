"""Converse frames from and to the values of `ConverseCore`."""

from __future__ import annotations

from askback.v1 import hitl_service_pb2 as pb
from askback_server.domain.principals import Principal
from askback_server.sessions import frames as f
from askback_server.sessions.converse_frames import ConverseHello, ConverseWelcome
from askback_server.transport.convert.prompts import closed_bytes, prompt_watch_filter, upserted_bytes
from askback_server.transport.convert.values import put_time
from askback_server.transport.frames import frame_body, frame_writer
from askback_server.transport.wire import EncodeCache, within


def read_converse_frame(frame: pb.ConverseClientFrame, principal: Principal) -> f.ClientFrame:
    """A client frame as the core takes it. Raises InvalidField for an empty frame or a wrong hello."""
    name, message = frame_body(frame)
    body: f.ClientBody
    match name:
        case "hello":
            body = ConverseHello(
                filter=prompt_watch_filter(message.filter, message.namespace, principal),
                console_id=message.console_id,
                instance_id=message.instance_id,
                credit=message.credit,
                resume_token=message.resume_token,
            )
        case "credit":
            body = f.Credit(message.prompts)
        case "goodbye":
            body = f.Goodbye()
        case "heartbeat":
            body = f.Heartbeat()
        case _:
            body = f.Call(name, message)
    return f.ClientFrame(frame.ref, body)


def event_bytes(event: f.PromptEvent) -> bytes:
    """A change of a view as a serialised PromptEvent."""
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


def _put(message: pb.ConverseServerFrame, body: f.ClientBody) -> None:
    match body:
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


def write_converse_frame(frame: f.ServerFrame) -> bytes:
    """A serialised ConverseResponse with this one frame."""
    if isinstance(frame.body, f.PromptEvent):
        return _EVENT(event_bytes(frame.body))
    return _WRITE(frame)


_EVENT: EncodeCache[bytes] = EncodeCache(within(pb.ConverseResponse, "frames", "prompt_event"), maximum=64)
"""An event as a message: what goes to all consoles is one object, so it is wrapped once."""
_WRITE = frame_writer(pb.ConverseResponse, pb.ConverseServerFrame, _put)
