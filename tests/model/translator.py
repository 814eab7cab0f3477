"""Translate the reference model's calls into commands, and replies and rows back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from askback_server.domain import commands as c
from askback_server.domain import routing_commands as r
from askback_server.domain import vote_commands as v
from askback_server.domain.answers import Answer
from askback_server.domain.commands import PromptRef, SessionRef
from askback_server.domain.content import DefaultAnswer, Exclusion, FinalAction, PromptContent
from askback_server.domain.decisions import Decision
from askback_server.domain.delegations import DelegationCause, DelegationMode
from askback_server.domain.events import Event, EventType
from askback_server.domain.jobs import Failure, Job, Progress
from askback_server.domain.principals import Principal, Role
from askback_server.domain.prompts import AnswerResult, Prompt
from askback_server.domain.replies import JobCreated, PromptAsked
from tests.model.manual_clock import ManualClock
from tests.model.rule_changes import approval_of, audience_of, rule_name_of
from tests.model.state import Reply
from tests.support.aggregates import ADMIN, ANN, BOB, CLIENT, OTHER_WORKER, WORKER

CID = Principal("cid", frozenset({Role.CONSOLE}))
DAN = Principal("dan", frozenset({Role.CONSOLE}), groups=frozenset({"ops"}))
PEOPLE: dict[str, Principal] = {p.subject: p for p in (ANN, BOB, CID, DAN, WORKER, OTHER_WORKER)}
UNKNOWN_ID = "00000000-0000-7000-8000-000000000000"


def content_of(ask: dict[str, Any]) -> PromptContent:
    final = FinalAction(ask["final"])
    return PromptContent(
        kind="confirm",
        title=ask["title"],
        blocking=ask["blocking"],
        timeout=timedelta(seconds=ask["timeout"]) if ask["timeout"] else None,
        final_action=final,
        default_answer=DefaultAnswer(Decision.REJECT) if final is FinalAction.DEFAULT else None,
        audience=audience_of(ask["to"], ask["names"]),
        approval=approval_of(ask["needs"]),
        priority=ask["priority"],
        labels={"env": ask["env"]} if ask["env"] else {},
        metadata_json=json.dumps({"tool": ask["tool"]}) if ask["tool"] else "",
        exclusion=Exclusion(answerers_of=ask["not_by"]) if ask["not_by"] else None,
    )


class Translator:
    """Maps the model's names to the ids of jobs, prompts and sessions."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.jobs: dict[str, str] = {}
        self.prompts: dict[tuple[str, str], str] = {}
        self.sessions: dict[str, str] = {}
        self.session_names: dict[str, str] = {}
        self._rule_answers: dict[tuple[str, str], str] = {}
        """The ids of the answers of rules, by prompt and by their names in the model."""

    # --- to the server ---

    def command(self, verb: str, job: str, **what: Any) -> c.Command:
        """Translate a call into a command."""
        what.pop("at", None)  # the replica: for the reference model only
        if "id" in what:
            prompt_id = self.prompts.get((job, what.get("key", "")), "")
            what["id"] = self._rule_answers.get((prompt_id, what["id"]), what["id"])
        made: c.Command = getattr(self, f"_{verb}")(job, self.jobs.get(job, UNKNOWN_ID), **what)
        return made

    def _create(self, job: str, _: str, ask: Any, attempts: int, priority: int) -> c.Command:
        return c.CreateJob(
            principal=CLIENT,
            namespace="",
            job_type="refund",
            request_id=job,
            priority=priority,
            max_attempts=attempts,
            prompt=content_of(ask) if ask else None,
        )

    def _update(self, _: str, job_id: str, priority: int) -> c.Command:
        return c.UpdateJob(principal=CLIENT, job_id=job_id, values={"priority": priority})

    def _cancel(self, _: str, job_id: str) -> c.Command:
        return c.CancelJob(principal=CLIENT, job_id=job_id)

    def _delete(self, _: str, job_id: str) -> c.Command:
        return c.DeleteJob(principal=CLIENT, job_id=job_id)

    def _lease(self, _: str, job_id: str, session: str, epoch: int, who: str) -> c.Command:
        at = SessionRef(self.sessions[session], epoch)
        return c.LeaseJob(principal=PEOPLE[who], job_id=job_id, session=at, worker_id=who)

    def _holder(self, job_id: str, who: str, token: int, epoch: int, session: str) -> dict[str, Any]:
        at = SessionRef(self.sessions[session], epoch) if epoch else None
        return {"principal": PEOPLE[who], "job_id": job_id, "token": token, "session": at}

    def _ask(self, _: str, job_id: str, key: str, ask: Any, instead: Any, **holder: Any) -> c.Command:
        held = self._holder(job_id, **holder)
        return c.AskPrompt(**held, key=key, content=content_of(ask), supersedes=tuple(instead))

    def _receive(self, job: str, job_id: str, key: str, **holder: Any) -> c.Command:
        ids = (self.prompts.get((job, key), UNKNOWN_ID),)
        return c.AcknowledgePrompts(**self._holder(job_id, **holder), prompt_ids=ids)

    def _progress(self, _: str, job_id: str, done: int, **holder: Any) -> c.Command:
        return c.ReportProgress(**self._holder(job_id, **holder), progress=Progress(done=done))

    def _step(self, _: str, job_id: str, key: str, value: str, **holder: Any) -> c.Command:
        return c.SaveCheckpoint(**self._holder(job_id, **holder), key=key, value_json=value)

    def _complete(self, _: str, job_id: str, result: str, **holder: Any) -> c.Command:
        return c.CompleteJob(**self._holder(job_id, **holder), result_json=result)

    def _fail(self, _: str, job_id: str, again: bool, **holder: Any) -> c.Command:
        return c.FailJob(**self._holder(job_id, **holder), failure=Failure("E", "no"), retryable=again)

    def _release(self, _: str, job_id: str, **holder: Any) -> c.Command:
        return c.ReleaseJob(**self._holder(job_id, **holder))

    def _ref(self, job: str, job_id: str, key: str) -> PromptRef:
        known = self.prompts.get((job, key))
        # Use both kinds of references.
        return PromptRef(prompt_id=known) if known and len(key) % 2 else PromptRef(job_id=job_id, key=key)

    def _answer(
        self,
        job: str,
        job_id: str,
        key: str,
        who: str,
        id: str,
        revision: int,
        decision: str,
        why: str,
        unseen: bool,
    ) -> c.Command:
        return c.AnswerPrompt(
            principal=PEOPLE[who],
            ref=self._ref(job, job_id, key),
            answer_id=id,
            revision=revision,
            decision=Decision(decision),
            comment=why,
            shown_digest="0" * 64 if unseen else "",
        )

    def _override(self, job: str, job_id: str, key: str, id: str, revision: int, decision: str) -> c.Command:
        return v.OverridePrompt(
            principal=ADMIN,
            ref=self._ref(job, job_id, key),
            answer_id=id,
            revision=revision,
            decision=Decision(decision),
            comment="so",
        )

    def _unvote(self, job: str, job_id: str, key: str, who: str, id: str) -> c.Command:
        return v.WithdrawAnswer(principal=PEOPLE[who], ref=self._ref(job, job_id, key), answer_id=id)

    def _delegate(self, job: str, job_id: str, key: str, who: str, to: str, moved: bool) -> c.Command:
        mode = DelegationMode.TRANSFER if moved else DelegationMode.ADD
        return r.DelegatePrompt(principal=PEOPLE[who], ref=self._ref(job, job_id, key), user=to, mode=mode)

    def _take_back(self, job: str, job_id: str, key: str, who: str, to: str) -> c.Command:
        return r.ReturnPrompt(principal=PEOPLE[who], ref=self._ref(job, job_id, key), user=to)

    def _claim(self, job: str, job_id: str, key: str, who: str) -> c.Command:
        return c.ClaimPrompt(principal=PEOPLE[who], ref=self._ref(job, job_id, key))

    def _unclaim(self, job: str, job_id: str, key: str, who: str) -> c.Command:
        return c.ReleasePrompt(principal=PEOPLE[who], ref=self._ref(job, job_id, key))

    def _withdraw(self, job: str, job_id: str, key: str) -> c.Command:
        return c.CancelPrompt(principal=CLIENT, ref=self._ref(job, job_id, key))

    def _expire(self, _: str, job_id: str) -> c.Command:
        return c.RunDue(job_id=job_id)

    def _review(self, _: str, job_id: str) -> c.Command:
        return r.ReviewAbsences(job_id=job_id)

    # --- from the server ---

    def reply(self, verb: str, result: Any) -> Reply:
        """Translate a reply of the engine."""
        match result:
            case JobCreated():
                return ("created", result.replayed)
            case Job() if verb == "lease":
                return ("leased", result.token)
            case Job():
                return ("job", str(result.state))
            case PromptAsked(prompt, replayed):
                return ("prompt", prompt.round, prompt.revision, str(prompt.state), replayed)
            case AnswerResult():
                return (str(result.status), result.replayed, winner_of(result.prompt))
        return ("ok",)

    def learn(self, stored: dict[str, Any], logs: Mapping[str, Sequence[Event]]) -> dict[str, Any]:
        """Note the ids of stored rows. Returns the rows in the form of the reference model."""
        seen: dict[str, Any] = {}
        for entry in stored.values():
            job: Job = entry["job"]
            name = job.request_id
            self.jobs[name] = job.job_id
            for prompt in entry["prompts"].values():
                self.prompts[name, prompt.key] = prompt.prompt_id
            seen[name] = {**self._to_model(entry), "uses": _uses_of(entry, logs.get(job.job_id, ()))}
        return seen

    def _to_model(self, entry: dict[str, Any]) -> dict[str, Any]:
        job: Job = entry["job"]
        since = self._clock.since
        result = job.result_json
        if job.workerless and result:
            result = json.loads(result)["state"]
        prompts = {}
        for p in entry["prompts"].values():
            given = [s for (of, _), s in entry["answers"].items() if of == p.prompt_id]
            answers = {_answer_name(s.answer): str(s.status) for s in given}
            self._rule_answers |= {(p.prompt_id, _answer_name(s.answer)): s.answer.answer_id for s in given}
            prompts[p.key] = {
                "title": p.content.title,
                "asks": _asks_of(p.content),
                "round": p.round,
                "revision": p.revision,
                "state": str(p.state),
                "until": since(p.expires_at),
                "claim": (p.claimed_by, since(p.claimed_until)),
                "received": p.consumed_at is not None,
                "winner": winner_of(p),
                "answers": answers,
                "votes": [(v.user_id, _answer_name(v.answer)) for v in p.votes.live] if p.votes else [],
                "voted": p.votes.earlier if p.votes else frozenset(),
                "out": p.content.exclusion.users if p.content.exclusion else frozenset(),
                "given": self._given(p),
                "skipped": set(p.content.delegations.skipped) if p.content.delegations else set(),
            }
        return {
            "state": str(job.state),
            "token": job.token,
            "attempt": job.attempt,
            "holder": job.holder,
            "session": self.session_names.get(job.session_id or ""),
            "ready": since(job.ready_at),
            "cancel_requested": job.cancel_requested_at is not None,
            "grace": since(job.cancel_at),
            "purge": since(job.purge_at),
            "result": result,
            "priority": job.priority,
            "progress": job.progress.done if job.progress else None,
            "steps": entry["steps"],
            "prompts": prompts,
        }

    def _given(self, prompt: Prompt) -> list[tuple[Any, ...]]:
        given = prompt.content.delegations
        return [
            (
                d.holder,
                d.giver,
                d.user,
                d.mode is DelegationMode.TRANSFER,
                d.cause is DelegationCause.ABSENCE,
                self._clock.since(d.until),
            )
            for d in (given.active if given is not None else ())
        ]


