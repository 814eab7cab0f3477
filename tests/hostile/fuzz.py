"""Fuzzing: mutated messages, frames, JSON, schemas and tokens, while another tenant (the victim) works.

Every reply must be a documented status (never INTERNAL or UNKNOWN), the server must stay up, and the
victim's calls must succeed. Their duration is reported; `make fuzz` also limits it.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import prompt_pb2 as prompts
from tests.hostile.authorisation import METHODS, random_request
from tests.hostile.secret_store import StoredSecrets, store_secrets
from tests.support.refusals import refusal_of
from tests.support.service import ServiceWorld

DOCUMENTED_CODES = {
    "OK",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "FAILED_PRECONDITION",
    "ABORTED",
    "PERMISSION_DENIED",
    "UNAUTHENTICATED",
    "RESOURCE_EXHAUSTED",
    "UNAVAILABLE",
    "DEADLINE_EXCEEDED",
}
SOON = 1.0


@dataclass
class Report:
    """The results of a run."""

    wrong: list[str] = field(default_factory=list)
    outcomes: dict[str, int] = field(default_factory=dict)
    victim_calls: int = 0
    slowest: float = 0.0
    """The slowest round of the victim's three calls, in seconds."""


def mutate(rng: random.Random, raw: bytes) -> bytes:
    """Change, delete, repeat or insert some bytes."""
    data = bytearray(raw)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(4):
            case 0 if data:
                data[at % len(data)] = rng.randrange(256)
            case 1:
                del data[at : at + rng.randint(1, 8)]
            case 2:
                data[at:at] = bytes(rng.randrange(256) for _ in range(rng.randint(1, 8)))
            case _:
                data[at:at] = data[at : at + 16] * rng.randint(1, 50)
    return bytes(data)


def random_json(rng: random.Random, depth: int = 0) -> str:
    """A random JSON text, often malformed."""
    simple = (
        "0",
        "-1",
        "1e999",
        "9" * 30,
        "null",
        "true",
        '"x"',
        '"\\u0000"',
        '"\\ud800"',
        "NaN",
        '"' + "a" * 3000,
    )
    if depth > 4 or rng.random() < 0.3:
        return rng.choice(simple)
    inner = [random_json(rng, depth + 1) for _ in range(rng.randint(0, 4))]
    if rng.random() < 0.5:
        return "[" + ",".join(inner) + "]" * rng.choice((1, 1, 1, 0, 2))
    return "{" + ",".join(f'"{rng.choice("abq")}":{text}' for text in inner) + "}"


def random_schema(rng: random.Random) -> str:
    """A random JSON Schema of an object, sometimes expensive or invalid."""

    def node(depth: int) -> Any:
        if depth > 6:
            return rng.choice(({}, True, {"type": "string"}, {"$ref": "#"}, {"const": list(range(200))}))
        inner = [node(depth + 1 + rng.randint(0, 2)) for _ in range(rng.randint(0, 3))]
        some: dict[str, Any] = {
            "anyOf": inner,
            "allOf": inner,
            "if": node(depth + 2),
            "items": node(depth + 1),
            "uniqueItems": True,
            "unevaluatedProperties": False,
            "unevaluatedItems": False,
            "pattern": "(a{1,50}){1,50}$",
            "properties": {f"p{n}": each for n, each in enumerate(inner)},
            "multipleOf": 1e-300,
            "enum": [{"a": n} for n in range(99)],
            "patternProperties": {"a*": {}},
            "$ref": "#/$defs/x",
            "not": node(depth + 2),
            "propertyNames": {"maxLength": 3},
            "minimum": "x",
            "format": "regex",
        }
        return {name: some[name] for name in rng.sample(sorted(some), rng.randint(0, 4))}

    return json.dumps({**node(0), "type": "object", "$defs": {"x": {"type": "object"}}})


async def run(world: ServiceWorld, attempts: int, seed: int) -> Report:
    """Make attempts from a seed, eight at once, while a victim works."""
    report = Report()
    owner = world.with_token("owner-token")
    stored = await store_secrets(owner)
    ended = asyncio.Event()
    victim = asyncio.create_task(_victim(world, report, ended))
    numbers = iter(range(attempts))

    async def attack() -> None:
        for number in numbers:
            await _attempt(world, random.Random(f"{seed}.{number}"), stored, report)

    try:
        await asyncio.gather(*(attack() for _ in range(8)))
    finally:
        ended.set()
        await victim
    return report


async def _victim(world: ServiceWorld, report: Report, ended: asyncio.Event) -> None:
    """Create, answer and list jobs; report every failure."""
    me = world.with_token("bluefolk-token")
    while not ended.is_set():
        started = time.perf_counter()
        try:
            content = prompts.PromptContent(kind="confirm", title="Go?")
            made = await me.jobs.CreateJob(jobs.CreateJobRequest(job_type="victim", prompt=content))
            await me.hitl.AnswerPrompt(
                hitl.AnswerPromptRequest(
                    prompt_id=made.prompt.prompt_id,
                    answer_id="a",
                    revision=1,
                    decision=prompts.DECISION_ACCEPT,
                )
            )
            await me.jobs.ListJobs(jobs.ListJobsRequest(page_size=1))
        except grpc.aio.AioRpcError as error:
            report.wrong.append(f"the victim got {error.code().name}: {error.details()}")
        report.victim_calls += 3
        report.slowest = max(report.slowest, time.perf_counter() - started)
        await asyncio.sleep(0.01)


