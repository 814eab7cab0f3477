"""Requests about rules."""

from __future__ import annotations

from typing import Any

from askback.v1 import policy_service_pb2 as pb
from askback.v1 import prompt_pb2 as prompts
from askback.v1 import rule_pb2 as rules
from tests.support.requests import ACCEPT, confirm


def example(metadata_json: str = '{"tool":"ls"}', **fields: Any) -> rules.RuleExample:
    return rules.RuleExample(content=confirm(metadata_json=metadata_json), **fields)


def spec(**fields: Any) -> rules.RuleSpec:
    """A rule that accepts prompts of the kind `confirm` about the tool `ls`."""
    given: dict[str, Any] = {
        "name": "ls",
        "reason": "it only reads",
        "match": rules.RuleMatch(kinds=["confirm"], expression="metadata.tool == 'ls'"),
        "matching": [example()],
        "not_matching": [example('{"tool":"rm"}')],
    }
    given |= fields
    if not {"answer", "refuse", "ask", "route"} & given.keys():
        given["answer"] = rules.RuleAnswer(decision=ACCEPT)
    return rules.RuleSpec(**given)


def create(**fields: Any) -> pb.CreateRuleRequest:
    return pb.CreateRuleRequest(spec=spec(**fields))


def tool(name: str = "ls", **fields: Any) -> prompts.PromptContent:
    """A question about a tool."""
    return confirm(metadata_json=f'{{"tool":"{name}"}}', **fields)
