"""Random callers make random calls with ids of others, and everything they receive is searched for secrets.

Each secret (`canary`) has a rule that says who may ever see it. Nothing that a caller receives, including
error texts and trailers, may contain another secret. A caller must get the same reply for an object that it
may not see and for one that does not exist.
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
"""Seconds of silence after which a stream is cancelled."""
_ID = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{12}-[0-9a-f]+|b'.*?'"
)


@dataclass(frozen=True)
class User:
    """A user: an entry of the token file."""

    name: str
    roles: Sequence[str]
    namespaces: Sequence[str] = ("red",)
    groups: Sequence[str] = ()

    def is_asker(self, namespace: str) -> bool:
        """Whether the user may read every prompt of the namespace."""
        return namespace in self.namespaces and not {"client", "worker", "admin"}.isdisjoint(self.roles)


USERS = (
    User("owner", ["client", "worker", "console"], ["red", "blue"], ["law", "desk"]),
    User("client", ["client"]),
    User("worker", ["worker"]),
    User("admin", ["admin"]),
    User("lawyer", ["console"], groups=["law"]),
    User("ana", ["console"]),
    User("eve", ["console"]),
    User("bluefolk", ["client", "worker", "console"], ["blue"], ["law"]),
    User("nothing", ["console"], ["green"], ["law"]),
)


@dataclass(frozen=True)
class Secret:
    """A text that only some users may ever receive."""

    text: str
    namespace: str
    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    is_open: bool = False
    """Whether it belongs to a prompt for every console of the namespace."""

    def may_see(self, user: User) -> bool:
        """Whether the user may receive the text."""
        if user.is_asker(self.namespace):
            return True
        if self.namespace not in user.namespaces or "console" not in user.roles:
            return False
        return self.is_open or user.name in self.users or not self.groups.isdisjoint(user.groups)


@dataclass
class StoredSecrets:
    """The stored secrets, and ids to try."""

    secrets: list[Secret] = field(default_factory=list)
    job_ids: list[str] = field(default_factory=list)
    prompt_ids: list[str] = field(default_factory=list)
    rows: list[tuple[str, str, Secret]] = field(default_factory=list)
    """(job id, prompt id, rule for seeing them) of each job."""

    @property
    def absent(self) -> list[str]:
        """Well-formed ids that do not exist."""
        return [f"{job_id[:-6]}000000" for job_id in self.job_ids]

    def pairs_hidden_from(self, user: User) -> list[tuple[tuple[str, str], tuple[str, str]]]:
        """The (job id, prompt id) pairs that the user may not see, each with a pair that does not exist."""
        return [
            ((job_id, prompt_id), (f"{job_id[:-6]}000000", f"{prompt_id[:-6]}000000"))
            for job_id, prompt_id, known in self.rows
            if not known.may_see(user)
        ]


async def store_secrets(owner: Caller) -> StoredSecrets:
    """Create jobs in two namespaces: some without a worker, with open and answered prompts for everyone, for
    a group and for a user; others with a worker and prompts for a group and a user, one per way to end."""
    stored = StoredSecrets()
    for namespace in ("red", "blue"):
        for audience in ("all", "law", "ana"):
            for answered in (False, True):
                await _one(owner, stored, namespace, audience, answered)
        for end in ("retried", "failed", "completed", "cancelled"):
            await _run(owner, stored, namespace, end)
    return stored


async def _run(owner: Caller, stored: StoredSecrets, namespace: str, end: str) -> None:
    """Run a job with a secret in each text field. The audience of its prompts sees progress and labels."""

    def secret(what: str, *, users: Sequence[str] = (), groups: Sequence[str] = ()) -> str:
        made = Secret(f"canary-{what}-{namespace}-{end}", namespace, frozenset(users), frozenset(groups))
        stored.secrets.append(made)
        return made.text

    def audience_secret(what: str) -> str:
        return secret(what, users=["ana"], groups=["law"])

    create = jobs.CreateJobRequest(
        namespace=namespace,
        job_type="run",
        labels={"l": audience_secret("job-label")},
        input_json=f'"{secret("run-input")}"',
        request_id=f"{secret('request-id')}-{uuid4()}",
    )
    await owner.jobs.CreateJob(create)
    lease = workers.LeaseJobsRequest(
        namespace=namespace, worker_id=audience_secret("worker-id"), job_types=["run"], wait={"seconds": 5}
    )
    [leased] = (await owner.workers.LeaseJobs(lease)).jobs
    held = {"job_id": leased.job.job_id, "token": leased.token}
    await owner.workers.SaveCheckpoint(
        workers.SaveCheckpointRequest(
            key=secret("checkpoint-key"), value_json=f'"{secret("checkpoint")}"', **held
        )
    )
    report = workers.ReportProgressRequest(
        progress={"message": audience_secret("progress")}, milestone=True, **held
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
    stored.job_ids.append(held["job_id"])
    stored.prompt_ids += [prompt.prompt_id for prompt in asked]
    known = Secret("", namespace, frozenset({"ana"}), frozenset({"law"}))
    stored.rows.append((held["job_id"], asked[0].prompt_id, known))


async def _one(owner: Caller, stored: StoredSecrets, namespace: str, audience: str, answered: bool) -> None:
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
    stored.job_ids.append(made.job.job_id)
    stored.prompt_ids.append(made.prompt.prompt_id)
    ids = (made.job.job_id, made.prompt.prompt_id)
    stored.rows.append((*ids, Secret(title, namespace, **rule)))  # type: ignore[arg-type]
    stored.secrets += [Secret(text, namespace, **rule) for text in (title, label)]  # type: ignore[arg-type]
    stored.secrets.append(Secret(value, namespace))
    if answered:
        stored.secrets.append(Secret(given, namespace, **rule))  # type: ignore[arg-type]
        await owner.hitl.AnswerPrompt(
            hitl.AnswerPromptRequest(
                prompt_id=ids[1],
                answer_id="a",
                revision=1,
                decision=prompts.DECISION_RESPOND,
                values_json=f'{{"q":"{given}"}}',
            )
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


async def attempt(world: World, user: User, rng: random.Random, stored: StoredSecrets) -> Attempt:
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

    async def requests() -> Any:
        yield message
        await asyncio.sleep(QUIET)

    outcome, received = await _receive(call(requests(), timeout=4 * QUIET))
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
            there, nowhere = _naming(method.input_type, hidden), _naming(method.input_type, absent)
            if there != nowhere:
                pairs.append((stub, method.name, there, nowhere))
    return pairs


def _naming(kind: Any, ids: tuple[str, str]) -> Any:
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


async def answers_of(world: World, user: User, pair: tuple[Any, str, Any, Any]) -> tuple[str, str]:
    """The replies that the user gets for the two requests, with ids masked."""
    stub, method, *requests = pair
    call = getattr(getattr(world.with_token(f"{user.name}-token"), stub), method)
    found = []
    for request in requests:
        _, received = await _receive(call(request, timeout=10))
        found.append(_ID.sub("ID", received))
    return found[0], found[1]


def token_file(folder: Path) -> Path:
    """Write the token file: the token of each user is `<name>-token`."""
    lines = []
    for user in USERS:
        digest = hashlib.sha256(f"{user.name}-token".encode()).hexdigest()
        lines.append(
            f'[[tokens]]\nsha256 = "{digest}"\nsubject = "{user.name}"\n'
            f"roles = {json.dumps(user.roles)}\n"
            f"namespaces = {json.dumps(user.namespaces)}\ngroups = {json.dumps(user.groups)}\n"
        )
    path = folder / "tokens.toml"
    path.write_text("\n".join(lines))
    return path


async def search(world: World, attempts: int, seed: int, at_once: int = 16) -> list[str]:
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
