"""HitlService. Every method converts the request, makes one call, and converts the result."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from askback.v1 import hitl_service_pb2 as pb
from askback_server.domain.principals import Role
from askback_server.sessions.replica import Replica
from askback_server.transport.call_context import current_access, current_principal
from askback_server.transport.convert.prompts import prompt_watch_filter
from askback_server.transport.convert.replies import response
from askback_server.transport.errors import require_accepted
from askback_server.transport.hitl_calls import HitlCalls
from askback_server.transport.open_calls import StreamContext
from askback_server.transport.streams import serve_converse, serve_prompts


class HitlServicer:
    """Serves consoles. The contract documents the methods."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    def _calls(self) -> HitlCalls:
        return HitlCalls(self._replica, current_principal())

    def Converse(self, _: object, context: StreamContext) -> Coroutine[Any, Any, None]:
        current_principal().require(Role.CONSOLE)
        return serve_converse(self._replica, current_access(), context)

    async def WatchPrompts(self, request: pb.WatchPromptsRequest, context: StreamContext) -> None:
        principal = current_principal()
        principal.require(Role.CONSOLE)
        filter = prompt_watch_filter(request.filter, request.namespace, principal)
        await serve_prompts(self._replica, current_access(), filter, request.resume_token, context)

    async def ListPrompts(self, request: pb.ListPromptsRequest, _: object) -> pb.ListPromptsResponse:
        return await self._calls().list_prompts(request)

    async def GetPrompt(self, request: pb.GetPromptRequest, _: object) -> pb.GetPromptResponse:
        return await self._calls().get_prompt(request)

    async def AnswerPrompt(self, request: pb.AnswerPromptRequest, _: object) -> pb.AnswerPromptResponse:
        verdict = require_accepted(await self._calls().answer_prompt(request))
        return response(pb.AnswerPromptResponse, verdict)

    async def AnswerPrompts(self, request: pb.AnswerPromptsRequest, _: object) -> pb.AnswerPromptsResponse:
        return await self._calls().answer_prompts(request)

    async def OverridePrompt(self, request: pb.OverridePromptRequest, _: object) -> pb.OverridePromptResponse:
        verdict = require_accepted(await self._calls().override_prompt(request))
        return response(pb.OverridePromptResponse, verdict)

    async def WithdrawAnswer(self, request: pb.WithdrawAnswerRequest, _: object) -> pb.WithdrawAnswerResponse:
        return response(pb.WithdrawAnswerResponse, await self._calls().withdraw_answer(request))

    async def ClaimPrompt(self, request: pb.ClaimPromptRequest, _: object) -> pb.ClaimPromptResponse:
        return response(pb.ClaimPromptResponse, await self._calls().claim_prompt(request))

    async def ReleasePrompt(self, request: pb.ReleasePromptRequest, _: object) -> pb.ReleasePromptResponse:
        return response(pb.ReleasePromptResponse, await self._calls().release_prompt(request))

    async def DelegatePrompt(self, request: pb.DelegatePromptRequest, _: object) -> pb.DelegatePromptResponse:
        return response(pb.DelegatePromptResponse, await self._calls().delegate_prompt(request))

    async def ReroutePrompt(self, request: pb.ReroutePromptRequest, _: object) -> pb.ReroutePromptResponse:
        return response(pb.ReroutePromptResponse, await self._calls().reroute_prompt(request))

    async def CancelPrompt(self, request: pb.CancelPromptRequest, _: object) -> pb.CancelPromptResponse:
        return response(pb.CancelPromptResponse, await self._calls().cancel_prompt(request))

    async def GetReceipt(self, request: pb.GetReceiptRequest, _: object) -> pb.GetReceiptResponse:
        return await self._calls().get_receipt(request)

    async def ListAnswers(self, request: pb.ListAnswersRequest, _: object) -> pb.ListAnswersResponse:
        return await self._calls().list_answers(request)
