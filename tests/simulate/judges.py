"""Checks of every message on the server's side of a Converse stream (docs/design.md 10.6 to 10.8)."""

from __future__ import annotations

import asyncio
from typing import Any

from askback_server.domain.aggregate import Aggregate
from askback_server.domain.jobs import Job
from askback_server.domain.prompts import Prompt
from askback_server.ports.storage import Position
from askback_server.sessions.snapshot import urgency
from tests.simulate.database import Rows
from tests.simulate.people import People
from tests.support.invariants import check_aggregate

_END = Position(1 << 60, 0)


class Verdicts:
    """Collects violations, and the log positions of resume tokens."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.found: list[str] = []
        self.positions: dict[str, Position] = {}

    def report(self, text: str) -> None:
        self.found.append(text)

    def image_at(self, prompt_id: str, version: int) -> Prompt:
        """The prompt as it was committed with the event of this sequence number."""
        versions = [v for i, v in self.rows.images if i == prompt_id and v >= version]
        return self.rows.images[prompt_id, min(versions)]

    def newest(self, until: Position) -> dict[str, int]:
        """The sequence number of each prompt's last event up to a position."""
        return {e.prompt_id: e.seq for p, e in self.rows.log if p <= until and e.prompt_id is not None}


def check_stored(rows: Rows, job: Job, verdicts: Verdicts) -> None:
    """Report a job whose rows are not what its events say."""
    prompts = {i: p for i, p in rows.prompts.items() if p.job_id == job.job_id}
    answers = {k: s for k, s in rows.submissions.items() if s.job_id == job.job_id}
    log = [e for _, e in rows.log if e.job_id == job.job_id]
    try:
        check_aggregate(Aggregate(job, prompts, answers), sorted(log, key=lambda e: e.seq))
    except (AssertionError, ValueError) as error:
        verdicts.report(f"the log of a job is in disorder: {error!r}")


