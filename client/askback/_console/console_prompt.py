"""A prompt on a console, with what a person can do to it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Protocol

from askback._model.answers import answer_request, giving_values, saying_no
from askback._model.enums import DecisionKind
from askback._model.prompts import AnswerOutcome, PromptInfo
from askback._model.times import duration
from askback._wire.status import from_result
from askback.v1 import hitl_service_pb2 as pb
from askback.v1 import prompt_pb2


class Responder(Protocol):
    """The console that showed a prompt and sends the answer to it."""

    test: bool

    def is_open(self, prompt_id: str) -> bool:
        """Whether the prompt is still open, as far as the console knows."""

    def check_mode(self) -> None:
        """Raise FailedPrecondition if this console may not answer at its server."""

    async def request(self, **body: Any) -> Any:
        """Send one frame and return the body of the reply. Raises AskbackError."""

    def note_closed(self, result: pb.AnswerResult) -> None:
        """Note that an answer's result reports the end of its prompt."""


class ConsolePrompt(PromptInfo):
    """A prompt as it was shown; an answer is about exactly this.

    Every verb that answers returns an AnswerOutcome, or raises AnswerInvalid (with the violations; the
    prompt stays open), PromptStale (with the prompt as it is now), PromptClosed (with the resolution that
    won), PromptClaimed, NotFound. An answer is sent again until its result is known; giving the same
    answer once more after a cancelled wait goes on with the same `answer_id`.
    """

    def __init__(self, proto: prompt_pb2.Prompt, console: Responder) -> None:
        super().__init__(proto)
        self._console = console
        self._unsettled: dict[bytes, str] = {}

    @property
    def still_open(self) -> bool:
        """Whether it is open, as far as the console knows by now."""
        return self._console.is_open(self.prompt_id)

    async def approve(self, comment: str = "", *, values: Any = None) -> AnswerOutcome:
        """ACCEPT."""
        return await self.decide(DecisionKind.ACCEPT, values=values, comment=comment)

    async def answer(
        self, values: Any = None, /, *, comment: str | None = None, **named_values: Any
    ) -> AnswerOutcome:
        """Give the values asked for: a mapping, a model, the value of the only field, or by name.

        The decision is RESPOND where it is offered, else ACCEPT. A field named `comment` is meant by a
        keyword only if the form has one; otherwise it is the answer's comment.
        """
        said = comment or ""
        if comment is not None and "comment" in (self.schema or {}).get("properties", {}):
            named_values["comment"], said = comment, ""
        if named_values:
            values = {**(values or {}), **named_values}
        return await self.decide(giving_values(self), values=values, comment=said)

    async def edit(
        self, edits: Mapping[str, str] | None = None, *, values: Any = None, comment: str = ""
    ) -> AnswerOutcome:
        """EDIT: accept with whole new texts by content id, or with values."""
        return await self.decide(DecisionKind.EDIT, edits=edits, values=values, comment=comment)

    async def decline(self, reason: str = "") -> AnswerOutcome:
        """REJECT, or DISMISS where a no is not offered."""
        return await self.decide(saying_no(self), comment=reason)

    async def revise(self, comment: str) -> AnswerOutcome:
        """REVISE: not so; do it again as the comment says."""
        return await self.decide(DecisionKind.REVISE, comment=comment)

    async def dismiss(self, comment: str = "") -> AnswerOutcome:
        """DISMISS: not answering this."""
        return await self.decide(DecisionKind.DISMISS, comment=comment)

    async def decide(
        self,
        decision: DecisionKind | str,
        *,
        values: Any = None,
        edits: Mapping[str, str] | None = None,
        comment: str = "",
    ) -> AnswerOutcome:
        """Any decision. Raises ValueError for one that does not exist."""
        request = answer_request(self, decision, values=values, edits=edits, comment=comment, answer_id="-")
        self._console.check_mode()
        request.test = self._console.test
        content = request.SerializeToString(deterministic=True)
        request.answer_id = self._unsettled.setdefault(content, uuid.uuid4().hex)
        reply: pb.AnswerPromptResponse = await self._console.request(answer_prompt=request)
        del self._unsettled[content]
        self._console.note_closed(reply.result)
        if (error := from_result(reply.result)) is not None:
            raise error
        return AnswerOutcome.from_proto(reply.result)

    async def claim(self, seconds: float | None = None) -> PromptInfo:
        """Take it on, for 10 minutes if not said otherwise. Raises PromptClaimed, PromptClosed, NotFound."""
        request = pb.ClaimPromptRequest(prompt_id=self.prompt_id)
        if seconds is not None:
            request.duration.CopyFrom(duration(seconds, "seconds"))
        reply: pb.ClaimPromptResponse = await self._console.request(claim_prompt=request)
        return PromptInfo(reply.prompt)

    async def release(self) -> PromptInfo:
        """Release the claim. Raises PromptClaimed if it is another person's, NotFound."""
        request = pb.ReleasePromptRequest(prompt_id=self.prompt_id)
        reply: pb.ReleasePromptResponse = await self._console.request(release_prompt=request)
        return PromptInfo(reply.prompt)
