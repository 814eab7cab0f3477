"""Run a vector against ConverseCore or WorkCore, with the conversion used on the wire."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import worker_service_pb2 as workers
from askback_server.domain import errors
from askback_server.domain.errors import AskbackError, InvalidField
from askback_server.domain.events import Event, EventType
from askback_server.domain.json_text import Violation
from askback_server.domain.limits import Limits
from askback_server.domain.principals import Principal, Role
from askback_server.engine.committed import Committed
from askback_server.sessions.converse_core import ConverseCore
from askback_server.sessions.converse_frames import ConverseHello, ConverseWelcome
from askback_server.sessions.frames import Call, Goodbye, Heartbeat, ServerFrame
from askback_server.sessions.lease_book import HeldJob
from askback_server.sessions.work_core import NotRun, WorkCore
from askback_server.sessions.work_frames import JobLeased, WorkHello, WorkWelcome
from askback_server.transport.errors import code_number, code_of
from askback_server.transport.frames_converse import read_converse_frame, write_converse_frame
from askback_server.transport.frames_work import read_work_frame, write_work_frame
from tests.vectors.documents import START, job_of, prompt_of

HERE = Path(__file__).parent
ALL = 10_000


def vectors(service: str) -> list[Path]:
    """The vector files of a service."""
    return [p for p in sorted(HERE.glob("*.json")) if read(p)["service"] == service]


def read(path: Path) -> dict[str, Any]:
    """Read a vector."""
    vector: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return vector


def run(path: Path) -> None:
    """Run all steps of a vector. Raises AssertionError where the core's output differs."""
    vector = read(path)
    runner: Runner = {"converse": ConverseRunner, "work": WorkRunner}[vector["service"]](vector)
    for number, step in enumerate(vector["steps"], 1):
        try:
            runner.step(dict(step))
        except AssertionError as error:
            raise AssertionError(f"{path.name}, step {number} {next(iter(step))}: {error}") from error


class Runner:
    """The steps that both services share."""

    frame: type[Any]

    def __init__(self, vector: dict[str, Any]) -> None:
        limits = {"inFlight": "in_flight", "credit": "credit", "capacity": "capacity"}
        self.limits = Limits(**{limits[k]: v for k, v in vector.get("limits", {}).items()})
        viewer = vector.get("viewer", {})
        roles = {Role.CLIENT, Role.WORKER, Role.CONSOLE} | ({Role.ADMIN} if viewer.get("admin") else set())
        self.viewer = Principal(
            viewer.get("subject", "ada"),
            frozenset(roles),
            tuple(viewer.get("namespaces", ["default"])),
            frozenset(viewer.get("groups", [])),
        )
        self.heartbeat = float(vector.get("heartbeat", 15))
        self.now = 0.0
        self.calls: list[dict[str, Any]] = []
        self.ended: AskbackError | None = None
        self.core: Any = None

    def step(self, step: dict[str, Any]) -> None:
        """Run one step, named by its first member."""
        name = next(iter(step))
        getattr(self, f"_{name}")(step.pop(name), **step)

    def convert(self, frame: Any) -> Any:
        """Convert a client's frame for the core."""
        raise NotImplementedError

    def to_messages(self, frames: list[ServerFrame]) -> list[Any]:
        """Convert the core's frames into messages."""
        raise NotImplementedError

    def take(self, limit: int) -> list[ServerFrame]:
        """Take the core's next frames."""
        raise NotImplementedError

    def do(self, ref: int, todo: Any) -> None:
        """Do what the core has asked for."""
        raise NotImplementedError

    def _client(self, frames: list[dict[str, Any]]) -> None:
        for frame in (ParseDict(f, self.frame()) for f in frames):
            assert self.ended is None, "the stream has ended"
            try:
                todo = self.core.receive(self.convert(frame))
            except InvalidField as error:
                # Like the transport: fatal before the hello, a refused frame after it.
                if self.core.stream.hello is None:
                    self.ended = error
                else:
                    self.core.stream.refuse(frame.ref, error)
            except errors.BadHello as error:
                self.ended = error
            else:
                if isinstance(todo, Call):
                    self.calls.append(MessageToDict(frame))
                self.do(frame.ref, todo)

    def _server(self, expected: list[dict[str, Any]], limit: int = ALL) -> None:
        if self.core.stream.beat_due(self.now):
            self.beat()
        frames = [MessageToDict(f) for f in self.to_messages(self.take(limit))]
        for want, got in zip(expected, frames, strict=False):
            assert want.get("ref", "0") == got.get("ref", "0"), f"wanted {want}, got {got}"
            difference = differs(want, got)
            assert not difference, f"{difference}: wanted {want}, got {got}"
        assert len(frames) == len(expected), f"{frames[len(expected) :] or expected[len(frames) :]}"

    def beat(self) -> None:
        """Push a heartbeat."""
        raise NotImplementedError

    def _calls(self, expected: list[dict[str, Any]]) -> None:
        assert self.calls == expected, self.calls
        self.calls = []

    def _advance(self, seconds: float) -> None:
        self.now += seconds

    def _goAway(self, reason: str, after: float) -> None:
        self.core.stream.go_away(reason, after)

    def _ends(self, wanted: dict[str, str]) -> None:
        assert self.ended is not None, "the stream goes on"
        assert code_of(self.ended).name == wanted["code"], self.ended
        assert self.ended.reason == wanted["reason"], self.ended

    def reply(self, message: Any) -> bool:
        """Complete a call. Returns whether it succeeded."""
        name = message.WhichOneof("body")
        if name == "error":
            self.core.stream.fail_call(message.ref, error_of(message.error))
            return False
        self.core.stream.reply(message.ref, name, getattr(message, name))
        return True


