"""Converse frames: protobuf <-> what the session core speaks."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from askback.v1 import hitl_service_pb2 as pb
from askback_server.domain.errors import InvalidField
from askback_server.domain.principals import Principal
from askback_server.sessions import frames as f
from askback_server.sessions.converse_core import ConverseHello, ConverseWelcome
from askback_server.transport.convert_prompts import prompt_event, prompt_removed, watched_prompts
from askback_server.transport.convert_values import put_time
from askback_server.transport.errors import to_frame_error

_CONTROL = frozenset({"hello", "heartbeat", "credit", "goodbye"})
REMEMBERED = 4_096
"""Prompt events kept serialised: each is serialised once, whoever watches."""


def client_frame(frame: pb.ConverseClientFrame, principal: Principal) -> f.ClientFrame:
    """A frame as the core takes it. Raises InvalidField for an empty one, or a wrong hello."""
    name = frame.WhichOneof("body")
    if name is None:
        raise InvalidField.of("frames.body", "is required")
    message = getattr(frame, name)
    if name not in _CONTROL:
        return f.ClientFrame(frame.ref, f.Call(name, message))
    body: Any
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


def event_message(event: f.PromptEvent) -> pb.PromptEvent:
    """A change of a view."""
    match event:
        case f.Upserted(prompt) | f.Closed(prompt):
            return prompt_event(prompt)
        case f.Removed(prompt_id, version):
            return prompt_removed(prompt_id, version)
        case f.CaughtUp(token, count):
            return pb.PromptEvent(caught_up=pb.PromptsCaughtUp(resume_token=token, open_prompts=count))
        case f.Reset(reason):
            return pb.PromptEvent(reset_view=pb.PromptsReset(reason=reason))
        case f.Bookmark(token):
            return pb.PromptEvent(bookmark=pb.PromptsBookmark(resume_token=token))


def _control(body: Any, message: pb.ConverseServerFrame) -> None:
    match body:
        case f.Reply(name, response):
            getattr(message, name).CopyFrom(response)
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
        case _:
            message.prompt_event.CopyFrom(event_message(body))


class ConverseWriter:
    """Frames to bytes, each as a message of one frame. Prompts are kept: each event is serialised
    once, whoever watches."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, int], bytes] = OrderedDict()

    def message(self, frame: f.ServerFrame) -> bytes:
        """A message with this one frame."""
        body = frame.body
        if isinstance(body, f.Upserted | f.Closed):
            return self._prompt(body)
        response = pb.ConverseResponse()
        _control(body, response.frames.add(ref=frame.ref))
        return response.SerializeToString()

    def _prompt(self, body: f.Upserted | f.Closed) -> bytes:
        key = (body.prompt.prompt_id, body.prompt.version)
        known = self._known.get(key)
        if known is None:
            event = prompt_event(body.prompt)
            known = pb.ConverseResponse(
                frames=[pb.ConverseServerFrame(prompt_event=event)]
            ).SerializeToString()
            self._known[key] = known
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return known
