"""What of a content is in its canonical form, as the client computes it: in another way than the server."""

from __future__ import annotations

from typing import Any

from askback._model.shown_form import SHOWN as SHOWN
from askback._model.shown_form import canonical_form as form_of
from askback._model.shown_form import digest_of_content as digest_of_content

__all__ = ["NOT_SHOWN", "SHOWN", "digest_of_content", "form_of"]

NOT_SHOWN: tuple[Any, ...] = (  # the stubs of protobuf want literals
    "derived_schema_json",
    "priority",
    "audience",
    "labels",
    "blocking",
    "final_action",
    "default_answer",
    "metadata_json",
    "timeout",
    "escalation",
    "reminders",
    "deadline",
    "exclude",
    "delegation",
    "group_key",
)
