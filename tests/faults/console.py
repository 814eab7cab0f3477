"""A user at a console, with raw frames: `python -m tests.faults.console`.

It records all events of its streams and answers prompts. It sends some answers again through another
replica, and some with other content under the same id.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import grpc
from grpc_status import rpc_status

from askback._wire.stream import ReconnectingStream
from askback.errors import AskbackError
from askback.v1 import hitl_service_pb2 as pb
from askback.v1 import prompt_pb2
from askback.v1.hitl_service_pb2_grpc import HitlServiceStub
from tests.faults.program import CALL_SECONDS, Program, refusal, until_known
from tests.faults.rights import WRITER, Rights

CREDIT = 200


class View:
    """The console's side of Converse: records each event as it arrives."""

    name = "converse"
    method = "HitlService.Converse"
    session: object = None
    window = 64

    def __init__(self, program: Program, shown: Callable[[prompt_pb2.Prompt], None], credit: int) -> None:
        self._record = program.record
        self._count = program.count
        self._shown = shown
        self._credit = credit
        self._put: Callable[[Any], None] | None = None
        self._stream = self._left = 0
        self._dials = 0
        self._hello: tuple[int, str] = (0, "")
        self.token = ""
        self.open: dict[str, prompt_pb2.Prompt] = {}
        self.caught_up = asyncio.Event()

    def dial(self, channel: grpc.aio.Channel, metadata: Sequence[tuple[str, str]]) -> Any:
        stub: Any = HitlServiceStub(channel)
        return stub.Converse(metadata=tuple(metadata))

    def pack(self, frames: Sequence[Any]) -> pb.ConverseRequest:
        return pb.ConverseRequest(frames=frames)

    def hello(self) -> pb.ConverseClientFrame:
        self._dials += 1
        self._hello = (self._dials, self.token)
        self._record.write("hello", s=self._dials, resumes=bool(self.token))
        hello = pb.ConverseHello(console_id="chaos", credit=self._credit, resume_token=self.token)
        return pb.ConverseClientFrame(hello=hello)

    def heartbeat(self, *, leaving: bool) -> pb.ConverseClientFrame:
        return pb.ConverseClientFrame(heartbeat=pb.ConverseHeartbeat())

    def goodbye(self) -> pb.ConverseClientFrame:
        return pb.ConverseClientFrame(goodbye=pb.ConverseGoodbye())

    def on_welcome(self, frame: pb.ConverseServerFrame) -> float:
        welcome = frame.welcome
        self._left, self._stream = self._stream, self._hello[0]
        self._record.write("welcome", s=self._stream, replica=welcome.replica, left=self._left)
        if not self._hello[1]:
            self.open.clear()
        self._put = None
        return welcome.heartbeat_interval.ToTimedelta().total_seconds()

    def on_open(self, put: Callable[[Any], None]) -> None:
        self._put = put

    def on_push(self, frame: pb.ConverseServerFrame, *, leaving: bool) -> None:
        stream = self._left if leaving and self._left else self._stream
        match frame.WhichOneof("body"):
            case "prompt_event":
                self._event(frame.prompt_event, stream)
            case "heartbeat":
                self._record.write("beat", s=stream)
                if frame.heartbeat.resume_token:
                    self.token = frame.heartbeat.resume_token

    def _event(self, event: pb.PromptEvent, stream: int) -> None:
        write = self._record.write
        match event.WhichOneof("event"):
            case "upserted":
                p = event.upserted.prompt
                write("up", s=stream, p=p.prompt_id, j=p.job_id, v=p.version, r=p.revision, st=p.state)
                self._count("shown")
                if self._credit and self._put is not None:
                    self._put(pb.ConverseClientFrame(credit=pb.ConverseCredit(prompts=1)))
                self.open[p.prompt_id] = p
                self._shown(p)
            case "closed":
                c = event.closed
                write(
                    "closed",
                    s=stream,
                    p=c.prompt_id,
                    v=c.version,
                    st=c.resolution.state,
                    a=c.answer_id or c.resolution.answer.answer_id,
                )
                self.open.pop(c.prompt_id, None)
            case "removed":
                write("removed", s=stream, p=event.removed.prompt_id, v=event.removed.version)
                self.open.pop(event.removed.prompt_id, None)
            case "caught_up":
                write("caught", s=stream, n=event.caught_up.open_prompts)
                self.token = event.caught_up.resume_token
                self.caught_up.set()
            case "reset_view":
                write("reset", s=stream, why=event.reset_view.reason)
                self.open.clear()
            case "bookmark":
                self.token = event.bookmark.resume_token

    def on_refusal(self, error: AskbackError, session: object) -> bool:
        return False

    def on_disconnect(self, spoken: float) -> None:
        self._record.write("lost", s=self._stream)
        self._put, self._stream = None, 0  # the next stream has no predecessor


