"""Absences of people, and who stands in for them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from askback._model.times import moment
from askback.v1 import policy_service_pb2 as pb


@dataclass(frozen=True, slots=True)
class Absence:
    """That a person is away: from `since` until before `until`.

    Meanwhile `substitute` may answer the prompts that name the person; empty: no one stands in. `set_by` is
    the person or the admin who has set it last.
    """

    absence_id: str
    subject: str
    since: datetime | None
    until: datetime | None
    substitute: str
    comment: str
    set_by: str
    created_at: datetime | None
    updated_at: datetime | None
    proto: pb.Absence

    @classmethod
    def from_proto(cls, message: pb.Absence) -> Absence:
        """The absence that a message describes."""
        return cls(
            message.absence_id,
            message.subject,
            moment(message, "from_time"),
            moment(message, "until_time"),
            message.substitute,
            message.comment,
            message.set_by,
            moment(message, "create_time"),
            moment(message, "update_time"),
            message,
        )
