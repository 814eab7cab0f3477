"""`client.rules`: rules that answer, their previews, and drafts."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any

from askback._model.prompts import PromptInfo
from askback._model.rule_specs import RuleSpec, spec_message
from askback._model.rules import Rule, RulePreview, RuleSuggestion
from askback._wire.calls import Calls
from askback.v1 import policy_service_pb2 as pb


class Rules:
    """The rules of a client's namespace. They need the role policy.

    A spec is a RuleSpec, or the mapping of which one is made. Every method may raise PermissionDenied and
    Unimplemented (an older server).
    """

    def __init__(self, calls: Calls, namespace: str) -> None:
        self._calls = calls
        self.namespace = namespace

    async def create(
        self,
        spec: RuleSpec | Mapping[str, Any],
        *,
        request_id: str | None = None,
        validate_only: bool = False,
    ) -> Rule:
        """Create a rule and return it: ACTIVE, or PROPOSED where a second person must accept it.

        `request_id` is generated if not given, so that the call can be retried. With `validate_only` nothing
        is created. Raises ValueError and InvalidArgument for a spec that is wrong (also for one whose
        examples do not fit), AlreadyExists for a `request_id` of another rule, ResourceExhausted.
        """
        request = pb.CreateRuleRequest(
            namespace=self.namespace,
            request_id=request_id or uuid.uuid4().hex,
            spec=spec_message(spec),
            validate_only=validate_only,
        )
        return Rule.from_proto((await self._calls.unary(self._calls.policy.CreateRule, request)).rule)

    async def update(
        self,
        rule: Rule | str,
        spec: RuleSpec | Mapping[str, Any] | None = None,
        *,
        enabled: bool | None = None,
        expected_revision: int = 0,
    ) -> Rule:
        """Change what a rule says, as a whole, or switch it off or on. Returns the rule.

        With a spec, and if it is switched on, it gets a new revision, of which you are the author. With an
        `expected_revision` (the `newest_revision` that you have seen) the change of another person in
        between is not overwritten. Raises NotFound, Aborted for another newest revision, and like `create`.
        """
        request = pb.UpdateRuleRequest(
            namespace=self.namespace,
            rule_id=_id_of(rule),
            enabled=enabled,
            expected_revision=expected_revision,
        )
        if spec is not None:
            request.spec.CopyFrom(spec_message(spec))
        # Repeating it could make a second revision.
        reply = await self._calls.unary(self._calls.policy.UpdateRule, request, idempotent=False)
        return Rule.from_proto(reply.rule)

    async def delete(self, rule: Rule | str) -> None:
        """Delete a rule at once. Deleting it again does nothing. Raises NotFound."""
        request = pb.DeleteRuleRequest(namespace=self.namespace, rule_id=_id_of(rule))
        await self._calls.unary(self._calls.policy.DeleteRule, request)

    async def preview(self, spec: RuleSpec | Mapping[str, Any], *, prompts: int = 0) -> RulePreview:
        """Say what a rule would have done with the last questions (200, at most 1,000), against what people
        did. It changes nothing, and needs no examples. Raises like `create`."""
        request = pb.PreviewRuleRequest(namespace=self.namespace, spec=spec_message(spec), prompts=prompts)
        return RulePreview.from_proto(await self._calls.unary(self._calls.policy.PreviewRule, request))

    async def suggest(
        self, prompt: PromptInfo | str = "", *, min_support: int = 0, prompts: int = 0
    ) -> tuple[RuleSuggestion, ...]:
        """Draft rules from what people have decided alike at least `min_support` times (5), most support
        first; with an answered `prompt` the one rule "always so for this".

        `prompts` is how many of the last closed questions are looked at (500, at most 1,000). Nothing is
        created. Raises InvalidArgument, also for a question of which no rule can be made, NotFound.
        """
        request = pb.SuggestRulesRequest(
            namespace=self.namespace,
            prompt_id=prompt.prompt_id if isinstance(prompt, PromptInfo) else prompt,
            min_support=min_support,
            prompts=prompts,
        )
        reply = await self._calls.unary(self._calls.policy.SuggestRules, request)
        return tuple(map(RuleSuggestion.from_proto, reply.suggestions))

    async def list(self, *, include_deleted: bool = False, page_size: int = 0) -> AsyncIterator[Rule]:
        """Yield the rules of the namespace by id: mostly in the order of their creation."""
        request = pb.ListRulesRequest(
            namespace=self.namespace, include_deleted=include_deleted, page_size=page_size
        )
        while True:
            page = await self._calls.unary(self._calls.policy.ListRules, request)
            for rule in page.rules:
                yield Rule.from_proto(rule)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token


class RuleCalls:
    """The client's rules."""

    _calls: Calls
    namespace: str

    @property
    def rules(self) -> Rules:
        """The rules of the client's namespace: `await client.rules.create(...)`."""
        return Rules(self._calls, self.namespace)


def _id_of(rule: Rule | str) -> str:
    return rule.rule_id if isinstance(rule, Rule) else rule
