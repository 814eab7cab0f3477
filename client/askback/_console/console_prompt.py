"""A prompt on a console, with the methods that answer and claim it."""

from __future__ import annotations

import uuid
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Protocol

from askback._model.answers import answer_request, negative_decision, override_request, values_decision
from askback._model.approvals import Vote
from askback._model.enums import DecisionKind
from askback._model.prompts import AnswerOutcome, PromptInfo
from askback._model.routing import delegate_request, return_request
from askback._model.times import duration
from askback._wire.status import from_result
from askback.v1 import hitl_service_pb2 as pb
from askback.v1 import prompt_pb2

_MAX_RECORDED = 10_000
"""The maximum number of votes that a console remembers."""


class Responder(Protocol):
    """The console that showed a prompt and sends the answer to it."""

    test: bool
    recorded: RecordedVotes

    def is_open(self, prompt_id: str) -> bool:
        """Whether the prompt is still open, as far as the console knows."""

    def check_mode(self) -> None:
        """Raise FailedPrecondition if this console may not answer at its server."""

    async def request(self, **body: Any) -> Any:
        """Send one frame and return the body of the reply. Raises AskbackError."""

    def note_closed(self, result: pb.AnswerResult) -> None:
        """Note that an answer's result reports the end of its prompt."""


class RecordedVotes:
    """The newest vote that a console has cast on each prompt, by what was answered.

    A program that answers each prompt that it gets also gets a prompt again because of its own vote. If it
    gives the same answer, that is the same vote: a new one would be a change, and so on without end. It is a
    new one if the first has ended, or does not count for all of its groups any more: only a new one is
    judged.
    """

    def __init__(self) -> None:
        self._votes: OrderedDict[str, tuple[bytes, str, tuple[str, ...]]] = OrderedDict()

    def find(self, prompt: PromptInfo, content: bytes) -> str:
        """The id of the vote with this content, if the prompt has it as it was cast; else empty."""
        known, answer_id, groups = self._votes.get(prompt.prompt_id, (b"", "", ()))
        own = _vote_with(prompt, answer_id)
        return answer_id if known == content and own is not None and own.groups == groups else ""

    def note(self, result: pb.AnswerResult, content: bytes) -> None:
        """Remember the vote of a result that is RECORDED. A replay is not judged, so it changes nothing."""
        if result.status != prompt_pb2.ANSWER_STATUS_RECORDED:
            return
        prompt = PromptInfo(result.prompt)
        if self._votes.get(prompt.prompt_id, (b"", "", ()))[1] != result.answer_id:
            own = _vote_with(prompt, result.answer_id)
            self._votes[prompt.prompt_id] = content, result.answer_id, own.groups if own else ()
        self._votes.move_to_end(prompt.prompt_id)
        while len(self._votes) > _MAX_RECORDED:
            self._votes.popitem(last=False)


def _vote_with(prompt: PromptInfo, answer_id: str) -> Vote | None:
    return next((vote for vote in prompt.votes if vote.answer_id == answer_id), None)


