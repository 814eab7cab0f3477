"""Named bugs, one for each promise: the simulator must find every one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from askback._wire import stream
from askback._worker.lease import Lease
from askback_server.domain.aggregate import Change
from askback_server.engine import grouping
from askback_server.engine.engine import Engine
from askback_server.engine.keeper import SessionKeeper
from askback_server.feed.feed import Feed
from askback_server.ports.queries import PromptFilter
from askback_server.ports.storage import Position
from askback_server.sessions import work
from askback_server.sessions.prompt_follower import PromptFollower
from askback_server.sessions.prompt_view import PromptView
from askback_server.sessions.work_core import WorkCore
from askback_server.sessions.work_frames import PromptResolved
from tests.simulate.database import SimulatedDatabase

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Bug:
    """How it is planted, and words of the verdict that must be given."""

    plant: Callable[[Patch], None]
    verdict: str
    seed: int = 1
    """Where to begin: what is rare is not far from here."""


def _token_moves_before_told(patch: Patch) -> None:
    def moved(self: PromptFollower, position: Any) -> None:
        self._safe = position

    patch.setattr(PromptFollower, "_advance", moved)


def _tomb_forgotten(patch: Patch) -> None:
    patch.setattr(PromptView, "_bury", lambda *_: None)


def _credit_not_counted(patch: Patch) -> None:
    take = PromptView.take

    def generous(self: PromptView, limit: int, token: str) -> Any:
        before = self.credit
        events = take(self, limit, token)
        self.credit = before
        return events

    patch.setattr(PromptView, "take", generous)


def _cursor_without_horizon(patch: Patch) -> None:
    patch.setattr(SimulatedDatabase, "horizon", property(lambda _: 1 << 60))


def _old_token_honoured(patch: Patch) -> None:
    async def whole(*_: Any) -> Position:
        return Position()

    patch.setattr(SimulatedDatabase, "tail", whole)


def _resume_below_the_horizon_only(patch: Patch) -> None:
    after = SimulatedDatabase.after

    async def settled_only(
        self: SimulatedDatabase, position: Any, limit: int, *, settled: bool = True
    ) -> Any:
        return await after(self, position, limit)

    patch.setattr(SimulatedDatabase, "after", settled_only)


def _live_before_reset(patch: Patch) -> None:
    patch.setattr(PromptView, "_is_undecided", property(lambda _: False))


def _older_image_replaces_newer(patch: Patch) -> None:
    offer = PromptView.offer

    def gullible(self: PromptView, prompt: Any) -> None:
        if prompt.prompt_id in self._told:
            self._told[prompt.prompt_id] = 0
        self._fresh.pop(prompt.prompt_id, None)
        offer(self, prompt)

    patch.setattr(PromptView, "offer", gullible)


def _end_not_told_after_resume(patch: Patch) -> None:
    patch.setattr(PromptView, "_may_be_known", lambda *_: False)


def _audience_not_asked(patch: Patch) -> None:
    matches = PromptFilter.matches

    def everybody(self: PromptFilter, prompt: Any) -> bool:
        return prompt.namespace == self.namespace or matches(self, prompt)

    patch.setattr(PromptFilter, "matches", everybody)


def _snapshot_before_attach(patch: Patch) -> None:
    attach, load = PromptFollower.attach, PromptFollower.load

    async def first(self: PromptFollower, token: str) -> None:
        await load(self, token)
        attach(self)

    patch.setattr(PromptFollower, "attach", lambda _: None)
    patch.setattr(PromptFollower, "load", first)


def _not_sent_again(patch: Patch) -> None:
    switch = stream.ReconnectingStream._switch

    def forgetful(self: stream.ReconnectingStream, connection: Any) -> None:
        unsent = set(self._unsent)
        resting = {ref: item.resting for ref, item in self._pending.items()}
        for ref, item in self._pending.items():
            if ref not in unsent:
                item.resting = item.resting or object()  # type: ignore[assignment]
        switch(self, connection)
        for ref, item in self._pending.items():
            item.resting = resting[ref]

    patch.setattr(stream.ReconnectingStream, "_switch", forgetful)


def _published_before_the_commit(patch: Patch) -> None:
    write = Engine._write

    async def hasty(self: Engine, groups: Sequence[Any]) -> Any:
        self._publish([group.to_committed() for group in groups])
        return await write(self, groups)

    patch.setattr(Engine, "_write", hasty)


def _gap_not_filled(patch: Patch) -> None:
    def news(self: Feed, item: Any) -> bool:
        if self._delivered.get(item.job.job_id, 0) >= item.job.version:
            return False
        self._remember(item.job.job_id, item.job.version)
        return True

    patch.setattr(Feed, "_note_news", news)


def _resolution_not_told_again(patch: Patch) -> None:
    async def none(*_: Any) -> list[Any]:
        return []

    # Either side would make up for the other.
    patch.setattr(work, "list_unconfirmed_prompts", none)
    patch.setattr(Lease, "catch_up", lambda _: None)


def _dead_worker_keeps_its_jobs(patch: Patch) -> None:
    async def nothing(*_: Any) -> bool:
        return False

    patch.setattr(SessionKeeper, "_return_job", nothing)


def _steps_left_behind(patch: Patch) -> None:
    parcel = work.lease_parcel

    async def without(*args: Any) -> Any:
        return replace(await parcel(*args), checkpoints=())

    patch.setattr(work, "lease_parcel", without)


def _answer_id_not_looked_up(patch: Patch) -> None:
    add = grouping.add_needs

    def less(wanted: Any, *args: Any) -> None:
        add(wanted, *args)
        wanted.submissions.clear()

    patch.setattr(grouping, "add_needs", less)


def _token_not_raised(patch: Patch) -> None:
    put = Change.set

    def stuck(self: Change, **values: Any) -> None:
        if "token" in values:
            values["token"] = 1
        put(self, **values)

    patch.setattr(Change, "set", stuck)


def _resolution_told_twice(patch: Patch) -> None:
    def tell(self: WorkCore, held: Any, prompt: Any) -> None:
        self.stream.push(PromptResolved(prompt))

    patch.setattr(WorkCore, "_tell_resolution", tell)


WORK: dict[str, Bug] = {
    "resolution not told again": Bug(_resolution_not_told_again, "not well"),
    "dead worker keeps its jobs": Bug(_dead_worker_keeps_its_jobs, "not well"),
    "steps left behind": Bug(_steps_left_behind, "a step is done again"),
    "answer_id not looked up": Bug(_answer_id_not_looked_up, "one answer_id, two results"),
    "token not raised": Bug(_token_not_raised, ""),
    "resolution told twice": Bug(_resolution_told_twice, "told twice on a stream"),
}

CONVERSE: dict[str, Bug] = {
    "token moves before told": Bug(_token_moves_before_told, "a token skips"),
    "tomb forgotten": Bug(_tomb_forgotten, ""),
    "credit not counted": Bug(_credit_not_counted, "on a credit of"),
    "cursor without horizon": Bug(_cursor_without_horizon, ""),
    "old token honoured": Bug(_old_token_honoured, "no Reset first"),
    "resume below the horizon only": Bug(_resume_below_the_horizon_only, "a token skips", seed=210),
    "live before Reset": Bug(_live_before_reset, "no Reset first", seed=1950),
    "older image replaces newer": Bug(_older_image_replaces_newer, "after"),
    "end not told after resume": Bug(_end_not_told_after_resume, ""),
    "audience not asked": Bug(_audience_not_asked, "may not see it"),
    "snapshot before attach": Bug(_snapshot_before_attach, ""),
    "not sent again": Bug(_not_sent_again, "not well"),
    "published before the commit": Bug(_published_before_the_commit, "not committed"),
    "gap not filled": Bug(_gap_not_filled, ""),
}
