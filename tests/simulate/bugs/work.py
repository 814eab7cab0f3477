"""Planted bugs of the Work stream."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from askback._worker.lease import Lease
from askback_server.domain.aggregate import Change
from askback_server.engine import grouping
from askback_server.engine.commit_bus import CommitBus
from askback_server.engine.keeper import SessionKeeper
from askback_server.sessions import work
from askback_server.sessions.work_core import WorkCore
from askback_server.sessions.work_frames import PromptResolved
from tests.simulate.bugs.planted import Bug, Patch
from tests.simulate.database import SimulatedDatabase


def _push_no_cancellation(patch: Patch) -> None:
    patch.setattr(WorkCore, "_push_cancel", lambda *_: None)


def _ignore_held_jobs(patch: Patch) -> None:
    patch.setattr(CommitBus, "has_followers", lambda *_: False)


def _skip_unconfirmed_resolutions(patch: Patch) -> None:
    async def none(*_: Any) -> list[Any]:
        return []

    # Server and client each repair the loss, so disable both.
    patch.setattr(SimulatedDatabase, "list_unconfirmed", none)
    patch.setattr(Lease, "catch_up", lambda _: None)


def _keep_jobs_of_dead_workers(patch: Patch) -> None:
    async def nothing(*_: Any) -> bool:
        return False

    patch.setattr(SessionKeeper, "_return_job", nothing)


def _omit_checkpoints(patch: Patch) -> None:
    read = work.read_lease_data

    async def without_checkpoints(*args: Any) -> Any:
        return replace(await read(*args), checkpoints=())

    patch.setattr(work, "read_lease_data", without_checkpoints)


def _skip_answer_lookup(patch: Patch) -> None:
    add = grouping.add_needs

    def add_without_submissions(wanted: Any, *args: Any) -> None:
        add(wanted, *args)
        wanted.submissions.clear()

    patch.setattr(grouping, "add_needs", add_without_submissions)


def _reuse_token(patch: Patch) -> None:
    put = Change.set

    def set_first_token(self: Change, **values: Any) -> None:
        if "token" in values:
            values["token"] = 1
        put(self, **values)

    patch.setattr(Change, "set", set_first_token)


def _push_resolutions_twice(patch: Patch) -> None:
    def push_resolution(self: WorkCore, held: Any, prompt: Any) -> None:
        self.stream.push(PromptResolved(prompt))

    patch.setattr(WorkCore, "_push_resolution", push_resolution)


def _push_the_late_answer_only(patch: Patch) -> None:
    push = WorkCore._push_resolutions

    def as_if_sent(self: WorkCore, held: Any, prompts: Any, late: Any) -> None:
        for prompt_id in late:
            held.sent_versions.setdefault(prompt_id, 0)
        push(self, held, prompts, late)

    patch.setattr(WorkCore, "_push_resolutions", as_if_sent)


WORK: dict[str, Bug] = {
    "resolution not sent again": Bug(_skip_unconfirmed_resolutions, "not settled"),
    "dead worker keeps its jobs": Bug(_keep_jobs_of_dead_workers, "not settled"),
    "checkpoints omitted": Bug(_omit_checkpoints, "a step is repeated"),
    "answer_id not looked up": Bug(_skip_answer_lookup, "one answer_id, two results"),
    "token not raised": Bug(_reuse_token, ""),
    "resolution sent twice": Bug(_push_resolutions_twice, "sent twice on a stream"),
}

CONTEST: dict[str, Bug] = {
    "cancellation not sent": Bug(_push_no_cancellation, "a cancellation is not sent"),
    "held jobs not followed": Bug(_ignore_held_jobs, "not settled"),
    "late answer without resolution": Bug(
        _push_the_late_answer_only, "a late answer is sent before the resolution"
    ),
}