class ConverseRunner(Runner):
    """Runs vectors of the Converse stream."""

    frame = hitl.ConverseClientFrame

    def __init__(self, vector: dict[str, Any]) -> None:
        super().__init__(vector)
        self.core = ConverseCore(self.limits, self.heartbeat)
        self.position = "position"

    def convert(self, frame: Any) -> Any:
        return read_converse_frame(frame, self.viewer)

    def to_messages(self, frames: list[ServerFrame]) -> list[Any]:
        parsed = [hitl.ConverseResponse.FromString(write_converse_frame(f)) for f in frames]
        return [frame for message in parsed for frame in message.frames]

    def take(self, limit: int) -> list[ServerFrame]:
        taken: list[ServerFrame] = []
        while self.core.has_news and len(taken) < limit:
            taken += self.core.take(limit - len(taken), lambda: self.position)
        return taken

    def do(self, ref: int, todo: Any) -> None:
        if isinstance(todo, ConverseHello):
            welcome = ConverseWelcome("session", self.heartbeat, self.limits.in_flight, 4_194_304, "r1")
            self.core.stream.push(welcome, ref)

    def beat(self) -> None:
        told = self.core.view is not None and self.core.view.caught_up
        self.core.stream.push(Heartbeat(self.position if told else "", START))

    def _reply(self, frame: dict[str, Any]) -> None:
        self.reply(ParseDict(frame, hitl.ConverseServerFrame()))

    def _position(self, value: str) -> None:
        self.position = value

    def _load(self, found: dict[str, Any]) -> None:
        view = self.core.view
        if "resumed" in found:
            view.resume()
            for prompt in found["resumed"]:
                view.offer(prompt_of(prompt))
            view.finish_load()
            return
        if "reset" in found:
            view.resume()
            view.reset(found["reset"])
        view.add_page(map(prompt_of, found["open"]), None)
        view.finish_load()

    def _commit(self, changed: list[dict[str, Any]]) -> None:
        for prompt in changed:
            self.core.view.offer(prompt_of(prompt))


