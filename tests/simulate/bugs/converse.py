"""Planted bugs of the Converse stream and of the feed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from askback._console.console import ConverseProtocol
from askback._wire import stream
from askback_server.engine.engine import Engine
from askback_server.feed import announcing
from askback_server.feed.interests import Interests
from askback_server.feed.known import KnownChanges
from askback_server.ports.queries import PromptFilter
from askback_server.ports.storage import Position
from askback_server.sessions.prompt_follower import PromptFollower
from askback_server.sessions.prompt_view import PromptView
from askback_server.sessions.snapshot import Snapshot
from askback_server.sessions.tombstones import Tombstones
from tests.simulate.bugs.planted import Bug, Patch
from tests.simulate.database import SimulatedDatabase


def _advance_token_too_early(patch: Patch) -> None:
    def move_at_once(self: PromptFollower, position: Any) -> None:
        self._resume_position = position

    patch.setattr(PromptFollower, "_advance", move_at_once)


def _forget_tombstones(patch: Patch) -> None:
    patch.setattr(Tombstones, "add", lambda *_, **__: None)


def _ignore_credit(patch: Patch) -> None:
    take = PromptView.take

    def take_without_credit(self: PromptView, limit: int, token: str) -> Any:
        before = self.credit
        events = take(self, limit, token)
        self.credit = before
        return events

    patch.setattr(PromptView, "take", take_without_credit)


def _ignore_horizon(patch: Patch) -> None:
    patch.setattr(SimulatedDatabase, "horizon", property(lambda _: 1 << 60))


def _accept_old_tokens(patch: Patch) -> None:
    async def whole_log(*_: Any) -> Position:
        return Position()

    patch.setattr(SimulatedDatabase, "tail", whole_log)


def _resume_below_the_horizon_only(patch: Patch) -> None:
    after = SimulatedDatabase.after

    async def only_settled(
        self: SimulatedDatabase, position: Any, limit: int, *, settled: bool = True
    ) -> Any:
        return await after(self, position, limit)

    patch.setattr(SimulatedDatabase, "after", only_settled)


def _show_live_before_reset(patch: Patch) -> None:
    # The feed is followed only once the token was accepted, so both guards must be missing.
    attach, reach = PromptFollower._attach, PromptFollower._reach

    def attach_once(self: PromptFollower) -> None:
        if not self._stops:
            attach(self)

    async def follow_first(self: PromptFollower, token: str) -> Any:
        attach_once(self)
        return await reach(self, token)

    patch.setattr(PromptFollower, "_attach", attach_once)
    patch.setattr(PromptFollower, "_reach", follow_first)
    patch.setattr(PromptView, "_is_resuming", property(lambda _: False))


def _replace_newer_by_older(patch: Patch) -> None:
    offer = PromptView.offer

    def accept_any_version(self: PromptView, prompt: Any) -> None:
        if prompt.prompt_id in self._sent:
            self._sent[prompt.prompt_id] = 0
        self._pending.pop(prompt.prompt_id, None)
        offer(self, prompt)

    patch.setattr(PromptView, "offer", accept_any_version)


def _hide_ends_after_resume(patch: Patch) -> None:
    patch.setattr(PromptView, "_may_be_shown", lambda *_: False)


def _ignore_audience(patch: Patch) -> None:
    matches = PromptFilter.matches

    def any_user(self: PromptFilter, prompt: Any) -> bool:
        return prompt.namespace == self.namespace or matches(self, prompt)

    patch.setattr(PromptFilter, "matches", any_user)


def _snapshot_before_attach(patch: Patch) -> None:
    attach, load = PromptFollower._attach, PromptFollower.load

    async def first(self: PromptFollower, token: str) -> None:
        await load(self, token)
        attach(self)

    patch.setattr(PromptFollower, "_attach", lambda _: None)
    patch.setattr(PromptFollower, "load", first)


def _ignore_changes_while_a_page_is_read(patch: Patch) -> None:
    patch.setattr(Snapshot, "pass_by", lambda *_: None)


def _ignore_all_changes_while_reading(patch: Patch) -> None:
    patch.setattr(Snapshot, "is_unread", lambda self, _: self._frontier is not None)


def _show_what_is_read_later(patch: Patch) -> None:
    patch.setattr(Snapshot, "is_unread", lambda *_: False)


def _forget_where_a_page_ends(patch: Patch) -> None:
    read = PromptFollower._read_page

    async def read_once(self: PromptFollower, after: Any) -> None:
        await read(self, after)

    patch.setattr(PromptFollower, "_read_page", read_once)


def _skip_resending(patch: Patch) -> None:
    switch = stream.ReconnectingStream._switch

    def forget_sent(self: stream.ReconnectingStream, connection: Any) -> None:
        unsent = set(self._unsent)
        resend_timer = {ref: item.resend_timer for ref, item in self._pending.items()}
        for ref, item in self._pending.items():
            if ref not in unsent:
                item.resend_timer = item.resend_timer or object()  # type: ignore[assignment]
        switch(self, connection)
        for ref, item in self._pending.items():
            item.resend_timer = resend_timer[ref]

    patch.setattr(stream.ReconnectingStream, "_switch", forget_sent)


def _publish_before_commit(patch: Patch) -> None:
    write = Engine._write

    async def publish_first(self: Engine, groups: Sequence[Any]) -> Any:
        self._publish([group.to_committed() for group in groups])
        return await write(self, groups)

    patch.setattr(Engine, "_write", publish_first)


def _ignore_gaps(patch: Patch) -> None:
    def note(self: KnownChanges, job_id: str, after: int, seq: int) -> None:
        self._bus.note_version(job_id, seq)

    patch.setattr(KnownChanges, "note", note)


def _count_no_view(patch: Patch) -> None:
    patch.setattr(Interests, "add_view", lambda *_: lambda: None)


def _announce_by_the_newest_audience(patch: Patch) -> None:
    patch.setattr(announcing, "marks_of", lambda prompt: frozenset(announcing._marks(prompt)))


def _forget_failed_reads(patch: Patch) -> None:
    patch.setattr(KnownChanges, "retract", lambda *_: None)


def _count_a_view_after_its_load(patch: Patch) -> None:
    attach, load = PromptFollower._attach, PromptFollower.load

    def attach_unseen(self: PromptFollower) -> None:
        attach(self)
        self._stops.pop(0)()

    async def load_first(self: PromptFollower, token: str) -> None:
        await load(self, token)
        self._stops.insert(0, self._feed.follow_prompts(self._view.filter, self._on_change))

    patch.setattr(PromptFollower, "_attach", attach_unseen)
    patch.setattr(PromptFollower, "load", load_first)


def _follow_with_the_old_filter(patch: Patch) -> None:
    change = PromptFollower.change_filter

    def change_view_only(self: PromptFollower, filter: PromptFilter) -> None:
        stops, self._stops = self._stops, []
        change(self, filter)
        self._stops = stops

    patch.setattr(PromptFollower, "change_filter", change_view_only)


def _leave_the_token_after_a_change_of_access(patch: Patch) -> None:
    change = PromptView.change_filter

    def change_without_token(self: PromptView, filter: PromptFilter, void: str) -> None:
        before = self._first
        change(self, filter, void)
        self._first = before

    patch.setattr(PromptView, "change_filter", change_without_token)


def _apply_what_a_stream_sends_after_the_hello_of_the_next(patch: Patch) -> None:
    hello, welcome = ConverseProtocol.hello, ConverseProtocol.on_welcome

    def hold_nothing(self: ConverseProtocol) -> Any:
        frame = hello(self)
        self._held = None
        return frame

    def resume_from_the_hello(self: ConverseProtocol, frame: Any) -> float:
        self.view.token = self._hello.resume_token
        return welcome(self, frame)

    patch.setattr(ConverseProtocol, "hello", hold_nothing)
    patch.setattr(ConverseProtocol, "on_welcome", resume_from_the_hello)


def _read_only_new_prompts_after_a_change_of_access(patch: Patch) -> None:
    async def recheck_nothing(*_: Any) -> bool:
        return True

    patch.setattr(PromptFollower, "_recheck", recheck_nothing)


CONVERSE: dict[str, Bug] = {
    "token advances too early": Bug(_advance_token_too_early, "a token skips"),
    "tombstone forgotten": Bug(_forget_tombstones, ""),
    "credit not counted": Bug(_ignore_credit, "on a credit of"),
    "old token honoured": Bug(_accept_old_tokens, "no Reset first"),
    "older image replaces newer": Bug(_replace_newer_by_older, "after"),
    "end not sent after resume": Bug(_hide_ends_after_resume, ""),
    "audience ignored": Bug(_ignore_audience, "may not see it"),
    "snapshot before attach": Bug(_snapshot_before_attach, ""),
    "change missed while a page is read": Bug(_ignore_changes_while_a_page_is_read, ""),
    "change missed before the frontier": Bug(_ignore_all_changes_while_reading, ""),
    "live before more urgent ones": Bug(_show_what_is_read_later, "before a more urgent one"),
    "only one page read": Bug(_forget_where_a_page_ends, ""),
    "requests not sent again": Bug(_skip_resending, "not settled"),
    "published before the commit": Bug(_publish_before_commit, "not committed"),
    "gap not filled": Bug(_ignore_gaps, ""),
    "views not counted": Bug(_count_no_view, "a token skips"),
    "announced by the newest audience": Bug(_announce_by_the_newest_audience, "a token skips"),
    "failed reads forgotten": Bug(_forget_failed_reads, "a token skips"),
    "view counted after its load": Bug(_count_a_view_after_its_load, "a token skips"),
}

RECONNECT: dict[str, Bug] = {
    "cursor without horizon": Bug(_ignore_horizon, ""),
    "resume below the horizon only": Bug(_resume_below_the_horizon_only, "a token skips"),
    "live before Reset": Bug(_show_live_before_reset, "no Reset first"),
}

ACCESS: dict[str, Bug] = {
    "followed with the old filter": Bug(_follow_with_the_old_filter, ""),
    "token left after a change of access": Bug(_leave_the_token_after_a_change_of_access, ""),
    "old stream applied after the next hello": Bug(
        _apply_what_a_stream_sends_after_the_hello_of_the_next, "not settled"
    ),
    "shown prompts not rechecked": Bug(_read_only_new_prompts_after_a_change_of_access, "not settled"),
}
