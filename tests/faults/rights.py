"""What a user at a console does with its rights besides answering: withdraw, delegate, write a rule."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import grpc

from askback.errors import AskbackError
from askback.v1 import hitl_service_pb2 as pb
from askback.v1 import policy_service_pb2 as policy
from askback.v1 import prompt_pb2, rule_pb2
from askback.v1.hitl_service_pb2_grpc import HitlServiceStub
from askback.v1.policy_service_pb2_grpc import PolicyServiceStub
from tests.faults.plan import ERRAND
from tests.faults.program import CALL_SECONDS, Program, refusal, until_known

MAX_USES = 4
"""Of one rule: so few that a short run uses one up."""
WRITER = "cleo"
"""Who writes rules."""
RULE_SECONDS = 10.0
"""Between two rules: a namespace has room for 500."""
PEOPLE = ("ana", "bob", "cleo")


class Rights:
    """Makes and records the calls of one user."""

    def __init__(self, program: Program) -> None:
        self._program = program

    async def withdraw(self, prompt_id: str, answer_id: str) -> None:
        """Withdraw a vote."""
        request = pb.WithdrawAnswerRequest(prompt_id=prompt_id, answer_id=answer_id)
        facts = {"p": prompt_id, "id": answer_id}
        await self._call("withdraw", HitlServiceStub, "WithdrawAnswer", request, facts, lambda _: {})

    async def delegate(self, prompt: prompt_pb2.Prompt) -> bool:
        """Delegate a prompt to another user, for good or in addition. Returns whether it is delegated."""
        rng = self._program.rng
        to = rng.choice([name for name in PEOPLE if name != self._program.name])
        mode = pb.DELEGATION_MODE_TRANSFER if rng.random() < 0.6 else pb.DELEGATION_MODE_ADD
        request = pb.DelegatePromptRequest(prompt_id=prompt.prompt_id, user=to, mode=mode)
        facts = {"p": prompt.prompt_id, "to": to, "mode": mode}
        return await self._call("delegate", HitlServiceStub, "DelegatePrompt", request, facts, lambda _: {})

    async def write_rules(self) -> None:
        """Create a rule every few seconds, until cancelled."""
        while True:
            await self._write_rule()
            await asyncio.sleep(RULE_SECONDS)

    async def _write_rule(self) -> None:
        """Create a rule that accepts errands a few times."""
        spec = rule_pb2.RuleSpec(name="errands", reason="chaos", max_uses=MAX_USES)
        spec.match.kinds.append(ERRAND)
        spec.answer.decision = prompt_pb2.DECISION_ACCEPT
        spec.answer.comment = "by a rule"
        for examples, kind in ((spec.matching, ERRAND), (spec.not_matching, "confirm")):
            examples.add(content=prompt_pb2.PromptContent(kind=kind, title="?"))
        request = policy.CreateRuleRequest(request_id=uuid.uuid4().hex, spec=spec)
        facts = {"n": MAX_USES}
        await self._call(
            "rule",
            PolicyServiceStub,
            "CreateRule",
            request,
            facts,
            lambda reply: {"rule": reply.rule.rule_id},
        )

    async def _call(
        self,
        what: str,
        stub: Callable[[grpc.aio.Channel], Any],
        method: str,
        request: Any,
        facts: dict[str, Any],
        result: Callable[[Any], dict[str, Any]],
    ) -> bool:
        """Make and record one call. Returns whether it succeeded."""
        record, endpoint = self._program.record, self._program.endpoint
        op = record.invoke(what, **facts)
        self._program.count(what)

        async def call() -> Any:
            async with endpoint.open() as channel:
                return await getattr(stub(channel), method)(
                    request, timeout=CALL_SECONDS, metadata=endpoint.metadata()
                )

        try:
            reply = await until_known(call, self._program.rng)
        except AskbackError as error:
            record.write("no", op=op, **refusal(error))
            return False
        record.write("ok", op=op, **result(reply))
        return True