class WorkRunner(Runner):
    """Runs vectors of the Work stream."""

    frame = workers.WorkClientFrame

    def __init__(self, vector: dict[str, Any]) -> None:
        super().__init__(vector)
        self.core = WorkCore(self.limits, self.heartbeat)
        self._ref = 0
        self._ending: dict[int, HeldJob | None] = {}
        self._not_run: list[HeldJob] = []

    def convert(self, frame: Any) -> Any:
        return read_work_frame(frame, self.viewer, self.limits)

    def to_messages(self, frames: list[ServerFrame]) -> list[Any]:
        parsed = [workers.WorkResponse.FromString(write_work_frame(f)) for f in frames]
        return [frame for message in parsed for frame in message.frames]

    def take(self, limit: int) -> list[ServerFrame]:
        frames: list[ServerFrame] = self.core.take(limit)
        return frames

    def do(self, ref: int, todo: Any) -> None:
        if isinstance(todo, WorkHello):
            self._ref = ref
        elif isinstance(todo, Call):
            self._ending[ref] = self.core.ending(todo)
        elif isinstance(todo, NotRun):
            self._not_run += todo.leases
        elif isinstance(todo, Goodbye):
            for held in tuple(self.core.held.values()):
                self.core.forget(held)

    def beat(self) -> None:
        self.core.stream.push(Heartbeat(time=START))

    def _reply(self, frame: dict[str, Any]) -> None:
        message = ParseDict(frame, workers.WorkServerFrame())
        done = self.reply(message)
        ending = self._ending.pop(message.ref, None)
        if ending is not None:
            ending.ending = False
            if done:
                self.core.forget(ending)

    def _open(self, welcome: dict[str, Any], held: list[dict[str, Any]] | None = None) -> None:
        message = ParseDict(welcome, workers.WorkWelcome())
        self.core.stream.push(
            WorkWelcome(
                message.session_id,
                message.session_secret,
                self.heartbeat,
                tuple(message.lost_job_ids),
                message.resumed,
                message.replica,
                self.limits.in_flight,
                4_194_304,
            ),
            self._ref,
        )
        self.core.serves = True
        for item in held or ():
            job = job_of(item["job"])
            held_job = self.core.hold(job, handed_over=False)
            self.core.resume(held_job.lease, [prompt_of(p) for p in item.get("prompts", ())])

    def _lease(self, job: dict[str, Any]) -> None:
        self.core.hold(job_of(job), handed_over=False)

    def _handOver(self, leased: dict[str, Any]) -> None:
        prompts = tuple(prompt_of(p) for p in leased.get("prompts", ()))
        self.core.hand_over(
            JobLeased(job_of(leased["job"]), prompts, (), leased.get("more", False)), self.now
        )

    def _takenBack(self, wanted: list[dict[str, Any]], seconds: float | None = None) -> None:
        if seconds is not None:
            self._not_run += self.core.leases.mark_overdue(self.now - seconds)
        taken = [
            {"jobId": h.lease.job_id, "token": str(h.lease.token), "received": h.received}
            for h in self._not_run
        ]
        assert taken == wanted, taken
        self._not_run = []

    def _sessionMoved(self, _: bool) -> None:
        self.core.detach()

    def _commit(self, change: dict[str, Any]) -> None:
        job = job_of(change["job"])
        events = tuple(
            Event(
                job.job_id,
                job.version,
                EventType.ANSWER_LATE,
                "",
                START,
                job.state,
                "default",
                "c",
                prompt_id,
            )
            for prompt_id in change.get("late", ())
        )
        prompts = tuple(prompt_of(p) for p in change.get("prompts", ()))
        self.core.apply_commit(Committed(job, prompts, events, change.get("deleted", False)))

    def _room(self, wanted: int) -> None:
        assert self.core.room() == wanted, self.core.room()

    def _sessionLost(self, _: bool) -> None:
        self.core.lose_all()


def differs(want: Any, got: Any, at: str = "") -> str:
    """The first difference between a wanted and an actual value; empty if there is none."""
    if want == "*":
        return "" if got else f"{at} is empty"
    if isinstance(want, dict):
        if not isinstance(got, dict):
            return f"{at} is {got!r}"
        for key, value in want.items():
            empty: Any = {} if isinstance(value, dict) else [] if isinstance(value, list) else None
            if key not in got and empty is None:
                return f"{at}.{key} is not there"
            if found := differs(value, got.get(key, empty), f"{at}.{key}"):
                return found
        return ""
    if isinstance(want, list):
        if not isinstance(got, list) or len(want) != len(got):
            return f"{at} is {got!r}"
        for index, (one, other) in enumerate(zip(want, got, strict=True)):
            if found := differs(one, other, f"{at}[{index}]"):
                return found
        return ""
    return "" if want == got else f"{at} is {got!r}"


def error_of(frame: Any) -> AskbackError:
    """The domain's error for a FrameError."""
    reason = frame.reason.removeprefix("ERROR_REASON_")
    found = next(
        cls
        for cls in vars(errors).values()
        if isinstance(cls, type)
        and issubclass(cls, AskbackError)
        and cls.reason == reason
        and code_number(code_of(cls.__new__(cls))) == frame.code
    )
    error: AskbackError = found.__new__(found)
    AskbackError.__init__(error, frame.message, **dict(frame.metadata))
    if isinstance(error, InvalidField):
        error.violations = tuple(Violation(v.field, v.description) for v in frame.violations)
    return error