class ConsoleUser:
    """Answers prompts after a random delay."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._rng = program.rng
        self._record = program.record
        options = program.options
        self._rights = Rights(program)
        self._writing: asyncio.Task[None] | None = None
        self._slow: float = options.get("slow", 8.0)
        credit = CREDIT if options.get("credit") else 0
        self.view = View(program, self._consider, credit)
        self._session = ReconnectingStream(self.view, program.endpoint, backoff_cap=1.0)  # type: ignore[arg-type]
        self._thinking: dict[str, asyncio.Task[None]] = {}
        self._answers: set[asyncio.Task[None]] = set()
        self.leaving = False

    async def start(self) -> None:
        """Open the stream, and let one user write rules."""
        await self._session.start()
        if self._program.name == WRITER:
            self._writing = asyncio.create_task(self._rights.write_rules())

    async def leave(self) -> None:
        """Finish the answers that were begun, and close the stream."""
        self.leaving = True
        for task in (*self._thinking.values(), *filter(None, [self._writing])):
            task.cancel()
        if self._answers:
            await asyncio.wait(self._answers, timeout=20)
        await self._session.aclose()

    def _consider(self, prompt: prompt_pb2.Prompt) -> None:
        if self.leaving:
            return
        known = self._thinking.pop(prompt.prompt_id, None)
        if known is not None:
            known.cancel()
        task = asyncio.create_task(self._think(prompt))
        self._thinking[prompt.prompt_id] = task
        task.add_done_callback(lambda done: self._discard(prompt.prompt_id, done))

    def _discard(self, prompt_id: str, task: asyncio.Task[None]) -> None:
        if self._thinking.get(prompt_id) is task:
            del self._thinking[prompt_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            self._record.write("bug", text=repr(error))

    async def _think(self, prompt: prompt_pb2.Prompt) -> None:
        """Answer at once and race with others, or wait and answer if the prompt is still open."""
        rng = self._rng
        await asyncio.sleep(rng.uniform(0, 0.1) if rng.random() < 0.6 else rng.uniform(1, 2))
        if prompt.content.labels.get("pace") == "slow":
            await asyncio.sleep(self._slow * rng.uniform(1, 1.3))
        if prompt.prompt_id in self.view.open:
            # In a separate task, because a newer version of the prompt cancels this one.
            task = asyncio.create_task(self._act(self.view.open[prompt.prompt_id]))
            self._answers.add(task)
            task.add_done_callback(self._answers.discard)

    async def _act(self, prompt: prompt_pb2.Prompt) -> None:
        """Answer, or pass the prompt on; withdraw some votes."""
        rng = self._rng
        if prompt.content.labels.get("pass") and rng.random() < 0.4:
            if await self._rights.delegate(prompt) and rng.random() < 0.5:
                await self._answer(prompt)  # refused, if the right was given away
            return
        if any(vote.user_id == self._program.name for vote in prompt.votes) and rng.random() < 0.8:
            return
        vote = await self._answer(prompt)
        if vote and rng.random() < 0.2:
            await self._rights.withdraw(prompt.prompt_id, vote)

    async def _answer(self, prompt: prompt_pb2.Prompt) -> str:
        """Answer a prompt. Returns the id of the answer if it is a vote, else an empty text."""
        rng = self._rng
        request = pb.AnswerPromptRequest(
            answer_id=uuid.UUID(int=rng.getrandbits(128)).hex,
            prompt_id=prompt.prompt_id,
            revision=prompt.revision,
            decision=prompt_pb2.DECISION_ACCEPT,
            comment=f"{self._program.name} {rng.getrandbits(64):x}",
        )
        if prompt.content.HasField("questions"):
            request.values_json = f'{{"n": {rng.randrange(1, 99)}}}'
            if rng.random() < 0.03:
                request.values_json = '{"n": "no number"}'
        result = await self._submit(request)
        if result is not None and rng.random() < 0.1:
            await self._submit(request, unary=rng.random() < 0.7)
        if result is not None and rng.random() < 0.03:
            request.comment += " changed"
            await self._submit(request, unary=True)
        if result is not None and result.status == prompt_pb2.ANSWER_STATUS_INVALID:
            await asyncio.sleep(0.1)
            if prompt.prompt_id in self.view.open:
                await self._answer(self.view.open[prompt.prompt_id])
        is_vote = result is not None and result.status == prompt_pb2.ANSWER_STATUS_RECORDED
        return request.answer_id if is_vote else ""

    async def _submit(
        self, request: pb.AnswerPromptRequest, *, unary: bool = False
    ) -> pb.AnswerResult | None:
        kept = pb.AnswerPromptRequest()
        kept.CopyFrom(request)
        op = self._record.invoke(
            "answer", id=kept.answer_id, p=kept.prompt_id, r=kept.revision, c=kept.comment, f=kept.values_json
        )
        self._program.count("answers")
        try:
            result = await (self._by_call(kept) if unary else self._by_stream(kept))
        except AskbackError as error:
            if error.code in ("UNAVAILABLE", "DEADLINE_EXCEEDED"):
                return None  # the stream ended: the outcome is unknown
            self._record.write("no", op=op, **refusal(error))
            return None
        prompt = result.prompt
        self._record.write(
            "ok",
            op=op,
            st=result.status,
            again=result.replayed,
            v=prompt.version,
            end=prompt.state,
            won=prompt.resolution.answer.answer_id,
        )
        self._program.count("verdicts")
        if prompt.state != prompt_pb2.PROMPT_STATE_PENDING:
            self.view.open.pop(prompt.prompt_id, None)
        return result

    async def _by_stream(self, request: pb.AnswerPromptRequest) -> pb.AnswerResult:
        reply = await self._session.request(pb.ConverseClientFrame(answer_prompt=request))
        return reply.answer_prompt.result  # type: ignore[no-any-return]

    async def _by_call(self, request: pb.AnswerPromptRequest) -> pb.AnswerResult:
        async def call() -> pb.AnswerResult:
            endpoint = self._program.endpoint
            async with endpoint.open() as channel:
                stub: Any = HitlServiceStub(channel)
                try:
                    done = await stub.AnswerPrompt(
                        request, timeout=CALL_SECONDS, metadata=endpoint.metadata()
                    )
                except grpc.aio.AioRpcError as error:
                    verdict = _verdict(error)
                    if verdict is None:
                        raise
                    return verdict
                return done.result  # type: ignore[no-any-return]

        return await until_known(call, self._rng)  # type: ignore[no-any-return]


def _verdict(error: grpc.aio.AioRpcError) -> pb.AnswerResult | None:
    """The result in the details of a refused AnswerPrompt."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    for detail in status.details if status else ():
        if detail.Is(pb.AnswerResult.DESCRIPTOR):
            result = pb.AnswerResult()
            detail.Unpack(result)
            return result
    return None


def main() -> None:
    """Run until the order to leave."""
    program = Program.from_command_line()

    async def live() -> None:
        person = ConsoleUser(program)
        await person.start()
        program.report(ready=True)
        await program.next_order()
        await person.leave()

    program.run(live)


if __name__ == "__main__":
    main()
