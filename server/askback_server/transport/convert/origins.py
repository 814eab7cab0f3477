"""How an answer came about: with others, in the place of a person, or by a rule."""

from __future__ import annotations

from askback.v1 import prompt_pb2
from askback_server.domain.answers import Answer


def put_origin(target: prompt_pb2.Answer, answer: Answer) -> None:
    """Set the call with several answers, the holder of a delegated right, and the rule that gave it."""
    target.batch_id = answer.batch_id
    target.on_behalf_of = answer.on_behalf_of
    put_rule(target, answer)


def put_rule(target: prompt_pb2.Answer | prompt_pb2.Vote, answer: Answer) -> None:
    """Set the rule that gave it, if one did."""
    if answer.rule:
        target.rule_id, _, revision = answer.rule.rpartition("@")
        target.rule_revision = int(revision)
