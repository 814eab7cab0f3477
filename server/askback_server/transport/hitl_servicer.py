"""HitlService: convert in, call one thing, convert out."""

from __future__ import annotations

from typing import Any

from askback.v1 import hitl_service_pb2 as pb
from askback_server.domain.principals import Role
from askback_server.sessions.replica import Replica
from askback_server.transport.call_context import current_access, current_principal
from askback_server.transport.convert.prompts import prompt_watch_filter
from askback_server.transport.convert.replies import response
from askback_server.transport.errors import taken_answer
from askback_server.transport.hitl_calls import HitlCalls
from askback_server.transport.streams import serve_converse, serve_prompts


class HitlServicer:
    """What people's consoles call."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    def _calls(self) -> HitlCalls:
        return HitlCalls(self._replica, current_principal())

    async def Converse(self, _: Any, context: Any) -> None:
        """As the contract says."""
        current_principal().require(Role.CONSOLE)
        await serve_converse(self._replica, current_access(), context)

    async def WatchPrompts(self, request: pb.WatchPromptsRequest, context: Any) -> None:
        """As the contract says."""
        principal = current_principal()
        principal.require(Role.CONSOLE)
        filter = prompt_watch_filter(request.filter, request.namespace, principal)
        await serve_prompts(self._replica, current_access(), filter, request.resume_token, context)

    async def ListPrompts(self, request: pb.ListPromptsRequest, _: Any) -> pb.ListPromptsResponse:
        """As the contract says."""
        return await self._calls().list_prompts(request)

    async def GetPrompt(self, request: pb.GetPromptRequest, _: Any) -> pb.GetPromptResponse:
        """As the contract says."""
        return await self._calls().get_prompt(request)

    async def AnswerPrompt(self, request: pb.AnswerPromptRequest, _: Any) -> pb.AnswerPromptResponse:
        """As the contract says: OK only for an answer that was taken."""
        verdict = taken_answer(await self._calls().answer_prompt(request))
        return response(pb.AnswerPromptResponse, verdict)

    async def ClaimPrompt(self, request: pb.ClaimPromptRequest, _: Any) -> pb.ClaimPromptResponse:
        """As the contract says."""
        return response(pb.ClaimPromptResponse, await self._calls().claim_prompt(request))

    async def ReleasePrompt(self, request: pb.ReleasePromptRequest, _: Any) -> pb.ReleasePromptResponse:
        """As the contract says."""
        return response(pb.ReleasePromptResponse, await self._calls().release_prompt(request))

    async def CancelPrompt(self, request: pb.CancelPromptRequest, _: Any) -> pb.CancelPromptResponse:
        """As the contract says."""
        return response(pb.CancelPromptResponse, await self._calls().cancel_prompt(request))

    async def ListAnswers(self, request: pb.ListAnswersRequest, _: Any) -> pb.ListAnswersResponse:
        """As the contract says."""
        return await self._calls().list_answers(request)
