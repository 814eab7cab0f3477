"""Checks that a server can evaluate the conditions of its rules."""

from __future__ import annotations

import grpc

from askback._wire.channel import Endpoint
from askback._wire.status import from_rpc
from askback.cli.checkup import Finding, fail, ok, warn
from askback.cli.connection import Connection
from askback.v1 import policy_service_pb2 as pb
from askback.v1 import prompt_pb2, rule_pb2
from askback.v1.policy_service_pb2_grpc import PolicyServiceStub

_MAX_RULES = 500
"""The largest page, and the most rules that a namespace may have."""
_PROBE = rule_pb2.RuleSpec(
    name="askback doctor",
    reason="checks whether the server evaluates conditions; it is never created",
    match=rule_pb2.RuleMatch(expression='prompt.kind == "confirm"'),
    answer=rule_pb2.RuleAnswer(decision=prompt_pb2.DECISION_ACCEPT),
)


async def check_rules(channel: grpc.aio.Channel, endpoint: Endpoint, connection: Connection) -> Finding:
    """Whether the server that answers has the library of the extra `rules`; without it, rules with conditions
    ask people. The caller needs the role policy."""
    stub, metadata, timeout = PolicyServiceStub(channel), endpoint.metadata(), connection.timeout
    namespace = connection.namespace
    listing = pb.ListRulesRequest(namespace=namespace, page_size=_MAX_RULES)
    preview = pb.PreviewRuleRequest(namespace=namespace, spec=_PROBE, prompts=1)
    try:
        found = (await stub.ListRules(listing, timeout=timeout, metadata=metadata)).rules
        said = [spec for rule in found for spec in (rule.spec, rule.proposed)]
        conditional = sum(bool(spec.match.expression or spec.unless) for spec in said)
        await stub.PreviewRule(preview, timeout=timeout, metadata=metadata)
    except grpc.aio.AioRpcError as rpc:
        if rpc.code() is not grpc.StatusCode.INVALID_ARGUMENT:
            return fail("rules", from_rpc(rpc).message, "look into the server's log")
        lacks = "the server does not evaluate conditions: the library is not installed"
        todo = "pip install 'askback[rules]' at each replica"
        if not conditional:
            return ok("rules", f"{lacks}; no rule has one ({todo})")
        return warn("rules", f"{lacks}, and {conditional} rules have one: people are asked instead", todo)
    return ok("rules", f"the server evaluates conditions; {conditional} rules have one")
