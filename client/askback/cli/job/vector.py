"""Writes a finished job as a conformance vector: the conversation of a console that saw all of it.

`tests/vectors/README.md` describes the format. The vector has no times, so that every run is the same.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.json_format import MessageToDict

from askback._model.enums import AnswerStatus
from askback._model.jobs import Event
from askback._model.prompts import PromptInfo
from askback._model.resolutions import AnswerInfo
from askback.cli.job.history import History
from askback.v1 import hitl_service_pb2 as pb
from askback.v1 import prompt_pb2

_CLOSINGS = ("PROMPT_EXPIRED", "PROMPT_CANCELLED", "PROMPT_SUPERSEDED")


def vector(history: History) -> dict[str, Any]:
    """The vector. Prompts have their latest content: the server does not store earlier revisions."""
    job = history.job
    steps: list[dict[str, Any]] = [
        {"client": [{"ref": "1", "hello": {}}]},
        {"load": {"open": []}},
        {"server": [{"ref": "1", "welcome": {"sessionId": "*"}}, {"promptEvent": {"caughtUp": {}}}]},
    ]
    writer = _StepWriter(history)
    for event in history.events:
        if event.prompt_id in history.prompts:
            steps += writer.steps(event)
    return {
        "description": f"Job {job.job_id} of the type {job.job_type}, as its console saw it.",
        "service": "converse",
        "viewer": {"subject": "exported", "namespaces": [job.proto.namespace], "admin": True},
        "steps": steps,
    }


class _StepWriter:
    """Turns events into the steps of a vector, one after the other."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._ref = 1
        self._version: dict[str, int] = {}
        self._revision: dict[str, int] = {}

    def steps(self, event: Event) -> list[dict[str, Any]]:
        """The steps that the event adds to the conversation."""
        prompt = self._history.prompts[event.prompt_id]
        match event.type:
            case "PROMPT_ASKED" | "PROMPT_AMENDED":
                self._version[prompt.prompt_id] = event.seq
                self._revision[prompt.prompt_id] = int(event.data.get("revision", 1))
                shown = self._open_prompt(prompt)
                sent = {name: shown[name] for name in ("promptId", "version", "revision")}
                return [{"commit": [shown]}, {"server": [{"promptEvent": {"upserted": {"prompt": sent}}}]}]
            case "PROMPT_ANSWERED":
                answer = self._find_answer(event)
                if answer is None:
                    return self._closing_steps(prompt, event)
                asked = self._call_steps(prompt, answer)
                closing = self._closing_steps(prompt, event)
                result = {"status": "ANSWER_STATUS_ACCEPTED", "answerId": answer.answer_id}
                return [
                    *asked,
                    *closing,
                    *self._reply_steps({**result, "prompt": _ended_prompt(prompt, event.seq)}),
                ]
            case "ANSWER_REFUSED" | "ANSWER_LATE":
                answer = self._find_answer(event)
                return [] if answer is None else self._refusal_steps(prompt, answer, event)
            case kind if kind in _CLOSINGS:
                return self._closing_steps(prompt, event)
            case _:
                return []

    def _find_answer(self, event: Event) -> AnswerInfo | None:
        found = self._history.answers.get((event.prompt_id, str(event.data.get("answer_id", ""))))
        return found[0] if found else None

    def _open_prompt(self, prompt: PromptInfo) -> dict[str, Any]:
        """The prompt as it was before it ended."""
        proto = prompt_pb2.Prompt(
            prompt_id=prompt.prompt_id,
            job_id=prompt.job_id,
            namespace=prompt.proto.namespace,
            job_type=prompt.job_type,
            key=prompt.key,
            round=prompt.proto.round,
            revision=self._revision.get(prompt.prompt_id, 1),
            version=self._version.get(prompt.prompt_id, 1),
            state=prompt_pb2.PROMPT_STATE_PENDING,
            content=prompt.proto.content,
        )
        proto.content.ClearField("derived_schema_json")
        return MessageToDict(proto)

    def _call_steps(self, prompt: PromptInfo, answer: AnswerInfo) -> list[dict[str, Any]]:
        """The steps of a console that answers: its frame, and the call that the server makes of it."""
        self._ref += 1
        request = pb.AnswerPromptRequest(
            prompt_id=prompt.prompt_id,
            answer_id=answer.answer_id,
            revision=answer.revision,
            decision=prompt_pb2.Decision.Value(f"DECISION_{answer.decision}"),
            values_json=answer.values_json,
            edits=[prompt_pb2.Edit(content_id=name, text=text) for name, text in answer.edits.items()],
            comment=answer.comment,
        )
        frame = MessageToDict(pb.ConverseClientFrame(ref=self._ref, answer_prompt=request))
        return [{"client": [frame]}, {"calls": [frame]}]

    def _reply_steps(self, result: dict[str, Any]) -> list[dict[str, Any]]:
        """The steps of the verdict: the reply of the call, and the frame for the console."""
        ref = str(self._ref)
        sent = {"status": result["status"], "answerId": result["answerId"]}
        return [
            {"reply": {"ref": ref, "answerPrompt": {"result": result}}},
            {"server": [{"ref": ref, "answerPrompt": {"result": sent}}]},
        ]

    def _refusal_steps(self, prompt: PromptInfo, answer: AnswerInfo, event: Event) -> list[dict[str, Any]]:
        late = event.type == "ANSWER_LATE"
        status = AnswerStatus.CLOSED if late else AnswerStatus(event.data.get("status", "INVALID"))
        violations = [{"field": v.field, "description": v.description} for v in answer.violations]
        result = {
            "status": f"ANSWER_STATUS_{status}",
            "answerId": answer.answer_id,
            "prompt": _ended_prompt(prompt, event.seq) if late else self._open_prompt(prompt),
            **({"violations": violations} if violations else {}),
        }
        return [*self._call_steps(prompt, answer), *self._reply_steps(result)]

    def _closing_steps(self, prompt: PromptInfo, event: Event) -> list[dict[str, Any]]:
        """The steps of a prompt that ends: the commit, and the event for the console."""
        closed = _ended_prompt(prompt, event.seq)
        sent: dict[str, Any] = {
            "promptId": prompt.prompt_id,
            "version": str(event.seq),
            "resolution": {"state": closed["resolution"]["state"]},
        }
        if prompt.answered is not None:
            sent["answerId"] = prompt.answered.answer_id
        return [{"commit": [closed]}, {"server": [{"promptEvent": {"closed": sent}}]}]


def _ended_prompt(prompt: PromptInfo, version: int) -> dict[str, Any]:
    """The ended prompt, without times."""
    proto = prompt_pb2.Prompt()
    proto.CopyFrom(prompt.proto)
    proto.version = version
    for name in ("create_time", "update_time", "expire_time", "consume_time", "claim_expire_time"):
        proto.ClearField(name)
    proto.content.ClearField("derived_schema_json")
    proto.resolution.ClearField("time")
    proto.resolution.answer.ClearField("create_time")
    if prompt.answered is None:
        proto.resolution.ClearField("answer")
    return MessageToDict(proto)
