"""Random callers call random things with other people's ids, and all that they receive is searched.

Each secret of the world (`canary`) has a rule that says who may ever see it; whatever a caller receives,
an error's text and trailers included, must hold no other. What exists and what does not must get the same
answer from a caller that may see neither.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message_factory import GetMessageClass

from askback.v1 import access_service_pb2 as access
from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import prompt_pb2 as prompts
from askback.v1 import worker_service_pb2 as workers
from tests.support.service import Caller, World, refusal_of

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


@dataclass(frozen=True)
class Person:
    """A row of the token file."""

    name: str
    roles: Sequence[str]
    namespaces: Sequence[str] = ("red",)
    groups: Sequence[str] = ()

    def is_asker(self, namespace: str) -> bool:
        """Whether it reads every prompt of the namespace."""
        return namespace in self.namespaces and not {"client", "worker", "admin"}.isdisjoint(self.roles)


PEOPLE = (
    Person("owner", ["client", "worker", "console"], ["red", "blue"], ["law", "desk"]),
    Person("client", ["client"]),
    Person("worker", ["worker"]),
    Person("admin", ["admin"]),
    Person("lawyer", ["console"], groups=["law"]),
    Person("ana", ["console"]),
    Person("eve", ["console"]),
    Person("bluefolk", ["client", "worker", "console"], ["blue"], ["law"]),
    Person("nothing", ["console"], ["green"], ["law"]),
)


@dataclass(frozen=True)
class Secret:
    """A text that only some may ever receive."""

    text: str
    namespace: str
    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    is_open: bool = False
    """Of a prompt for every console of the namespace."""

    def may_see(self, person: Person) -> bool:
        """The rule."""
        if person.is_asker(self.namespace):
            return True
        if self.namespace not in person.namespaces or "console" not in person.roles:
            return False
        return self.is_open or person.name in self.users or not self.groups.isdisjoint(person.groups)


@dataclass
class Stage:
    """The world's secrets, and ids to try."""

    secrets: list[Secret] = field(default_factory=list)
    job_ids: list[str] = field(default_factory=list)
    prompt_ids: list[str] = field(default_factory=list)
    rows: list[tuple[str, str, Secret]] = field(default_factory=list)
    """(job id, prompt id, who may know of either) of jobs."""

    @property
    def absent(self) -> list[str]:
        """Ids that nothing has."""
        return [f"{job_id[:-6]}000000" for job_id in self.job_ids]

    def hidden_from(self, person: Person) -> list[tuple[tuple[str, str], tuple[str, str]]]:
        """(job id, prompt id) of what the person may know nothing of, each with a pair that nothing has."""
        return [
            ((job_id, prompt_id), (f"{job_id[:-6]}000000", f"{prompt_id[:-6]}000000"))
            for job_id, prompt_id, known in self.rows
            if not known.may_see(person)
        ]


async def staged(owner: Caller) -> Stage:
    """Jobs of two namespaces with prompts for all, for a group and for a person, open and answered; and jobs
    that a worker ran, with a prompt for a group and one for a person, in each way that a job can end."""
    stage = Stage()
    for namespace in ("red", "blue"):
        for audience in ("all", "law", "ana"):
            for answered in (False, True):
                await _one(owner, stage, namespace, audience, answered)
        for end in ("retried", "failed", "completed", "cancelled"):
            await _run(owner, stage, namespace, end)
    return stage


