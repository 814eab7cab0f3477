"""Planted bugs, one per guarantee: the state machine must find each of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from askback_server.domain import job_rules, worker_rules
from askback_server.domain.aggregate import ANY_EPOCH, Change
from askback_server.domain.answers import Answer
from askback_server.domain.approvals import Approval
from askback_server.domain.commands import SessionRef
from askback_server.domain.delegations import Delegations
from askback_server.domain.errors import StorageUnavailable
from askback_server.domain.prompts import Prompt
from askback_server.domain.votes import Votes
from askback_server.engine.engine import Engine
from askback_server.engine.hot_jobs import HotJobs
from askback_server.storage.event_feed import EventFeed
from askback_server.storage.job_store import Jobs

Patch = pytest.MonkeyPatch
Plant = Callable[[Patch], None]


def _ignore_failed_guards(patch: Patch) -> None:
    write = Engine._write

    async def report_no_losers(self: Engine, groups: Sequence[Any]) -> dict[str, Any]:
        await write(self, groups)
        return {}

    patch.setattr(Engine, "_write", report_no_losers)


def _reply_without_a_commit(patch: Patch) -> None:
    write = Engine._write

    async def ignore_unavailability(self: Engine, groups: Sequence[Any]) -> Any:
        try:
            return await write(self, groups)
        except StorageUnavailable:
            return {}

    patch.setattr(Engine, "_write", ignore_unavailability)


def _keep_outdated_jobs(patch: Patch) -> None:
    patch.setattr(HotJobs, "outdate", lambda *_: None)


def _keep_older_image(patch: Patch) -> None:
    put = HotJobs.put

    def keep_first(self: HotJobs, aggregate: Any) -> Any:
        if aggregate.job is not None and aggregate.job.job_id in self._entries:
            return self._entries[aggregate.job.job_id].aggregate
        return put(self, aggregate)

    patch.setattr(HotJobs, "put", keep_first)


def _equal_digests(patch: Patch) -> None:
    patch.setattr(Answer, "digest", property(lambda _: "same"))


def _skip_fence(patch: Patch) -> None:
    def fence(job: Any, principal: Any, token: int, session: Any, facts: Any) -> SessionRef:
        return session or SessionRef(job.session_id or "", ANY_EPOCH)

    patch.setattr(worker_rules, "fence", fence)
    patch.setattr(job_rules, "fence", fence)


def _without(part: str) -> Plant:
    def plant(patch: Patch) -> None:
        require = Change.require

        def require_less(self: Change, **what: Any) -> None:
            require(self, **{k: v for k, v in what.items() if k != part})

        patch.setattr(Change, "require", require_less)

    return plant


def _forget_own_writes(patch: Patch) -> None:
    async def find_no_ids(*_: Any) -> set[str]:
        return set()

    patch.setattr(Jobs, "_ours", find_no_ids)


def _reuse_token(patch: Patch) -> None:
    put = Change.set

    def set_first_token(self: Change, **values: Any) -> None:
        put(self, **{k: 1 if k == "token" else v for k, v in values.items()})

    patch.setattr(Change, "set", set_first_token)


def _skip_wake_up_after_prompt(patch: Patch) -> None:
    from askback_server.domain import life

    patch.setattr(life, "_resume_job", lambda *_: None)


def _ignore_horizon(patch: Patch) -> None:
    after = EventFeed.after

    async def read_all(self: EventFeed, position: Any, limit: int, *, settled: bool = True) -> Any:
        return await after(self, position, limit, settled=False)

    patch.setattr(EventFeed, "after", read_all)


def _let_excluded_people_answer(patch: Patch) -> None:
    patch.setattr(Prompt, "excludes", lambda *_: False)


def _count_one_vote_less(patch: Patch) -> None:
    missing = Approval.missing
    patch.setattr(Approval, "missing", lambda self, people: missing(replace(self, required=1), people))


def _keep_withdrawn_votes(patch: Patch) -> None:
    patch.setattr(Votes, "end", lambda self, _: self)


def _keep_votes_of_other_content(patch: Patch) -> None:
    patch.setattr(Votes, "end_all", lambda self, shortfalls=(): replace(self, shortfalls=shortfalls))


def _keep_votes_of_ended_delegations(patch: Patch) -> None:
    patch.setattr(Delegations, "ended", lambda *_: [])


def _let_who_gave_its_right_away_answer(patch: Patch) -> None:
    patch.setattr(Delegations, "gone", frozenset())
    patch.setattr(Delegations, "has_given", lambda *_: False)


BUGS: dict[str, Plant] = {
    "delegations do not end": _keep_votes_of_ended_delegations,
    "a right that was given away remains": _let_who_gave_its_right_away_answer,
    "excluded people answer": _let_excluded_people_answer,
    "resolved with too few votes": _count_one_vote_less,
    "withdrawn votes count": _keep_withdrawn_votes,
    "votes survive an amendment": _keep_votes_of_other_content,
    "failed guard ignored": _ignore_failed_guards,
    "reply without a commit": _reply_without_a_commit,
    "memory not updated by the feed": _keep_outdated_jobs,
    "memory keeps the older image": _keep_older_image,
    "answer_id with other content": _equal_digests,
    "token not checked": _skip_fence,
    "session not guarded": _without("session"),
    "timeout without condition": _without("not_before"),
    "answer after the deadline": _without("not_after"),
    "own write not recognised": _forget_own_writes,
    "token not raised": _reuse_token,
    "answered and still waiting": _skip_wake_up_after_prompt,
}
ON_POSTGRES: dict[str, Plant] = {"cursor ignores the horizon": _ignore_horizon}