class ConverseJudge:
    """Checks the stream of one console."""

    def __init__(self, verdicts: Verdicts, people: People, user: str, tail: Position) -> None:
        self._verdicts = verdicts
        self._people = people
        self._user = user
        self._viewer = people[user]
        self._viewers = [self._viewer]
        """What the user could do since the start of the stream."""
        self._tail = tail
        self._versions: dict[str, int] = {}
        self._has: set[str] = set()
        """The open prompts that this stream has shown."""
        self._ended: set[str] = set()
        self._credit: int | None = None
        self._shown = 0
        self._base: Position | None = None
        self._must_reset = False
        self._opened = asyncio.get_running_loop().time()
        self._is_snapshot = True
        """Whether the prompts that were open at the start are still being sent, in their order."""

    @property
    def _has_changed(self) -> bool:
        """Whether the user's access has changed during the stream."""
        return len(self._viewers) > 1

    def _note_access(self) -> None:
        """After a change of access the view is read again."""
        now = self._people[self._user]
        if now is not self._viewer:
            self._viewer = now
            self._viewers.append(now)
            self._base = None
            self._is_snapshot = False

    def on_receive(self, message: Any) -> None:
        self._note_access()
        for frame in message.frames:
            body = frame.WhichOneof("body")
            if body == "hello":
                self._credit = frame.hello.credit or None
                token = frame.hello.resume_token
                self._base = self._verdicts.positions.get(token) if token else None
                self._is_snapshot = not token
                self._must_reset = bool(token) and (self._base is None or self._base < self._tail)
            elif body == "credit" and self._credit is not None:
                self._credit += frame.credit.prompts

    def on_send(self, message: Any) -> None:
        self._note_access()
        for frame in message.frames:
            body = frame.WhichOneof("body")
            if body == "prompt_event":
                event = frame.prompt_event
                getattr(self, f"_on_{event.WhichOneof('event')}")(getattr(event, event.WhichOneof("event")))
            elif body == "heartbeat":
                self._check_token(frame.heartbeat.resume_token)

    def _report(self, text: str) -> None:
        self._verdicts.report(f"{self._user}'s stream: {text}")

    def _expect_no_reset(self) -> None:
        if self._must_reset:
            self._must_reset = False
            self._report("a token that cannot be honoured, and no Reset first")

    def _on_upserted(self, event: Any) -> None:
        self._expect_no_reset()
        prompt = event.prompt
        image = self._verdicts.rows.images.get((prompt.prompt_id, prompt.version))
        if image is None:
            self._report("a prompt is shown that was not committed")
            return
        if not image.is_open or prompt.prompt_id in self._ended:
            self._report("a closed prompt is shown as open")
        if not image.is_for(self._viewer):
            self._report("a prompt is shown to a user who may not see it")
        known = self._versions.get(prompt.prompt_id, 0)
        # A removal that was not sent before the user got the access back has left a prompt to be sent again.
        if prompt.version < known or (prompt.version == known and not self._has_changed):
            self._report(f"version {prompt.version} after {self._versions[prompt.prompt_id]}")
        if self._is_snapshot and prompt.prompt_id not in self._versions:
            self._check_order(image)
        self._versions[prompt.prompt_id] = prompt.version
        self._has.add(prompt.prompt_id)
        self._shown += 1
        if self._credit is not None and self._shown > self._credit:
            self._report(f"{self._shown} prompts on a credit of {self._credit}")

    def _check_order(self, image: Prompt) -> None:
        """Check that no more urgent prompt is missing that has not changed since the stream was opened."""
        rows = self._verdicts.rows
        for prompt in rows.prompts.values():
            if (
                prompt.prompt_id not in self._versions
                and prompt.is_open
                and prompt.is_for(self._viewer)
                and urgency(prompt) < urgency(image)
                and rows.since[prompt.prompt_id, prompt.version] < self._opened
            ):
                self._report("a prompt is shown before a more urgent one")

    def _on_closed(self, event: Any) -> None:
        self._expect_no_reset()
        now = self._verdicts.rows.prompts.get(event.prompt_id)
        if now is not None and now.is_open:
            self._report("an open prompt is reported as closed")
        self._check_was_visible(event.prompt_id)
        self._ended.add(event.prompt_id)
        self._has.discard(event.prompt_id)

    def _on_removed(self, event: Any) -> None:
        self._expect_no_reset()
        self._check_was_visible(event.prompt_id)
        known = self._versions.get(event.prompt_id, 0)
        if event.version < known or (event.version == known and not self._has_changed):
            self._report("a removal of an outdated version")
        # After a change of access a removed prompt may come back at the same version.
        self._versions[event.prompt_id] = event.version - self._has_changed
        self._has.discard(event.prompt_id)

    def _check_was_visible(self, prompt_id: str) -> None:
        images = [p for (i, _), p in self._verdicts.rows.images.items() if i == prompt_id]
        if self._base is not None and any(p.revision > 1 or p.is_turned_away for p in images):
            # Who was asked before is not stored, so the removal may be sent to anyone.
            return
        if not any(p.is_for(viewer) for p in images for viewer in self._viewers):
            self._report("the id of a prompt is sent to a user who could never see it")

    def _on_reset_view(self, _: Any) -> None:
        self._is_snapshot = False  # it may be that of a later moment
        self._must_reset = False
        self._base = None
        self._versions = {i: v - 1 for i, v in self._versions.items()}
        self._has.clear()

    def _on_caught_up(self, event: Any) -> None:
        self._is_snapshot = False
        self._expect_no_reset()
        self._check_token(event.resume_token)

    def _on_bookmark(self, event: Any) -> None:
        self._check_token(event.resume_token)

    def _check_token(self, token: str) -> None:
        """Check that everything up to the token's position was sent, on this stream or an earlier one."""
        verdicts, at = self._verdicts, self._verdicts.positions.get(token)
        if at is None:
            return  # there is none, or it is refused
        before = verdicts.newest(self._base) if self._base is not None else None
        last = verdicts.newest(_END)
        for prompt_id, seq in verdicts.newest(at).items():
            if last[prompt_id] > seq:
                continue  # a stream that resumes from here will get it
            if self._versions.get(prompt_id, 0) >= seq or prompt_id in self._ended:
                continue
            known = before.get(prompt_id, 0) if before is not None else 0
            if known == seq:
                continue
            image = verdicts.image_at(prompt_id, seq)
            if image.is_open and image.is_for(self._viewer):
                self._report(f"a token skips version {seq} of an open prompt")
                continue
            had = prompt_id in self._has
            if known and prompt_id not in self._versions:
                old = verdicts.image_at(prompt_id, known)
                had = had or (old.is_open and old.is_for(self._viewer))
            if had:
                self._report(f"a token skips the end of a prompt, version {seq}")
