"""How an answer came about: with others, or by a rule."""

from __future__ import annotations

from askback.v1 import prompt_pb2
from askback_server.domain.answers import Answer


def put_origin(target: prompt_pb2.Answer, answer: Answer) -> None:
    """Set the call with several answers, and the rule that gave it."""
    target.batch_id = answer.batch_id
    if answer.rule:
        target.rule_id, _, revision = answer.rule.rpartition("@")
        target.rule_revision = int(revision)
