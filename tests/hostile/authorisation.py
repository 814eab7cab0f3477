"""Random callers make random calls with ids of others, and everything they receive is searched for secrets.

Each secret has a rule that says who may ever see it. Nothing that a caller receives, including
error texts and trailers, may contain another secret. A caller must get the same reply for an object that it
may not see and for one that does not exist.
"""

from __future__ import annotations

import asyncio
import random
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message_factory import GetMessageClass

from askback._wire.stream_writes import StreamEnded, write
from askback.v1 import access_service_pb2 as access
from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import policy_service_pb2 as policy
from askback.v1 import worker_service_pb2 as workers
from tests.hostile.secret_store import USERS, StoredSecrets, User, store_secrets
from tests.support.refusals import refusal_of
from tests.support.service import ServiceWorld

SERVICES = {
    "JobService": (jobs, "jobs"),
    "WorkerService": (workers, "workers"),
    "HitlService": (hitl, "hitl"),
    "AccessService": (access, "access"),
    "PolicyService": (policy, "policies"),
}
METHODS = [
    (stub, method)
    for service, (module, stub) in SERVICES.items()
    for method in module.DESCRIPTOR.services_by_name[service].methods
]
QUIET = 0.3
"""Seconds of silence after which a stream is cancelled."""
_ID = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{12}-[0-9a-f]+|b'.*?'"
)


def random_request(rng: random.Random, kind: Any, stored: StoredSecrets) -> Any:
    """A random message: existing ids in the id fields, and other fields sometimes set."""
    message = GetMessageClass(kind)()
    names = {f.name for f in kind.fields}
    # A request that sets both kinds of prompt references would be refused by validation.
    left_out: set[str] = set()
    if {"prompt_id", "job_id", "key"} <= names:
        left_out = {"prompt_id"} if rng.random() < 0.3 else {"job_id", "key"}
    for each in kind.fields:
        if each.name in left_out:
            continue
        if each.is_repeated or each.name in ("test", "retention", "timeout", "reminders", "wait", "duration"):
            continue
        if each.name.endswith("job_id"):
            if rng.random() < (0.95 if "filter" not in kind.name.lower() else 0.5):
                setattr(message, each.name, rng.choice([*stored.job_ids, rng.choice(stored.absent)]))
        elif each.name == "prompt_id":
            if rng.random() < 0.95:
                setattr(message, each.name, rng.choice(stored.prompt_ids))
        elif each.message_type is not None:
            if rng.random() < 0.6 and each.message_type.file.package == "askback.v1":
                getattr(message, each.name).CopyFrom(random_request(rng, each.message_type, stored))
        elif each.type == FieldDescriptor.TYPE_STRING:
            if rng.random() < (0.8 if each.name in _KNOWN else 0.1):
                setattr(message, each.name, rng.choice(_KNOWN.get(each.name, ("x",))))
        elif each.type == FieldDescriptor.TYPE_BOOL:
            setattr(message, each.name, rng.random() < 0.2)
        elif each.type == FieldDescriptor.TYPE_ENUM:
            setattr(message, each.name, rng.choice(each.enum_type.values).number)
        elif each.type in (FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_INT64) and rng.random() < 0.7:
            setattr(message, each.name, rng.choice((0, 1, 1, 2, 50)))
    return message


_KNOWN = {
    "namespace": ("", "", "red", "blue", "*"),
    "key": ("prompt",),
    "job_type": ("t",),
    "worker_id": ("w",),
    "answer_id": ("a", "b"),
    "values_json": ('{"q":"x"}', "{}"),
    "request_id": ("r-red-law-open", "r-blue-all-open", "mine"),
    "kind": ("confirm",),
}


@dataclass
class Attempt:
    """A call, its outcome, and everything received."""

    user: User
    method: str
    request: Any
    outcome: str
    received: str


async def attempt(world: ServiceWorld, user: User, rng: random.Random, stored: StoredSecrets) -> Attempt:
    """Make one random call as one user."""
    stub, method = rng.choice(METHODS)
    while method.name == "DeleteJob" and user.roles != ["console"]:
        stub, method = rng.choice(METHODS)  # a deleted job has no secrets left to find
    caller = world.with_token(f"{user.name}-token")
    call = getattr(getattr(caller, stub), method.name)
    if method.name in ("Converse", "Work"):
        return await _stream(user, method, call, rng, stored)
    request = random_request(rng, method.input_type, stored)
    if method.name == "LeaseJobs":
        request.job_types.append("t")
    outcome, received = await _receive(call(request, timeout=QUIET if method.name[:5] == "Watch" else 10))
    return Attempt(user, method.name, request, outcome, received)