class ConsolePrompt(PromptInfo):
    """A prompt as it was shown; an answer applies to exactly this revision and content.

    Every method that answers returns an AnswerOutcome, or raises AnswerInvalid (with the violations; the
    prompt stays open), PromptStale (with the present prompt), PromptClosed (with the resolution that won),
    PromptClaimed, NotFound, or PermissionDenied (for people whom the prompt excludes). To a prompt with an
    approval an answer is a vote: RECORDED until the last one that is needed. The same vote again is a replay.
    An answer is resent until its result is known. If you cancel the wait and give the same answer again, it
    keeps its `answer_id` and counts once.
    """

    def __init__(self, proto: prompt_pb2.Prompt, console: Responder) -> None:
        super().__init__(proto)
        self._console = console
        self._unsettled: dict[bytes, str] = {}

    @property
    def still_open(self) -> bool:
        """Whether the prompt is still open, as far as the console knows."""
        return self._console.is_open(self.prompt_id)

    @property
    def is_answering(self) -> bool:
        """Whether an answer was sent whose result is not known yet."""
        return bool(self._unsettled)

    async def approve(self, comment: str = "", *, values: Any = None) -> AnswerOutcome:
        """Decide ACCEPT."""
        return await self.decide(DecisionKind.ACCEPT, values=values, comment=comment)

    async def answer(
        self, values: Any = None, /, *, comment: str | None = None, **named_values: Any
    ) -> AnswerOutcome:
        """Give the requested values: a mapping, a model, the value of the only field, or by name.

        The decision is RESPOND where it is offered, else ACCEPT. The keyword `comment` is a value if the
        form has a field of this name, else the answer's comment.
        """
        text = comment or ""
        if comment is not None and "comment" in (self.schema or {}).get("properties", {}):
            named_values["comment"], text = comment, ""
        if named_values:
            values = {**(values or {}), **named_values}
        return await self.decide(values_decision(self), values=values, comment=text)

    async def edit(
        self, edits: Mapping[str, str] | None = None, *, values: Any = None, comment: str = ""
    ) -> AnswerOutcome:
        """Decide EDIT: accept with complete new texts by content id, or with values."""
        return await self.decide(DecisionKind.EDIT, edits=edits, values=values, comment=comment)

    async def decline(self, reason: str = "") -> AnswerOutcome:
        """Decide REJECT, or DISMISS where REJECT is not offered."""
        return await self.decide(negative_decision(self), comment=reason)

    async def revise(self, comment: str) -> AnswerOutcome:
        """Decide REVISE: have it done again as the comment says."""
        return await self.decide(DecisionKind.REVISE, comment=comment)

    async def dismiss(self, comment: str = "") -> AnswerOutcome:
        """Decide DISMISS: do not answer the question."""
        return await self.decide(DecisionKind.DISMISS, comment=comment)

    async def decide(
        self,
        decision: DecisionKind | str,
        *,
        values: Any = None,
        edits: Mapping[str, str] | None = None,
        comment: str = "",
    ) -> AnswerOutcome:
        """Give any decision. Raises ValueError for an unknown one."""
        request = answer_request(self, decision, values=values, edits=edits, comment=comment, answer_id="-")
        self._console.check_mode()
        request.test = self._console.test
        return await self._send("answer_prompt", request)

    async def override(
        self,
        decision: DecisionKind | str,
        comment: str,
        *,
        values: Any = None,
        edits: Mapping[str, str] | None = None,
    ) -> AnswerOutcome:
        """Decide it as an admin, whatever its exclusion, approval and claim say; see Client.override."""
        request = override_request(self, decision, comment, values=values, edits=edits, answer_id="-")
        return await self._send("override_prompt", request)

    async def _send(
        self, name: str, request: pb.AnswerPromptRequest | pb.OverridePromptRequest
    ) -> AnswerOutcome:
        """Send an answer under the id of an equal one whose result is not known, or that is the person's vote
        already; else under a new id."""
        content = name.encode() + request.SerializeToString(deterministic=True)
        known = self._console.recorded.find(self, content)
        request.answer_id = known or self._unsettled.setdefault(content, uuid.uuid4().hex)
        reply: pb.AnswerPromptResponse | pb.OverridePromptResponse
        reply = await self._console.request(**{name: request})
        self._unsettled.pop(content, None)
        self._console.note_closed(reply.result)
        self._console.recorded.note(reply.result, content)
        if (error := from_result(reply.result)) is not None:
            raise error
        return AnswerOutcome.from_proto(reply.result)

    async def withdraw(self, answer_id: str) -> PromptInfo:
        """Withdraw your vote, which has this id in `votes`. Raises NotFound, PromptClosed."""
        request = pb.WithdrawAnswerRequest(prompt_id=self.prompt_id, answer_id=answer_id)
        reply: pb.WithdrawAnswerResponse = await self._console.request(withdraw_answer=request)
        return PromptInfo(reply.prompt)

    async def delegate(
        self, *, to: str = "", group: str = "", add: bool = False, comment: str = ""
    ) -> PromptInfo:
        """Give your right to answer to a person or a group; with `add` you keep it too. See Client.delegate.

        Otherwise the prompt leaves the view. Raises DelegationRefused, PermissionDenied, PromptClosed.
        """
        request = delegate_request(self, to, group, add=add, comment=comment)
        reply: pb.DelegatePromptResponse = await self._console.request(delegate_prompt=request)
        return PromptInfo(reply.prompt)

    async def give_back(self, comment: str = "") -> PromptInfo:
        """End the delegation to you: the right returns to the person who gave it. Raises PromptClosed."""
        return await self._return("", "", comment)

    async def take_back(self, *, to: str = "", group: str = "", comment: str = "") -> PromptInfo:
        """End your delegation to a person or a group; see Client.return_prompt. Raises PromptClosed,
        ValueError without a name."""
        if not (to or group):
            raise ValueError("to= or group= must say from whom")
        return await self._return(to, group, comment)

    async def _return(self, to: str, group: str, comment: str) -> PromptInfo:
        request = return_request(self, to, group, comment)
        reply: pb.DelegatePromptResponse = await self._console.request(delegate_prompt=request)
        return PromptInfo(reply.prompt)

    async def claim(self, seconds: float | None = None) -> PromptInfo:
        """Claim the prompt, for 10 minutes by default. Raises PromptClaimed, PromptClosed, NotFound."""
        request = pb.ClaimPromptRequest(prompt_id=self.prompt_id)
        if seconds is not None:
            request.duration.CopyFrom(duration(seconds, "seconds"))
        reply: pb.ClaimPromptResponse = await self._console.request(claim_prompt=request)
        return PromptInfo(reply.prompt)

    async def release(self) -> PromptInfo:
        """Release the claim. Raises PromptClaimed for another person's claim, NotFound."""
        request = pb.ReleasePromptRequest(prompt_id=self.prompt_id)
        reply: pb.ReleasePromptResponse = await self._console.request(release_prompt=request)
        return PromptInfo(reply.prompt)
