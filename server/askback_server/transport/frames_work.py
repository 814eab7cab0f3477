"""Work frames from and to the values of `WorkCore`."""

from __future__ import annotations

from askback.v1 import worker_service_pb2 as pb
from askback_server.domain.limits import Limits
from askback_server.domain.principals import Principal
from askback_server.sessions import frames as f
from askback_server.sessions import work_frames as w
from askback_server.transport.convert.leases import held_leases, lease_digest, leased_job_message, work_hello
from askback_server.transport.convert.prompts import prompt_bytes
from askback_server.transport.convert.values import put_time
from askback_server.transport.frames import frame_body, frame_writer
from askback_server.transport.wire import within


def read_work_frame(frame: pb.WorkClientFrame, principal: Principal, limits: Limits) -> f.ClientFrame:
    """A client frame as the core takes it. Raises InvalidField for an empty frame or a wrong hello."""
    name, message = frame_body(frame)
    body: f.ClientBody
    match name:
        case "hello":
            body = work_hello(message, principal, limits)
        case "capacity":
            body = w.Capacity(message.capacity)
        case "goodbye":
            body = f.Goodbye()
        case "held_leases":
            body = w.HeldLeases(message.received, held_leases(message))
        case "heartbeat":
            received = message.received if message.HasField("received") else None
            leases = lease_digest(message.leases) if message.HasField("leases") else None
            body = w.WorkHeartbeat(received, leases)
        case _:
            body = f.Call(name, message)
    return f.ClientFrame(frame.ref, body)


def _put(message: pb.WorkServerFrame, body: f.ClientBody) -> None:
    match body:
        case w.JobLeased():
            message.job_leased.leased_job.CopyFrom(leased_job_message(body))
        case w.CancelRequested(job_id, reason):
            message.cancel_requested.job_id = job_id
            message.cancel_requested.reason = reason
        case w.LeaseLostFrame(job_id, token):
            message.lease_lost.job_id = job_id
            message.lease_lost.token = token
        case w.LeasesWanted():
            message.leases_wanted.SetInParent()
        case w.WorkWelcome():
            message.welcome.session_id = body.session_id
            message.welcome.session_secret = body.session_secret
            message.welcome.heartbeat_interval.FromMilliseconds(round(body.heartbeat_interval * 1000))
            message.welcome.lost_job_ids.extend(body.lost_job_ids)
            message.welcome.resumed = body.resumed
            message.welcome.replica = body.replica
            message.welcome.max_in_flight = body.max_in_flight
            message.welcome.max_message_bytes = body.max_message_bytes
        case f.Heartbeat(_, time):
            message.heartbeat.SetInParent()
            if time is not None:
                put_time(message.heartbeat.expire_time, time)


def _resolved_bytes(body: w.PromptResolved) -> bytes:
    return _LATE[body.late_answer] + _PROMPT(prompt_bytes(body.prompt))


def write_work_frame(frame: f.ServerFrame) -> bytes:
    """A serialised WorkResponse with this one frame."""
    if isinstance(frame.body, w.PromptResolved):
        return _RESOLVED(_resolved_bytes(frame.body))
    return _WRITE(frame)


_RESOLVED = within(pb.WorkResponse, "frames", "prompt_resolved")
_PROMPT = within(pb.WorkPromptResolved, "prompt")
_LATE = [pb.WorkPromptResolved(late_answer=late).SerializeToString() for late in (False, True)]
_WRITE = frame_writer(pb.WorkResponse, pb.WorkServerFrame, _put)
