"""The calls of HitlService that unary RPCs and the frames of Converse share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from typing import cast

from askback.v1 import hitl_service_pb2 as pb
from askback_server.domain.commands import AnswerPrompt
from askback_server.domain.errors import NotTestMode, PromptNotFound
from askback_server.domain.principals import Principal, Role
from askback_server.domain.prompts import AnswerResult, Prompt
from askback_server.domain.sizes import fit_bytes
from askback_server.ports.clock import is_id
from askback_server.ports.queries import PromptPosition
from askback_server.sessions.replica import Replica
from askback_server.transport.convert import prompt_commands as commands
from askback_server.transport.convert.prompts import (
    prompt_id,
    prompt_list_filter,
    prompt_message,
    prompt_messages,
    prompt_ref,
    record_message,
)
from askback_server.transport.convert.routing import delegate_prompt, reroute_prompt
from askback_server.transport.convert.values import page_size
from askback_server.transport.item_results import item_result
from askback_server.transport.page_tokens import digest_query, seal, unseal


class HitlCalls:
    """Performs calls for a principal. Each method has the name of its frame and takes the unary request.

    `convert/replies.py` converts the replies.
    A command is queued before the method returns, so that commands keep the order of the calls. Raises
    AskbackError at once, or through the awaitable.
    """

    def __init__(self, replica: Replica, principal: Principal) -> None:
        self._replica = replica
        self._submit = replica.engine.submit
        self._principal = principal

    def answer_prompt(self, request: pb.AnswerPromptRequest) -> Awaitable[AnswerResult]:
        """The verdict on an answer, accepted or not. Raises NotTestMode for an answer marked `test`."""
        if request.test and not self._replica.test_mode:
            raise NotTestMode(request.answer_id)
        return self._submit(commands.answer_prompt(request, self._principal))

    async def answer_prompts(self, request: pb.AnswerPromptsRequest) -> pb.AnswerPromptsResponse:
        self._principal.require(Role.CONSOLE)
        answers = commands.answer_prompts(request, self._principal)
        verdicts = await asyncio.gather(*map(self._judge, answers), return_exceptions=True)
        return pb.AnswerPromptsResponse(results=map(item_result, answers, verdicts))

    async def _judge(self, answer: AnswerPrompt) -> AnswerResult:
        if not is_id(answer.ref.prompt_id):
            raise PromptNotFound(prompt_id=answer.ref.prompt_id)
        return await self._submit(answer)

    def override_prompt(self, request: pb.OverridePromptRequest) -> Awaitable[AnswerResult]:
        """The verdict on the answer of an admin, accepted or not."""
        return self._submit(commands.override_prompt(request, self._principal))

    def withdraw_answer(self, request: pb.WithdrawAnswerRequest) -> Awaitable[Prompt]:
        return self._submit(commands.withdraw_answer(request, self._principal))

    def delegate_prompt(self, request: pb.DelegatePromptRequest) -> Awaitable[Prompt]:
        return self._submit(delegate_prompt(request, self._principal))

    def reroute_prompt(self, request: pb.ReroutePromptRequest) -> Awaitable[Prompt]:
        return self._submit(reroute_prompt(request, self._principal))

    def claim_prompt(self, request: pb.ClaimPromptRequest) -> Awaitable[Prompt]:
        return self._submit(commands.claim_prompt(request, self._principal))

    def release_prompt(self, request: pb.ReleasePromptRequest) -> Awaitable[Prompt]:
        return self._submit(commands.release_prompt(request, self._principal))

    def cancel_prompt(self, request: pb.CancelPromptRequest) -> Awaitable[Prompt]:
        return self._submit(commands.cancel_prompt(request, self._principal))

    async def list_prompts(self, request: pb.ListPromptsRequest) -> pb.ListPromptsResponse:
        replica, limits = self._replica, self._replica.limits
        filter = prompt_list_filter(request, self._principal)
        if filter.job_id and not request.namespace:
            filter = await replica.queries.within_namespace(filter, self._principal)
        replica.directory.note(self._principal, filter.namespace)
        viewer = filter.viewer
        who = (viewer.subject, viewer.groups) if viewer is not None else None
        query = digest_query("prompts and their number", replace(filter, viewer=None), who)
        after, total = unseal(replica.secret, query, request.page_token) if request.page_token else (None, 0)
        page = await replica.jobs.list_prompts(
            filter,
            page_size(request.page_size, limits),
            cast(PromptPosition, tuple(after)) if after else None,
            limits.page_bytes,
        )
        if after is None:  # the token of this page carries the number to the next ones
            total = -1 if filter.is_history else await replica.jobs.count_prompts(filter)
        token = seal(replica.secret, query, [page.next, total]) if page.next else ""
        return pb.ListPromptsResponse(
            prompts=prompt_messages(page.prompts), next_page_token=token, total_size=total
        )

    async def get_prompt(self, request: pb.GetPromptRequest) -> pb.GetPromptResponse:
        self._principal.require(Role.CONSOLE, Role.CLIENT, Role.WORKER)
        ref = prompt_ref(request.prompt_id, request.job_id, request.key)
        prompt = await self._replica.queries.prompt(ref, self._principal)
        self._replica.directory.note(self._principal, prompt.namespace)
        return pb.GetPromptResponse(prompt=prompt_message(prompt))

    async def get_receipt(self, request: pb.GetReceiptRequest) -> pb.GetReceiptResponse:
        self._principal.require(Role.CONSOLE, Role.CLIENT, Role.WORKER)
        ref = prompt_ref(request.prompt_id, request.job_id, request.key)
        receipt = await self._replica.receipts.receipt(ref, self._principal)
        return pb.GetReceiptResponse(receipt=receipt)

    async def list_answers(self, request: pb.ListAnswersRequest) -> pb.ListAnswersResponse:
        self._principal.require(Role.CONSOLE, Role.CLIENT, Role.WORKER)
        replica, limits = self._replica, self._replica.limits
        ref = prompt_ref(prompt_id(request.prompt_id), "", "")
        prompt = await replica.queries.prompt(ref, self._principal)
        query = digest_query("answers", prompt.prompt_id)
        after = unseal(replica.secret, query, request.page_token)[0] if request.page_token else 0
        limit = page_size(request.page_size, limits)
        found = await replica.jobs.list_submissions(prompt.prompt_id, limit + 1, after)
        fitting = fit_bytes(found[:limit], lambda s: 300 + s.answer.size, limits.page_bytes, at_least=1)
        token = seal(replica.secret, query, [fitting[-1].seq]) if len(fitting) < len(found) else ""
        return pb.ListAnswersResponse(answers=map(record_message, fitting), next_page_token=token)