async def _run(owner: Caller, stage: Stage, namespace: str, end: str) -> None:
    """A job with a worker, and a secret wherever a job has a text. Its audience sees progress and labels."""

    def secret(what: str, *, users: Sequence[str] = (), groups: Sequence[str] = ()) -> str:
        made = Secret(f"canary-{what}-{namespace}-{end}", namespace, frozenset(users), frozenset(groups))
        stage.secrets.append(made)
        return made.text

    def everybody(what: str) -> str:
        return secret(what, users=["ana"], groups=["law"])

    create = jobs.CreateJobRequest(
        namespace=namespace,
        job_type="run",
        labels={"l": everybody("job-label")},
        input_json=f'"{secret("run-input")}"',
        request_id=f"{secret('request-id')}-{uuid4()}",
    )
    await owner.jobs.CreateJob(create)
    lease = workers.LeaseJobsRequest(
        namespace=namespace, worker_id=everybody("worker-id"), job_types=["run"], wait={"seconds": 5}
    )
    [leased] = (await owner.workers.LeaseJobs(lease)).jobs
    held = {"job_id": leased.job.job_id, "token": leased.token}
    await owner.workers.SaveCheckpoint(
        workers.SaveCheckpointRequest(
            key=secret("checkpoint-key"), value_json=f'"{secret("checkpoint")}"', **held
        )
    )
    report = workers.ReportProgressRequest(
        progress={"message": everybody("progress")}, milestone=True, **held
    )
    await owner.workers.ReportProgress(report)
    asked = []
    for name, audience in (
        ("law", prompts.Audience(groups=["law"])),
        ("ana", prompts.Audience(users=["ana", "owner"])),
    ):
        who: dict[str, Any] = {"groups": ["law"]} if name == "law" else {"users": ["ana"]}
        content = prompts.PromptContent(
            kind="confirm",
            title=secret(f"{name}-title", **who),
            body=secret(f"{name}-body", **who),
            blocking=True,
            audience=audience,
        )
        ask = workers.AskPromptRequest(key=secret(f"{name}-key", **who), content=content, **held)
        asked.append((await owner.workers.AskPrompt(ask)).prompt)
    await owner.hitl.AnswerPrompt(
        hitl.AnswerPromptRequest(
            prompt_id=asked[1].prompt_id,
            answer_id=secret("answer-id", users=["ana"]),
            revision=1,
            decision=prompts.DECISION_REJECT,
            comment=secret("comment", users=["ana"]),
        )
    )
    match end:
        case "retried" | "failed":
            failure = {
                "code": secret("code"),
                "message": secret("failure"),
                "details_json": f'"{secret("details")}"',
            }
            fail = workers.FailJobRequest(failure=failure, retryable=end == "retried", **held)
            await owner.workers.FailJob(fail)
        case "completed":
            result = f'"{secret("result")}"'
            await owner.workers.CompleteJob(workers.CompleteJobRequest(result_json=result, **held))
        case "cancelled":
            reason = secret("cancel-reason")
            await owner.jobs.CancelJob(jobs.CancelJobRequest(job_id=held["job_id"], reason=reason))
            await owner.workers.ReleaseJob(workers.ReleaseJobRequest(**held))
    stage.job_ids.append(held["job_id"])
    stage.prompt_ids += [prompt.prompt_id for prompt in asked]
    known = Secret("", namespace, frozenset({"ana"}), frozenset({"law"}))
    stage.rows.append((held["job_id"], asked[0].prompt_id, known))


async def _one(owner: Caller, stage: Stage, namespace: str, audience: str, answered: bool) -> None:
    tag = f"{namespace}-{audience}-{'answered' if answered else 'open'}"
    title, value, given, label = (f"canary-{what}-{tag}" for what in ("title", "input", "answer", "label"))
    content = prompts.PromptContent(kind="deep_understanding", title=title, labels={"l": label})
    content.questions.questions.add(question_id="q", title="?").text.multiline = True
    if audience == "law":
        content.audience.groups.append("law")
    elif audience == "ana":
        content.audience.users.extend(["ana", "owner"])
    rule = {
        "all": {"is_open": True},
        "law": {"groups": frozenset({"law"})},
        "ana": {"users": frozenset({"ana"})},
    }[audience]
    made = await owner.jobs.CreateJob(
        jobs.CreateJobRequest(
            namespace=namespace, job_type="t", prompt=content, input_json=f'"{value}"', request_id=f"r-{tag}"
        )
    )
    stage.job_ids.append(made.job.job_id)
    stage.prompt_ids.append(made.prompt.prompt_id)
    ids = (made.job.job_id, made.prompt.prompt_id)
    stage.rows.append((*ids, Secret(title, namespace, **rule)))  # type: ignore[arg-type]
    stage.secrets += [Secret(text, namespace, **rule) for text in (title, label)]  # type: ignore[arg-type]
    stage.secrets.append(Secret(value, namespace))
    if answered:
        stage.secrets.append(Secret(given, namespace, **rule))  # type: ignore[arg-type]
        await owner.hitl.AnswerPrompt(
            hitl.AnswerPromptRequest(
                prompt_id=ids[1],
                answer_id="a",
                revision=1,
                decision=prompts.DECISION_RESPOND,
                values_json=f'{{"q":"{given}"}}',
            )
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


def token_file(folder: Path) -> Path:
    """The people's tokens, `<name>-token` each."""
    lines = []
    for person in PEOPLE:
        digest = hashlib.sha256(f"{person.name}-token".encode()).hexdigest()
        lines.append(
            f'[[tokens]]\nsha256 = "{digest}"\nsubject = "{person.name}"\n'
            f"roles = {json.dumps(person.roles)}\n"
            f"namespaces = {json.dumps(person.namespaces)}\ngroups = {json.dumps(person.groups)}\n"
        )
    path = folder / "tokens.toml"
    path.write_text("\n".join(lines))
    return path


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