async def _attempt(world: ServiceWorld, rng: random.Random, stored: StoredSecrets, report: Report) -> None:
    what = rng.choice((_message, _message, _frames, _answer, _token))
    try:
        outcome = await what(world, rng, stored)
    except grpc.aio.AioRpcError as error:
        outcome = error.code().name
        # A refusal by the service has a reason; bytes that are not a message never reach the service.
        if outcome not in DOCUMENTED_CODES:
            report.wrong.append(f"{what.__name__}: {outcome} {refusal_of(error).reason} {error.details()}")
    name = f"{what.__name__[1:]} {outcome}"
    report.outcomes[name] = report.outcomes.get(name, 0) + 1


def _raw(world: ServiceWorld, method: Any, token: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    return f"/{method.containing_service.full_name}/{method.name}", (("authorization", f"Bearer {token}"),)


async def _message(world: ServiceWorld, rng: random.Random, stored: StoredSecrets) -> str:
    """Call any unary method with a mutated message."""
    _, method = rng.choice([m for m in METHODS if not (m[1].client_streaming or m[1].server_streaming)])
    path, metadata = _raw(world, method, "admin-token")
    raw = random_request(rng, method.input_type, stored).SerializeToString()
    raw = mutate(rng, raw)
    call = world.channel.unary_unary(path)
    return await _unless_malformed(method, raw, call(raw, metadata=metadata, timeout=SOON))


async def _frames(world: ServiceWorld, rng: random.Random, stored: StoredSecrets) -> str:
    """Open a stream with a message that may be mutated."""
    _, method = rng.choice([m for m in METHODS if m[1].client_streaming])
    path, metadata = _raw(world, method, "admin-token")
    kind = method.input_type.fields_by_name["frames"].message_type
    frames = [random_request(rng, kind, stored) for _ in range(rng.randint(1, 5))]
    raw = GetMessageClass(method.input_type)(frames=frames).SerializeToString()
    if rng.random() < 0.5:
        raw = mutate(rng, raw)

    async def requests() -> Any:
        yield raw

    async def read_all() -> None:
        async for _ in world.channel.stream_stream(path)(requests(), metadata=metadata, timeout=SOON):
            pass

    return await _unless_malformed(method, raw, read_all())


async def _unless_malformed(method: Any, raw: bytes, call: Awaitable[Any]) -> str:
    """Wait for the call. Bytes that are not a message must be refused, with any code."""
    try:
        GetMessageClass(method.input_type).FromString(raw)
    except DecodeError:
        try:
            await call
        except grpc.aio.AioRpcError:
            return "malformed"
        raise AssertionError(f"{method.full_name} took bytes that are no message") from None
    await call
    return "OK"


async def _answer(world: ServiceWorld, rng: random.Random, stored: StoredSecrets) -> str:
    """Create a form with a random schema, and answer it at random."""
    owner = world.with_token("owner-token")
    content = prompts.PromptContent(kind="clarify", title="?", schema_json=random_schema(rng))
    made = await owner.jobs.CreateJob(
        jobs.CreateJobRequest(job_type="t", prompt=content, input_json=random_json(rng)), timeout=9
    )
    values = random_json(rng) if rng.random() < 0.7 else json.dumps({"p0": [{"a": 1}] * 5_000})
    await owner.hitl.AnswerPrompt(
        hitl.AnswerPromptRequest(
            prompt_id=made.prompt.prompt_id,
            answer_id="a",
            revision=1,
            decision=prompts.DECISION_RESPOND,
            values_json=values,
        ),
        timeout=9,
    )
    return "OK"


async def _token(world: ServiceWorld, rng: random.Random, _: StoredSecrets) -> str:
    """Call with random page tokens, resume tokens or credentials."""
    junk = "".join(rng.choice("AZaz09_-=. é\x7f") for _ in range(rng.randint(0, 60)))
    owner = world.with_token("owner-token")
    match rng.randrange(4):
        case 0:
            await owner.jobs.ListJobs(jobs.ListJobsRequest(page_token=junk))
        case 1:
            await owner.hitl.ListPrompts(hitl.ListPromptsRequest(page_token=junk))
        case 2:
            await owner.hitl.WatchPrompts(hitl.WatchPromptsRequest(resume_token=junk), timeout=SOON).read()
        case _:
            await world.with_token(junk.encode("ascii", "ignore").decode().replace("\x7f", "")).jobs.ListJobs(
                jobs.ListJobsRequest()
            )
    return "OK"
