"""The users, secrets and rows of the authorisation tests: who may ever see which text."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import prompt_pb2 as prompts
from askback.v1 import worker_service_pb2 as workers
from tests.support.service import Caller


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
        made = Secret(f"secret-{what}-{namespace}-{end}", namespace, frozenset(users), frozenset(groups))
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
    stored_prompts = []
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
        stored_prompts.append((await owner.workers.AskPrompt(ask)).prompt)
    await owner.hitl.AnswerPrompt(
        hitl.AnswerPromptRequest(
            prompt_id=stored_prompts[1].prompt_id,
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
    stored.prompt_ids += [prompt.prompt_id for prompt in stored_prompts]
    known = Secret("", namespace, frozenset({"ana"}), frozenset({"law"}))
    stored.rows.append((held["job_id"], stored_prompts[0].prompt_id, known))


async def _one(owner: Caller, stored: StoredSecrets, namespace: str, audience: str, answered: bool) -> None:
    tag = f"{namespace}-{audience}-{'answered' if answered else 'open'}"
    title, value, given, label = (f"secret-{what}-{tag}" for what in ("title", "input", "answer", "label"))
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
