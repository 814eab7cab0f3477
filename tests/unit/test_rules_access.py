"""Permissions: the roles of each command, and that hidden jobs and prompts look like missing ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from askback_server.domain import commands as c
from askback_server.domain import routing_commands as r
from askback_server.domain import vote_commands as v
from askback_server.domain.apply import RULES
from askback_server.domain.approvals import Approval
from askback_server.domain.content import Audience, PromptContent
from askback_server.domain.delegations import DelegationMode
from askback_server.domain.errors import (
    AskbackError,
    InvalidField,
    JobNotFound,
    LeaseLost,
    PermissionDenied,
    PromptNotFound,
)
from askback_server.domain.jobs import Failure, Progress
from askback_server.domain.principals import SYSTEM, Principal, Role
from askback_server.domain.prompts import AnswerStatus
from tests.support.aggregates import ADMIN, ANN, BOB, S2, STRANGER, JobWorld, question, waiting

ALL = frozenset(Role)
PERSON = {"values": {"promoted": True}}

# The roles that each command of the API needs, as documented in the protos. Admins may run all.
ROLES: dict[type[c.Command], tuple[set[Role], Callable[[JobWorld, Principal], Any]]] = {
    c.CreateJob: ({Role.CLIENT}, lambda w, who: JobWorld().create(principal=who)),
    c.UpdateJob: ({Role.CLIENT}, lambda w, who: w.on_job(c.UpdateJob, principal=who, **PERSON)),
    c.CancelJob: ({Role.CLIENT}, lambda w, who: w.on_job(c.CancelJob, principal=who)),
    c.DeleteJob: ({Role.CLIENT}, lambda w, who: (w.complete(), w.on_job(c.DeleteJob, principal=who))),
    c.LeaseJob: ({Role.WORKER}, lambda w, who: lease_as(w, who)),
    c.ReportProgress: ({Role.WORKER}, lambda w, who: hold(w, who, c.ReportProgress, progress=Progress())),
    c.AskPrompt: ({Role.WORKER}, lambda w, who: hold(w, who, c.AskPrompt, key="b", content=question())),
    c.AcknowledgePrompts: ({Role.WORKER}, lambda w, who: hold(w, who, c.AcknowledgePrompts, prompt_ids=())),
    c.SaveCheckpoint: (
        {Role.WORKER},
        lambda w, who: hold(w, who, c.SaveCheckpoint, key="k", value_json="1"),
    ),
    c.CompleteJob: ({Role.WORKER}, lambda w, who: hold(w, who, c.CompleteJob)),
    c.FailJob: ({Role.WORKER}, lambda w, who: hold(w, who, c.FailJob, failure=Failure("E", "m"))),
    c.ReleaseJob: ({Role.WORKER}, lambda w, who: hold(w, who, c.ReleaseJob)),
    c.UpdateUnderstanding: (
        {Role.CLIENT, Role.WORKER},
        lambda w, who: hold(w, who, c.UpdateUnderstanding, values={"complete": True}),
    ),
    c.AnswerPrompt: ({Role.CONSOLE}, lambda w, who: w.answer(principal=who)),
    v.OverridePrompt: ({Role.ADMIN}, lambda w, who: w.override(principal=who)),
    v.WithdrawAnswer: (
        {Role.CONSOLE},
        lambda w, who: with_vote(w, who).on_prompt(v.WithdrawAnswer, principal=who, answer_id="vote"),
    ),
    c.ClaimPrompt: ({Role.CONSOLE}, lambda w, who: w.on_prompt(c.ClaimPrompt, principal=who)),
    c.ReleasePrompt: ({Role.CONSOLE}, lambda w, who: w.on_prompt(c.ReleasePrompt, principal=who)),
    r.DelegatePrompt: (
        {Role.CONSOLE},
        lambda w, who: w.on_prompt(r.DelegatePrompt, principal=who, user="dan", mode=DelegationMode.ADD),
    ),
    r.ReturnPrompt: ({Role.CONSOLE}, lambda w, who: w.on_prompt(r.ReturnPrompt, principal=who)),
    r.ReroutePrompt: (
        {Role.CLIENT, Role.WORKER},
        lambda w, who: w.on_prompt(r.ReroutePrompt, principal=who, priority=5),
    ),
    c.CancelPrompt: (
        {Role.CLIENT, Role.WORKER},
        lambda w, who: w.on_prompt(c.CancelPrompt, principal=who),
    ),
}
INTERNAL = {r.ReviewAbsences, c.DropLease, c.RunDue, c.EndGrace, c.LoseSession, c.PurgeJob, c.ReviewPresence}


def with_vote(world: JobWorld, who: Principal) -> JobWorld:
    """With a vote of the principal on the prompt."""
    world.ask("a", question(approval=Approval(2)))
    world.answer("vote", principal=replace(who, roles=frozenset({Role.CONSOLE})))
    return world


def lease_as(world: JobWorld, who: Principal) -> Any:
    world.complete()
    fresh = JobWorld()
    fresh.create()
    return fresh.lease(S2, who)


def hold(world: JobWorld, who: Principal, kind: type[c.OnJob], **fields: Any) -> Any:
    """Run as the holder: the job is leased by this principal."""
    assert world.aggregate.job is not None
    job = replace(world.aggregate.job, holder=who.subject)
    world.aggregate = replace(world.aggregate, job=job)
    return world.on_job(kind, principal=who, token=job.token, **fields)


def test_every_command_of_the_api_has_its_roles() -> None:
    assert set(ROLES) | INTERNAL == set(RULES)


@pytest.mark.parametrize("kind", ROLES, ids=lambda k: k.__name__)
@pytest.mark.parametrize("role", Role)
def test_a_command_is_allowed_only_with_one_of_its_roles(kind: type[c.Command], role: Role) -> None:
    needed, act = ROLES[kind]
    who = Principal("somebody", frozenset({role}))
    if role is Role.ADMIN or role in needed:
        act(waiting(), who)
        return
    with pytest.raises(PermissionDenied) as refused:
        act(waiting(), who)
    assert set(refused.value.metadata["needs"].split(" or ")) == {r.value for r in needed}


@pytest.mark.parametrize("kind", ROLES, ids=lambda k: k.__name__)
def test_a_principal_without_roles_is_refused_every_command(kind: type[c.Command]) -> None:
    with pytest.raises(PermissionDenied):
        ROLES[kind][1](waiting(), Principal("nina"))


@pytest.mark.parametrize("kind", [k for k in ROLES if issubclass(k, c.OnJob)], ids=lambda k: k.__name__)
@pytest.mark.parametrize("role", [Role.ADMIN, None])
def test_a_job_of_another_namespace_does_not_exist(kind: type[c.OnJob], role: Role | None) -> None:
    _, act = ROLES[kind]
    who = Principal("carl", ALL if role is None else frozenset({role}), ("elsewhere",))
    if kind is c.LeaseJob:
        world = JobWorld()
        world.create()
        with pytest.raises(JobNotFound):
            world.lease(S2, who)
        return
    with pytest.raises(JobNotFound):
        act(waiting(), who)


@pytest.mark.parametrize("kind", [k for k in ROLES if issubclass(k, c.OnPrompt)], ids=lambda k: k.__name__)
def test_a_prompt_of_another_namespace_does_not_exist(kind: type[c.OnPrompt]) -> None:
    needed, act = ROLES[kind]
    with pytest.raises(PromptNotFound):
        act(waiting(), replace(STRANGER, roles=STRANGER.roles | needed))


def test_a_foreign_namespace_is_refused() -> None:
    with pytest.raises(PermissionDenied) as refused:
        JobWorld().create(namespace="elsewhere")
    assert refused.value.metadata == {"needs": "namespace elsewhere"}
    two = Principal("carl", frozenset({Role.CLIENT}), ("first", "second"))
    assert JobWorld().create(principal=two).job.namespace == "first"
    assert JobWorld().create(principal=two, namespace="second").job.namespace == "second"


def test_an_invalid_namespace_name_is_refused_with_access_to_all() -> None:
    for namespace in ("a\0b", "no spaces", "x" * 129, ""):
        with pytest.raises(InvalidField, match="namespace"):
            JobWorld().create(principal=SYSTEM, namespace=namespace)
    assert JobWorld().create(principal=SYSTEM, namespace="team/a").job.namespace == "team/a"


LAW = question(audience=Audience(groups=frozenset({"law", "tax"})))
ONLY_BOB = question(audience=Audience(users=frozenset({"bob"})))
EITHER = question(audience=Audience(frozenset({"bob"}), frozenset({"law"})))


@pytest.mark.parametrize(
    ("content", "who", "sees"),
    [
        (question(), ANN, True),
        (question(), BOB, True),
        (LAW, ANN, True),
        (LAW, BOB, False),
        (LAW, ADMIN, True),
        (ONLY_BOB, ANN, False),
        (ONLY_BOB, BOB, True),
        (ONLY_BOB, ADMIN, True),
        (EITHER, ANN, True),
        (EITHER, BOB, True),
        (question(), STRANGER, False),
        (EITHER, STRANGER, False),
    ],
)
def test_only_the_audience_sees_and_answers_a_prompt(
    content: PromptContent, who: Principal, sees: bool
) -> None:
    world = waiting(content)
    acts: list[Callable[[], object]] = [
        lambda: world.on_prompt(c.ClaimPrompt, principal=who),
        lambda: world.on_prompt(c.ReleasePrompt, principal=who),
        lambda: world.answer(principal=who),
        lambda: world.answer("late", principal=who),
    ]
    assert world.prompt().is_for(who) is sees
    for act in acts:
        if sees:
            act()
        else:
            with pytest.raises(PromptNotFound):
                act()


def test_the_refusal_of_a_hidden_prompt_is_that_of_a_missing_one() -> None:
    world = waiting(ONLY_BOB)
    texts = set()
    for key in ("a", "zz"):
        with pytest.raises(PromptNotFound) as refused:
            world.answer(key=key, principal=ANN)
        texts.add((str(refused.value).replace(f"'{key}'", "KEY"), tuple(refused.value.metadata)))
    assert len(texts) == 1


def test_a_prompt_is_readable_by_its_audience_and_its_asker() -> None:
    prompt = waiting(ONLY_BOB).prompt()
    asker = Principal("x", frozenset({Role.WORKER}))
    for who, reads in [
        (BOB, True),
        (ANN, False),
        (ADMIN, True),
        (asker, True),
        (STRANGER, False),
        (Principal("bob"), False),
        (Principal("bob", ALL, ("elsewhere",)), False),
    ]:
        assert prompt.is_visible_to(who) is reads


def test_the_asker_withdraws_a_prompt_of_any_audience() -> None:
    world = waiting(ONLY_BOB)
    world.on_prompt(c.CancelPrompt)
    assert world.answer(principal=BOB).status is AnswerStatus.CLOSED


def test_a_worker_without_a_token_does_not_write_the_understanding() -> None:
    world = waiting()
    worker = Principal("wanda", frozenset({Role.WORKER}))
    for who, token in [(worker, 0), (worker, 2), (Principal("wim", frozenset({Role.WORKER})), 1)]:
        with pytest.raises(LeaseLost):
            world.on_job(c.UpdateUnderstanding, principal=who, token=token, values={"complete": True})


def test_errors_contain_ids_only() -> None:
    world = waiting(question("A secret title", body="A secret body"))
    for act in (
        lambda: world.answer(principal=STRANGER),
        lambda: world.on_job(c.CancelJob, principal=STRANGER),
    ):
        with pytest.raises(AskbackError) as refused:
            act()
        assert "secret" not in f"{refused.value} {refused.value.metadata}"
