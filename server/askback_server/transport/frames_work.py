"""Work frames: protobuf <-> what the session core speaks."""

from __future__ import annotations

from typing import Any

from askback.v1 import worker_service_pb2 as pb
from askback_server.domain.checks import Checker
from askback_server.domain.errors import InvalidField
from askback_server.domain.limits import Limits
from askback_server.domain.principals import Principal
from askback_server.ports.clock import is_id
from askback_server.sessions import frames as f
from askback_server.sessions import work_frames as w
from askback_server.transport.convert.jobs import leased_job_message
from askback_server.transport.convert.prompts import prompt_bytes
from askback_server.transport.convert.replies import replies_within
from askback_server.transport.convert.values import namespace, put_time
from askback_server.transport.errors import to_frame_error
from askback_server.transport.wire import within

_CONTROL = frozenset({"hello", "heartbeat", "capacity", "goodbye", "held_leases"})


def client_frame(frame: pb.WorkClientFrame, principal: Principal, limits: Limits) -> f.ClientFrame:
    """A frame as the core takes it. Raises InvalidField for an empty one, or a wrong hello."""
    name = frame.WhichOneof("body")
    if name is None:
        raise InvalidField.of("frames.body", "is required")
    message = getattr(frame, name)
    if name not in _CONTROL:
        return f.ClientFrame(frame.ref, f.Call(name, message))
    body: f.ClientBody
    if name == "hello":
        body = _hello(message, principal, limits)
    elif name == "capacity":
        body = w.Capacity(message.capacity)
    elif name == "goodbye":
        body = f.Goodbye()
    elif name == "held_leases":
        body = w.HeldLeases(message.received, held_leases(message))
    else:
        received = message.received if message.HasField("received") else None
        body = w.WorkHeartbeat(received, lease_digest(message.leases) if message.HasField("leases") else None)
    return f.ClientFrame(frame.ref, body)


def lease_digest(message: pb.WorkLeaseDigest) -> w.LeaseDigest:
    """What a worker says of its leases, in short."""
    return w.LeaseDigest(message.count, message.digest)


def held_leases(message: pb.WorkHeldLeases) -> frozenset[tuple[str, int]]:
    """The leases that a worker lists, each a job id and a token."""
    return frozenset((lease.job_id, lease.token) for lease in message.leases)


def _hello(message: pb.WorkHello, principal: Principal, limits: Limits) -> w.WorkHello:
    check = Checker(limits, "hello.")
    check.name("worker_id", message.worker_id)
    if not message.job_types:
        check.bad("job_types", "is required: the types of jobs that the worker takes")
    for job_type in message.job_types:
        check.name("job_types", job_type)
    if message.session_id and not is_id(message.session_id):
        check.bad("session_id", "is not one of ours")
    check.done()
    return w.WorkHello(
        namespace=namespace(message.namespace, principal),
        worker_id=message.worker_id,
        job_types=frozenset(message.job_types),
        capacity=message.capacity,
        session_id=message.session_id,
        session_secret=message.session_secret,
        held=tuple((h.job_id, h.token) for h in message.held_jobs),
    )


def _put(body: Any, message: pb.WorkServerFrame) -> None:
    match body:
        case f.Refused(error):
            message.error.CopyFrom(to_frame_error(error))
        case w.JobLeased(job, prompts, checkpoints, more):
            leased = leased_job_message(job, prompts, checkpoints, more)
            message.job_leased.leased_job.CopyFrom(leased)
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
        case f.GoAway(reason, after):
            message.go_away.reason = reason
            message.go_away.after.FromMilliseconds(round(after * 1000))


def _resolved(body: w.PromptResolved) -> bytes:
    head = pb.WorkPromptResolved(late_answer=body.late_answer).SerializeToString()
    return head + _PROMPT(prompt_bytes(body.prompt))


def work_message(frame: f.ServerFrame) -> bytes:
    """A message with this one frame."""
    body = frame.body
    if isinstance(body, w.PromptResolved):
        return _RESOLVED(_resolved(body))
    if isinstance(body, f.Reply):
        return _FRAME(_REPLY(frame.ref, body))
    message = pb.WorkServerFrame(ref=frame.ref)
    _put(body, message)
    return _FRAME(message.SerializeToString())


_FRAME = within(pb.WorkResponse, "frames")
_RESOLVED = within(pb.WorkResponse, "frames", "prompt_resolved")
_PROMPT = within(pb.WorkPromptResolved, "prompt")
_REPLY = replies_within(pb.WorkServerFrame)