def winner_of(prompt: Prompt) -> str:
    """What resolved a prompt: an answer's id, `default`, or the state of a prompt without an answer."""
    end = prompt.resolution
    if end is None:
        return ""
    if end.answer is None:
        return str(end.state)
    return "default" if end.answer.answer_id.startswith("default:") else _answer_name(end.answer)


def _answer_name(answer: Answer) -> str:
    """An answer's id in the model. That of a rule is made of the rule's name and the prompt's revision there:
    the last part of its id is new each time."""
    if not answer.rule:
        return answer.answer_id
    rule_id, _, revision = answer.rule.partition("@")
    return f"rule:{rule_name_of(rule_id)}@{revision}:{answer.revision}"


def _asks_of(content: PromptContent) -> tuple[Any, ...]:
    """Whom a prompt asks, how many, and how urgently."""
    approval = content.approval
    needs = (approval.required, approval.reject_at, approval.rules_may_fill) if approval else None
    return content.audience, needs, content.priority


def _uses_of(entry: dict[str, Any], log: Sequence[Event]) -> dict[str, int]:
    """How often each rule has routed or answered a prompt of a job, as its log and its answers say."""
    routed = (event.data or {} for event in log if event.type is EventType.PROMPT_RULED)
    refs = [str(ref) for data in routed for ref in data.get("routed", ())]
    refs += [s.answer.rule for s in entry["answers"].values() if s.answer.rule]
    return dict(Counter(f"{rule_name_of(ref[:36])}{ref[36:]}" for ref in refs))
