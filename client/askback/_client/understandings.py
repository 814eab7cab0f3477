"""Reads and changes the deep-understanding state of a job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from askback._model.json_text import dumps
from askback._model.understanding import Understanding
from askback._wire.calls import Calls
from askback.v1 import job_pb2
from askback.v1 import job_service_pb2 as pb

_JSON = {
    "questions_asked": "questions_asked_json",
    "answers": "answers_json",
    "research_performed": "research_performed_json",
}
_PLAIN = {
    "summary": "understanding_summary",
    "user_problem": "user_problem",
    "readiness_score": "readiness_score",
    "complete": "complete",
}


class Understandings:
    """Reads and changes deep-understanding states."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def get(self, job_id: str) -> Understanding:
        """Read the state of a job; version 0 if none was written. Raises NotFound."""
        request = pb.GetDeepUnderstandingRequest(job_id=job_id)
        reply = await self._calls.unary(self._calls.jobs.GetDeepUnderstanding, request)
        return Understanding.from_proto(reply.deep_understanding)

    async def update(
        self, job_id: str, fields: Mapping[str, Any], *, expected_version: int = 0, token: int = 0
    ) -> Understanding:
        """Change the named fields. Raises NotFound, Aborted, LeaseLost, TypeError for an unknown field."""
        state = job_pb2.DeepUnderstanding(job_id=job_id)
        paths: list[str] = []
        for name, value in fields.items():
            if name in _JSON:
                setattr(state, _JSON[name], dumps(value))
                paths.append(_JSON[name])
            elif name in _PLAIN:
                setattr(state, _PLAIN[name], value)
                paths.append(_PLAIN[name])
            else:
                raise TypeError(f"an understanding has no field {name!r}; it has {[*_JSON, *_PLAIN]}")
        request = pb.UpdateDeepUnderstandingRequest(
            deep_understanding=state,
            update_mask=FieldMask(paths=paths),
            expected_version=expected_version,
            token=token,
        )
        reply = await self._calls.unary(
            self._calls.jobs.UpdateDeepUnderstanding, request, idempotent=not expected_version
        )
        return Understanding.from_proto(reply.deep_understanding)
