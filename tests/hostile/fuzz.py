"""Nonsense beside a victim: mutated messages, frames, JSON, schemas and tokens, while another tenant works.

Whatever is sent, the answer is one of ours (never INTERNAL or UNKNOWN), the server stays up, and the
victim's calls stay OK. How long they took is reported; the long form (`make fuzz`) judges it too.
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
from tests.hostile.scene import Stage, staged
from tests.support.refusals import refusal_of
from tests.support.service import World

OURS = {
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
    """What a run has found."""

    wrong: list[str] = field(default_factory=list)
    outcomes: dict[str, int] = field(default_factory=dict)
    victim_calls: int = 0
    slowest: float = 0.0
    """Three of the victim's calls, in seconds."""


def mutated(chance: random.Random, raw: bytes) -> bytes:
    """The bytes with some flipped, cut out, doubled or put in."""
    data = bytearray(raw)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(4):
            case 0 if data:
                data[at % len(data)] = chance.randrange(256)
            case 1:
                del data[at : at + chance.randint(1, 8)]
            case 2:
                data[at:at] = bytes(chance.randrange(256) for _ in range(chance.randint(1, 8)))
            case _:
                data[at:at] = data[at : at + 16] * chance.randint(1, 50)
    return bytes(data)


def random_json(chance: random.Random, depth: int = 0) -> str:
    """A JSON text, often not quite one."""
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
    if depth > 4 or chance.random() < 0.3:
        return chance.choice(simple)
    inner = [random_json(chance, depth + 1) for _ in range(chance.randint(0, 4))]
    if chance.random() < 0.5:
        return "[" + ",".join(inner) + "]" * chance.choice((1, 1, 1, 0, 2))
    return "{" + ",".join(f'"{chance.choice("abq")}":{text}' for text in inner) + "}"


def random_schema(chance: random.Random) -> str:
    """A JSON Schema of an object, dear or wrong now and then."""

    def node(depth: int) -> Any:
        if depth > 6:
            return chance.choice(({}, True, {"type": "string"}, {"$ref": "#"}, {"const": list(range(200))}))
        inner = [node(depth + 1 + chance.randint(0, 2)) for _ in range(chance.randint(0, 3))]
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
        return {name: some[name] for name in chance.sample(sorted(some), chance.randint(0, 4))}

    return json.dumps({**node(0), "type": "object", "$defs": {"x": {"type": "object"}}})


async def run(world: World, attempts: int, seed: int) -> Report:
    """So many attempts from a seed, eight at once, beside a victim of another tenant."""
    report = Report()
    owner = world.with_token("owner-token")
    stage = await staged(owner)
    ended = asyncio.Event()
    victim = asyncio.create_task(_victim(world, report, ended))
    numbers = iter(range(attempts))

    async def attack() -> None:
        for number in numbers:
            await _attempt(world, random.Random(f"{seed}.{number}"), stage, report)

    try:
        await asyncio.gather(*(attack() for _ in range(8)))
    finally:
        ended.set()
        await victim
    return report


async def _victim(world: World, report: Report, ended: asyncio.Event) -> None:
    """Creates, asks, answers and lists, as if it were alone."""
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


async def _attempt(world: World, chance: random.Random, stage: Stage, report: Report) -> None:
    what = chance.choice((_message, _message, _frames, _answer, _token))
    try:
        outcome = await what(world, chance, stage)
    except grpc.aio.AioRpcError as error:
        outcome = error.code().name
        # What our service did not understand has a reason; bytes that are no message never got there.
        if outcome not in OURS:
            report.wrong.append(f"{what.__name__}: {outcome} {refusal_of(error).reason} {error.details()}")
    name = f"{what.__name__[1:]} {outcome}"
    report.outcomes[name] = report.outcomes.get(name, 0) + 1


def _raw(world: World, method: Any, token: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    return f"/{method.containing_service.full_name}/{method.name}", (("authorization", f"Bearer {token}"),)


async def _message(world: World, chance: random.Random, stage: Stage) -> str:
    """Any unary call with bytes that were a message once."""
    _, method = chance.choice([m for m in METHODS if not (m[1].client_streaming or m[1].server_streaming)])
    path, metadata = _raw(world, method, "admin-token")
    raw = random_request(chance, method.input_type, stage).SerializeToString()
    raw = mutated(chance, raw)
    call = world.channel.unary_unary(path)
    return await _unless_malformed(method, raw, call(raw, metadata=metadata, timeout=SOON))


async def _frames(world: World, chance: random.Random, stage: Stage) -> str:
    """A stream of messages that are nearly ones."""
    _, method = chance.choice([m for m in METHODS if m[1].client_streaming])
    path, metadata = _raw(world, method, "admin-token")
    kind = method.input_type.fields_by_name["frames"].message_type
    frames = [random_request(chance, kind, stage) for _ in range(chance.randint(1, 5))]
    raw = GetMessageClass(method.input_type)(frames=frames).SerializeToString()
    if chance.random() < 0.5:
        raw = mutated(chance, raw)

    async def sent() -> Any:
        yield raw

    async def to_its_end() -> None:
        async for _ in world.channel.stream_stream(path)(sent(), metadata=metadata, timeout=SOON):
            pass

    return await _unless_malformed(method, raw, to_its_end())


async def _unless_malformed(method: Any, raw: bytes, call: Awaitable[Any]) -> str:
    """Bytes that are no message are refused before they reach what is tested here, with whatever code."""
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


async def _answer(world: World, chance: random.Random, stage: Stage) -> str:
    """A form with a random schema, and a random answer to it."""
    owner = world.with_token("owner-token")
    content = prompts.PromptContent(kind="clarify", title="?", schema_json=random_schema(chance))
    made = await owner.jobs.CreateJob(
        jobs.CreateJobRequest(job_type="t", prompt=content, input_json=random_json(chance)), timeout=9
    )
    values = random_json(chance) if chance.random() < 0.7 else json.dumps({"p0": [{"a": 1}] * 5_000})
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


async def _token(world: World, chance: random.Random, _: Stage) -> str:
    """Page and resume tokens, and credentials, that are not ours."""
    junk = "".join(chance.choice("AZaz09_-=. é\x7f") for _ in range(chance.randint(0, 60)))
    owner = world.with_token("owner-token")
    match chance.randrange(4):
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