async def _stream(user: User, method: Any, call: Any, rng: random.Random, stored: StoredSecrets) -> Attempt:
    """Open a stream with a valid hello, then send random frames, which correspond to unary calls."""
    kind = method.input_type.fields_by_name["frames"].message_type
    hello = GetMessageClass(kind.fields_by_name["hello"].message_type)()
    if method.name == "Work":
        hello.worker_id, hello.job_types[:] = "w", ["none"]
    hello.namespace = rng.choice(("", "red", "blue"))
    frames = [GetMessageClass(kind)(ref=1, hello=hello)]
    bodies = [f for f in kind.fields if f.containing_oneof and f.name not in ("hello", "goodbye", "credit")]
    for ref in range(2, 8):
        body = rng.choice(bodies)
        frames.append(
            GetMessageClass(kind)(ref=ref, **{body.name: random_request(rng, body.message_type, stored)})
        )
    message = GetMessageClass(method.input_type)(frames=frames)

    stream = call(timeout=4 * QUIET)

    async def send() -> None:
        with suppress(StreamEnded):
            await write(stream, message)
            await asyncio.sleep(QUIET)
            await stream.done_writing()

    sending = asyncio.create_task(send())
    outcome, received = await _receive(stream)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    return Attempt(user, method.name, message, outcome, received)


async def _receive(call: Any) -> tuple[str, str]:
    """Run a call. Returns its outcome and everything received, as text."""
    parts = []
    try:
        if hasattr(call, "__aiter__"):
            async for message in call:
                parts.append(str(message))
        else:
            parts.append(str(await call))
    except grpc.aio.AioRpcError as error:
        found = refusal_of(error)
        parts += [str(found), str(error.trailing_metadata()), str(error.initial_metadata())]
        return f"{found.code.name} {found.reason}", "\n".join(parts)
    return "OK", "\n".join(parts)


def leaks(stored: StoredSecrets, done: Attempt) -> list[str]:
    """The received secrets that the caller may not see."""
    sent = str(done.request)
    return [
        secret.text
        for secret in stored.secrets
        if secret.text in done.received and secret.text not in sent and not secret.may_see(done.user)
    ]


def request_pairs(user: User, stored: StoredSecrets) -> list[tuple[Any, str, Any, Any]]:
    """Pairs of equal requests of unary methods and WatchJob: for an object that the user may not see, and for
    one that does not exist.

    Each is (name of the service stub, method, request for the hidden object, request for the absent one).
    """
    pairs = []
    for hidden, absent in stored.pairs_hidden_from(user):
        for stub, method in METHODS:
            if method.client_streaming or (method.server_streaming and method.name != "WatchJob"):
                continue
            of_hidden, of_absent = _request(method.input_type, hidden), _request(method.input_type, absent)
            if of_hidden != of_absent:
                pairs.append((stub, method.name, of_hidden, of_absent))
    return pairs


def _request(kind: Any, ids: tuple[str, str]) -> Any:
    """A minimal valid request for these ids."""
    job_id, prompt_id = ids
    message = GetMessageClass(kind)()
    names = [f.name for f in kind.fields]
    if "prompt_id" in names:
        message.prompt_id = prompt_id
    elif "job_id" in names:
        message.job_id = job_id
    for name, value in (
        ("answer_id", "x"),
        ("revision", 1),
        ("decision", 1),
        ("key", "k"),
        ("value_json", "1"),
    ):
        if name in names and not (name == "key" and "prompt_id" in names):
            setattr(message, name, value)
    if "content" in names and kind.name == "AskPromptRequest":
        message.content.kind, message.content.title = "confirm", "?"
    if "update_mask" in names:
        inner = message.job if "job" in names else message.deep_understanding
        inner.job_id = job_id
        message.update_mask.paths.append("priority" if "job" in names else "complete")
    if kind.name == "ListPromptsRequest":
        message.filter.job_id = job_id
    if kind.name == "RetryJobRequest":
        message.request_id = "again"
    return message


async def answers_of(world: ServiceWorld, user: User, pair: tuple[Any, str, Any, Any]) -> tuple[str, str]:
    """The replies that the user gets for the two requests, with ids masked."""
    stub, method, *requests = pair
    call = getattr(getattr(world.with_token(f"{user.name}-token"), stub), method)
    found = []
    for request in requests:
        _, received = await _receive(call(request, timeout=10))
        found.append(_ID.sub("ID", received))
    return found[0], found[1]


async def search(world: ServiceWorld, attempts: int, seed: int, at_once: int = 16) -> list[str]:
    """Make random calls. Returns a description of each violation."""
    stored = await store_secrets(world.with_token("owner-token"))
    wrong: list[str] = []
    rng = random.Random(seed)
    strangers = [user for user in USERS if user.name != "owner"]
    strangers += [user for user in strangers if user.roles == ["console"]] * 2
    for start in range(0, attempts, at_once):
        some = [
            attempt(world, rng.choice(strangers), random.Random(rng.random()), stored)
            for _ in range(min(at_once, attempts - start))
        ]
        for done in await asyncio.gather(*some):
            if found := leaks(stored, done):
                wrong.append(f"{done.user.name} {done.method} {done.outcome}: {found}\n{done.request}")
            if "INTERNAL" in done.outcome or "UNKNOWN" in done.outcome:
                wrong.append(f"{done.user.name} {done.method}: {done.outcome}\n{done.request}")
    return wrong
