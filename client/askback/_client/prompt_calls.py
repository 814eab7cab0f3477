"""The methods of the client that read and answer prompts by single calls."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from askback._client.job_filter import LabelConditions, label_fields
from askback._console.console_view import CaughtUp, Closing, ConsoleView
from askback._model.answers import answer_request, override_request
from askback._model.enums import AnswerStatus, DecisionKind, PromptOrder, PromptState, member_of
from askback._model.prompts import AnswerOutcome, PromptInfo
from askback._model.resolutions import AnswerInfo
from askback._model.times import duration, timestamp
from askback._wire.backoff import Backoff
from askback._wire.batch import BatchAnswers
from askback._wire.calls import Calls
from askback._wire.following import messages
from askback.errors import Violation
from askback.v1 import hitl_service_pb2 as pb
from askback.v1 import prompt_pb2


@dataclass(frozen=True, slots=True, repr=False)
class PromptPage:
    """A page of prompts, and the total number that match; -1 if they were not counted, as in the order
    CLOSE_TIME. An empty token marks the last page."""

    prompts: tuple[PromptInfo, ...]
    total: int
    next_page_token: str

    def __repr__(self) -> str:
        total = "not counted" if self.total < 0 else f"{self.total} in all"
        return f"<PromptPage of {len(self.prompts)} prompts, {total}>"


class PromptCalls(BatchAnswers):
    """HitlService by single calls. For a live view see `Client.console`."""

    _calls: Calls
    namespace: str

    async def prompt(self, prompt_id: str = "", *, job_id: str = "", key: str = "") -> PromptInfo:
        """Read a prompt in any state, by its id, or by job and key. Raises NotFound."""
        request = pb.GetPromptRequest(prompt_id=prompt_id, job_id=job_id, key=key)
        return PromptInfo((await self._calls.unary(self._calls.hitl.GetPrompt, request)).prompt)

    async def prompts(
        self,
        *,
        kinds: Iterable[str] = (),
        job_types: Iterable[str] = (),
        labels: LabelConditions | None = None,
        job_id: str = "",
        states: Iterable[PromptState | str] = (),
        for_groups: Iterable[str] = (),
        unattended: bool = False,
        mine: bool = False,
        overdue: bool = False,
        id_suffix: str = "",
        job_id_suffix: str = "",
        answered_by: str = "",
        expires_before: datetime | None = None,
        order: PromptOrder | str | None = None,
        page_size: int = 0,
    ) -> AsyncIterator[PromptInfo]:
        """Yield the prompts that match: open ones by priority, deadline and age, or with
        `order=PromptOrder.CLOSE_TIME` closed ones, the latest end first.

        `id_suffix` and `job_id_suffix` are the last 6 to 36 characters of the prompt's id and the job's id.
        `unattended` selects open prompts without a connected person who may answer, `mine` those that the
        caller has claimed or is named for, `overdue` open ones that have escalated, `answered_by` those that
        this person answered, the newest answer first, and `expires_before` open ones whose deadline is before
        that time.
        """
        token = ""
        more = {"unattended": unattended, "mine": mine, "overdue": overdue, "answered_by": answered_by}
        more |= {"id_suffix": id_suffix, "job_id_suffix": job_id_suffix}
        filter = _filter(kinds, job_types, labels, job_id, for_groups, states, expires_before, **more)
        while True:
            page = await self._page(filter, order, page_size, token)
            for prompt in page.prompts:
                yield prompt
            if not (token := page.next_page_token):
                return

    async def prompt_page(
        self,
        *,
        kinds: Iterable[str] = (),
        job_types: Iterable[str] = (),
        labels: LabelConditions | None = None,
        job_id: str = "",
        states: Iterable[PromptState | str] = (),
        for_groups: Iterable[str] = (),
        unattended: bool = False,
        mine: bool = False,
        overdue: bool = False,
        answered_by: str = "",
        expires_before: datetime | None = None,
        order: PromptOrder | str | None = None,
        page_size: int = 0,
        page_token: str = "",
    ) -> PromptPage:
        """One page of the prompts that `prompts` yields, and their total number. Raises InvalidArgument.

        A page in the order CLOSE_TIME may have fewer prompts than asked for, or none, although more follow.
        """
        more = {"unattended": unattended, "mine": mine, "overdue": overdue, "answered_by": answered_by}
        filter = _filter(kinds, job_types, labels, job_id, for_groups, states, expires_before, **more)
        return await self._page(filter, order, page_size, page_token)

    async def _page(
        self, filter: pb.PromptFilter, order: PromptOrder | str | None, size: int, token: str
    ) -> PromptPage:
        request = pb.ListPromptsRequest(
            namespace=self.namespace, filter=filter, page_size=size, page_token=token
        )
        if order is not None:
            request.order = pb.PromptOrder.Value(f"PROMPT_ORDER_{PromptOrder(order)}")
        page = await self._calls.unary(self._calls.hitl.ListPrompts, request)
        return PromptPage(tuple(map(PromptInfo, page.prompts)), page.total_size, page.next_page_token)

    async def watch_prompts(
        self,
        *,
        kinds: Iterable[str] = (),
        job_types: Iterable[str] = (),
        labels: LabelConditions | None = None,
        job_id: str = "",
        for_groups: Iterable[str] = (),
    ) -> AsyncIterator[PromptInfo | Closing | CaughtUp]:
        """Yield the open prompts that match, then every change, without end; reconnects after a break.

        It carries state, not history: the newest state of a prompt, never a closed prompt, never an older
        version. Raises InvalidArgument.
        """
        closings: deque[Closing] = deque()
        view = ConsoleView(lambda prompts: None)
        view.listen(closings.append)
        filter = _filter(kinds, job_types, labels, job_id, for_groups)

        def start() -> Any:
            view.new_stream()
            request = pb.WatchPromptsRequest(namespace=self.namespace, filter=filter, resume_token=view.token)
            return self._calls.stream(lambda on: on.hitl.WatchPrompts, request)

        backoff = Backoff()
        while True:
            async for message in messages(self._calls, "HitlService.WatchPrompts", start):
                backoff.reset()
                for event in message.events:
                    view.apply(event)
                while closings:
                    yield closings.popleft()
                while (delivery := view.take()) is not None:
                    yield PromptInfo(delivery.prompt)
                if any(event.HasField("caught_up") for event in message.events):
                    yield CaughtUp(len(view.open_ids))
            await asyncio.sleep(backoff.next())

    async def answer(
        self,
        prompt: PromptInfo | str,
        decision: DecisionKind | str,
        *,
        values: Any = None,
        edits: Mapping[str, str] | None = None,
        comment: str = "",
        answer_id: str | None = None,
        shown_digest: str | None = None,
    ) -> AnswerOutcome:
        """Answer a prompt at the revision that was shown; an id stands for the present revision.

        To a prompt with an approval the answer is a vote: the outcome is RECORDED, or ACCEPTED for the last
        vote that was needed. In a loop over changes give an `answer_id`, because each new id is a new vote.

        The answer counts only for the content that was shown: the digest of `prompt` is sent with it. With an
        id, give the `shown_digest` of what the person saw.

        An `answer_id` is generated if not given, so that the call can be retried; give your own to answer
        only once across restarts of your program. Raises AnswerInvalid (with the violations; the prompt
        stays open), PromptStale, PromptClosed (with the resolution that won), PromptClaimed, NotFound, and
        PermissionDenied for people whom the prompt excludes.
        """
        shown = await self.prompt(prompt) if isinstance(prompt, str) else prompt
        request = answer_request(
            shown,
            decision,
            values=values,
            edits=edits,
            comment=comment,
            answer_id=answer_id,
            shown_digest=shown_digest,
        )
        reply = await self._calls.unary(self._calls.hitl.AnswerPrompt, request)
        return AnswerOutcome.from_proto(reply.result)

    async def _send_batch(self, request: pb.AnswerPromptsRequest) -> pb.AnswerPromptsResponse:
        return await self._calls.unary(self._calls.hitl.AnswerPrompts, request)

    async def withdraw_answer(self, prompt: PromptInfo | str, answer_id: str) -> PromptInfo:
        """Withdraw your vote on an open prompt, and return the prompt without it. Repeating it changes
        nothing. Raises NotFound (also for the vote of another person), PromptClosed."""
        prompt_id = prompt if isinstance(prompt, str) else prompt.prompt_id
        request = pb.WithdrawAnswerRequest(prompt_id=prompt_id, answer_id=answer_id)
        return PromptInfo((await self._calls.unary(self._calls.hitl.WithdrawAnswer, request)).prompt)

    async def override(
        self,
        prompt: PromptInfo | str,
        decision: DecisionKind | str,
        *,
        comment: str,
        values: Any = None,
        edits: Mapping[str, str] | None = None,
        answer_id: str | None = None,
        shown_digest: str | None = None,
    ) -> AnswerOutcome:
        """Decide a prompt as an admin, whatever its exclusion, approval and claim say.

        The `comment` says why. The answer is marked for the audit and for the asker (`by_override`).
        Otherwise as `answer`. Raises its errors, and PermissionDenied if the server's setting
        `allow_override` does not name the namespace.
        """
        shown = await self.prompt(prompt) if isinstance(prompt, str) else prompt
        request = override_request(
            shown,
            decision,
            comment,
            values=values,
            edits=edits,
            answer_id=answer_id,
            shown_digest=shown_digest,
        )
        reply = await self._calls.unary(self._calls.hitl.OverridePrompt, request)
        return AnswerOutcome.from_proto(reply.result)

    async def claim(self, prompt_id: str, seconds: float | None = None) -> PromptInfo:
        """Claim an open prompt. Raises NotFound, PromptClaimed, PromptClosed."""
        request = pb.ClaimPromptRequest(prompt_id=prompt_id)
        if seconds is not None:
            request.duration.CopyFrom(duration(seconds, "seconds"))
        return PromptInfo((await self._calls.unary(self._calls.hitl.ClaimPrompt, request)).prompt)

    async def release(self, prompt_id: str) -> PromptInfo:
        """Release a claim. Raises NotFound, PromptClaimed for another person's claim."""
        request = pb.ReleasePromptRequest(prompt_id=prompt_id)
        return PromptInfo((await self._calls.unary(self._calls.hitl.ReleasePrompt, request)).prompt)

    async def cancel_prompt(self, prompt_id: str, reason: str = "") -> PromptInfo:
        """Withdraw an open prompt; its job continues. Raises NotFound, PromptClosed."""
        request = pb.CancelPromptRequest(prompt_id=prompt_id, reason=reason)
        return PromptInfo((await self._calls.unary(self._calls.hitl.CancelPrompt, request)).prompt)

    async def answers(self, prompt_id: str) -> AsyncIterator[tuple[AnswerInfo, AnswerStatus]]:
        """Yield every answer submitted to a prompt with its status, oldest first. Raises NotFound."""
        async for record in self.answer_records(prompt_id):
            status = member_of(AnswerStatus, prompt_pb2.AnswerStatus, "ANSWER_STATUS_", record.status)
            violations = tuple(Violation(v.field, v.description) for v in record.violations)
            yield replace(AnswerInfo.from_proto(record.answer), violations=violations), status

    async def answer_records(self, prompt_id: str) -> AsyncIterator[prompt_pb2.AnswerRecord]:
        """Like `answers`, but yields the contract's messages. Raises NotFound."""
        request = pb.ListAnswersRequest(prompt_id=prompt_id)
        while True:
            page = await self._calls.unary(self._calls.hitl.ListAnswers, request)
            for record in page.answers:
                yield record
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token


def _filter(
    kinds: Iterable[str],
    job_types: Iterable[str],
    labels: LabelConditions | None,
    job_id: str,
    for_groups: Iterable[str],
    states: Iterable[PromptState | str] = (),
    expires_before: datetime | None = None,
    **more: Any,
) -> pb.PromptFilter:
    """The filter of the contract; `more` are fields that it takes as they are."""
    return pb.PromptFilter(
        **more,
        expires_before=None if expires_before is None else timestamp(expires_before, "expires_before"),
        kinds=kinds,
        job_types=job_types,
        **label_fields(labels),
        job_id=job_id,
        states=[prompt_pb2.PromptState.Value(f"PROMPT_STATE_{PromptState(s)}") for s in states],
        groups=for_groups,
    )
