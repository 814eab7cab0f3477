"""What `audit verify` says of answers in the place of others."""

from __future__ import annotations

from typing import Any

import pytest

from askback_server.domain.audit_delegations import verify_delegations
from askback_server.domain.events import Event, EventType
from askback_server.domain.jobs import JobState
from askback_server.domain.stored_jobs import StoredEvent
from tests.support.aggregates import START

GIVEN = {"number": 1, "holder": "ann", "giver": "ann", "user": "bob", "mode": "ADD"}


def stored(seq: int, type: EventType, **data: Any) -> StoredEvent:
    event = Event("j", seq, type, "bob", START, JobState.RUNNING, "default", f"c{seq}", "p", data)
    return StoredEvent(event, "", None, None, None, b"", None)


@pytest.mark.parametrize(("source", "is_wrong"), [("HUMAN", False), ("RULE", True)])
def test_a_rule_does_not_answer_by_the_right_of_another_person(source: str, is_wrong: bool) -> None:
    history = [
        stored(1, EventType.PROMPT_DELEGATED, **GIVEN),
        stored(2, EventType.PROMPT_ANSWERED, on_behalf_of="ann", source=source),
    ]
    faults = [problem for seq, problem in verify_delegations(history, None) if seq == 2]
    assert faults == (["a rule of bob answered by the right of ann"] if is_wrong else [])
