"""Random callers call random things with other people's ids, and all that they receive is searched.

Each secret of the world (`canary`) has a rule that says who may ever see it; whatever a caller receives,
an error's text and trailers included, must hold no other. What exists and what does not must get the same
answer from a caller that may see neither.
"""

from __future__ import annotations

import asyncio
import random
import re
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message_factory import GetMessageClass

from askback.v1 import access_service_pb2 as access
from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import worker_service_pb2 as workers
from tests.hostile.scene import PEOPLE, Person, Stage, staged
from tests.support.refusals import refusal_of
from tests.support.service import World

SERVICES = {
    "JobService": (jobs, "jobs"),
    "WorkerService": (workers, "workers"),
    "HitlService": (hitl, "hitl"),
    "AccessService": (access, "access"),
}
METHODS = [
    (stub, method)
    for service, (module, stub) in SERVICES.items()
    for method in module.DESCRIPTOR.services_by_name[service].methods
]
QUIET = 0.3
"""Seconds after which a stream that says no more is left."""
_ID = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{12}-[0-9a-f]+|b'.*?'"
)


def random_request(chance: random.Random, kind: Any, stage: Stage) -> Any:
    """A message of a type with ids of the stage where ids stand, and other fields now and then."""
    message = GetMessageClass(kind)()
    names = {f.name for f in kind.fields}
    # A prompt is named in one of two ways; both at once get no further than the door.
    left_out: set[str] = set()
    if {"prompt_id", "job_id", "key"} <= names:
        left_out = {"prompt_id"} if chance.random() < 0.3 else {"job_id", "key"}
    for each in kind.fields:
        if each.name in left_out:
            continue
        if each.is_repeated or each.name in ("test", "retention", "timeout", "reminders", "wait", "duration"):
            continue
        if each.name.endswith("job_id"):
            if chance.random() < (0.95 if "filter" not in kind.name.lower() else 0.5):
                setattr(message, each.name, chance.choice([*stage.job_ids, chance.choice(stage.absent)]))
        elif each.name == "prompt_id":
            if chance.random() < 0.95:
                setattr(message, each.name, chance.choice(stage.prompt_ids))
        elif each.message_type is not None:
            if chance.random() < 0.6 and each.message_type.file.package == "askback.v1":
                getattr(message, each.name).CopyFrom(random_request(chance, each.message_type, stage))
        elif each.type == FieldDescriptor.TYPE_STRING:
            if chance.random() < (0.8 if each.name in _KNOWN else 0.1):
                setattr(message, each.name, chance.choice(_KNOWN.get(each.name, ("x",))))
        elif each.type == FieldDescriptor.TYPE_BOOL:
            setattr(message, each.name, chance.random() < 0.2)
        elif each.type == FieldDescriptor.TYPE_ENUM:
            setattr(message, each.name, chance.choice(each.enum_type.values).number)
        elif each.type in (FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_INT64) and chance.random() < 0.7:
            setattr(message, each.name, chance.choice((0, 1, 1, 2, 50)))
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
    """A call, and all that came of it."""

    person: Person
    method: str
    request: Any
    outcome: str
    received: str


async def attempt(world: World, person: Person, chance: random.Random, stage: Stage) -> Attempt:
    """One random call of one person."""
    stub, method = chance.choice(METHODS)
    while method.name == "DeleteJob" and person.roles != ["console"]:
        stub, method = chance.choice(METHODS)  # what is deleted has no secrets left to find
    caller = world.with_token(f"{person.name}-token")
    call = getattr(getattr(caller, stub), method.name)
    if method.name in ("Converse", "Work"):
        return await _stream(person, method, call, chance, stage)
    request = random_request(chance, method.input_type, stage)
    if method.name == "LeaseJobs":
        request.job_types.append("t")
    outcome, received = await _received(call(request, timeout=QUIET if method.name[:5] == "Watch" else 10))
    return Attempt(person, method.name, request, outcome, received)


async def _stream(person: Person, method: Any, call: Any, chance: random.Random, stage: Stage) -> Attempt:
    """A hello of one's own, then random frames: each is what a unary call would be."""
    kind = method.input_type.fields_by_name["frames"].message_type
    hello = GetMessageClass(kind.fields_by_name["hello"].message_type)()
    if method.name == "Work":
        hello.worker_id, hello.job_types[:] = "w", ["none"]
    hello.namespace = chance.choice(("", "red", "blue"))
    frames = [GetMessageClass(kind)(ref=1, hello=hello)]
    bodies = [f for f in kind.fields if f.containing_oneof and f.name not in ("hello", "goodbye", "credit")]
    for ref in range(2, 8):
        body = chance.choice(bodies)
        frames.append(
            GetMessageClass(kind)(ref=ref, **{body.name: random_request(chance, body.message_type, stage)})
        )
    message = GetMessageClass(method.input_type)(frames=frames)

    async def sent() -> Any:
        yield message
        await asyncio.sleep(QUIET)

    outcome, received = await _received(call(sent(), timeout=4 * QUIET))
    return Attempt(person, method.name, message, outcome, received)


async def _received(call: Any) -> tuple[str, str]:
    """How a call ended, and all that it brought, as text."""
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


def leaks(stage: Stage, done: Attempt) -> list[str]:
    """The secrets that came to one who may not see them."""
    sent = str(done.request)
    return [
        secret.text
        for secret in stage.secrets
        if secret.text in done.received and secret.text not in sent and not secret.may_see(done.person)
    ]


def twins(person: Person, stage: Stage) -> list[tuple[Any, str, Any, Any]]:
    """Pairs of equal requests, one with an id of what the person may not see, one with an absent id. Of
    unary methods and WatchJob.

    Each is (service stub's name, method, request for what is there, request for what is not).
    """
    pairs = []
    for hidden, absent in stage.hidden_from(person):
        for stub, method in METHODS:
            if method.client_streaming or (method.server_streaming and method.name != "WatchJob"):
                continue
            there, nowhere = _naming(method.input_type, hidden), _naming(method.input_type, absent)
            if there != nowhere:
                pairs.append((stub, method.name, there, nowhere))
    return pairs


def _naming(kind: Any, ids: tuple[str, str]) -> Any:
    """A request that says as little as a call needs, and names these."""
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


async def answers_of(world: World, person: Person, pair: tuple[Any, str, Any, Any]) -> tuple[str, str]:
    """What the person gets for the one and for the other, ids apart."""
    stub, method, *requests = pair
    call = getattr(getattr(world.with_token(f"{person.name}-token"), stub), method)
    found = []
    for request in requests:
        _, received = await _received(call(request, timeout=10))
        found.append(_ID.sub("ID", received))
    return found[0], found[1]


async def search(world: World, attempts: int, seed: int, at_once: int = 16) -> list[str]:
    """Make so many random attempts. Returns what went wrong, in words."""
    stage = await staged(world.with_token("owner-token"))
    wrong: list[str] = []
    chance = random.Random(seed)
    strangers = [person for person in PEOPLE if person.name != "owner"]
    strangers += [person for person in strangers if person.roles == ["console"]] * 2
    for start in range(0, attempts, at_once):
        some = [
            attempt(world, chance.choice(strangers), random.Random(chance.random()), stage)
            for _ in range(min(at_once, attempts - start))
        ]
        for done in await asyncio.gather(*some):
            if found := leaks(stage, done):
                wrong.append(f"{done.person.name} {done.method} {done.outcome}: {found}\n{done.request}")
            if "INTERNAL" in done.outcome or "UNKNOWN" in done.outcome:
                wrong.append(f"{done.person.name} {done.method}: {done.outcome}\n{done.request}")
    return wrong
