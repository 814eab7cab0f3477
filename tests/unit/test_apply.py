"""The table of rules: each rule accepts its command and returns the reply type that the command declares."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import pytest

from askback_server.domain.aggregate import RuleResult
from askback_server.domain.apply import RULES
from askback_server.domain.commands import Command


@pytest.mark.parametrize("kind", RULES, ids=lambda kind: kind.__name__)
def test_rule_takes_its_command_and_decides_the_declared_reply(kind: type[Command[object]]) -> None:
    hints = get_type_hints(RULES[kind])
    assert hints["command"] is kind
    assert hints["return"] == RuleResult[reply_type(kind)]  # type: ignore[misc]


def reply_type(kind: Any) -> Any:
    """The type argument of the base class: `Job` for `class LeaseJob(OnJob[Job])`."""
    (base,) = kind.__orig_bases__
    (reply,) = get_args(base)
    return reply
