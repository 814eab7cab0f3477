"""PolicyService: rules, previews of them, drafts, absences of people, and the keys of receipts."""

from __future__ import annotations

from askback.v1 import policy_service_pb2 as pb
from askback.v1 import rule_pb2
from askback_server.domain.errors import InvalidField
from askback_server.domain.principals import Role
from askback_server.domain.sizes import fit_bytes
from askback_server.domain.stored_rules import StoredRule
from askback_server.sessions.replica import Replica
from askback_server.transport.call_context import Context, current_principal
from askback_server.transport.convert.routing import absence_message, absence_page, absence_setting
from askback_server.transport.convert.rules import (
    preview_message,
    rule_id,
    rule_message,
    rule_spec,
    rule_update,
    suggestion_message,
)
from askback_server.transport.convert.values import namespace, page_size
from askback_server.transport.page_tokens import digest_query, seal, unseal


class PolicyServicer:
    """Serves people, admins and callers with the role policy. The contract documents the methods."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._policy = replica.policy
        self._history = replica.rule_history
        self._absences = replica.absences

    async def CreateRule(self, request: pb.CreateRuleRequest, _: Context) -> pb.CreateRuleResponse:
        principal = current_principal()
        principal.require(Role.POLICY)
        where, spec = (
            namespace(request.namespace, principal),
            rule_spec(request.spec, request.HasField("spec")),
        )
        rule = await self._policy.create(
            principal, where, spec, request.request_id, validate_only=request.validate_only
        )
        return pb.CreateRuleResponse(rule=self._message(rule))

    async def UpdateRule(self, request: pb.UpdateRuleRequest, _: Context) -> pb.UpdateRuleResponse:
        principal = current_principal()
        principal.require(Role.POLICY)
        rule = await self._policy.update(principal, rule_update(request, principal))
        return pb.UpdateRuleResponse(rule=self._message(rule))

    async def DeleteRule(self, request: pb.DeleteRuleRequest, _: Context) -> pb.DeleteRuleResponse:
        principal = current_principal()
        principal.require(Role.POLICY)
        where = namespace(request.namespace, principal)
        await self._policy.delete(principal, where, rule_id(request.rule_id))
        return pb.DeleteRuleResponse()

    async def ListRules(self, request: pb.ListRulesRequest, _: Context) -> pb.ListRulesResponse:
        principal, limits, secret = current_principal(), self._replica.limits, self._replica.secret
        where = namespace(request.namespace, principal)
        query = digest_query("rules", where, request.include_deleted)
        limit = page_size(request.page_size, limits)
        after = unseal(secret, query, request.page_token)[0] if request.page_token else ""
        found = await self._policy.list_rules(
            principal, where, limit + 1, after, include_deleted=request.include_deleted
        )
        rules = [self._message(each) for each in found[:limit]]
        fitting = fit_bytes(rules, rule_pb2.Rule.ByteSize, limits.page_bytes, at_least=1)
        token = seal(secret, query, [fitting[-1].rule_id]) if len(fitting) < len(found) else ""
        return pb.ListRulesResponse(rules=fitting, next_page_token=token)

    async def PreviewRule(self, request: pb.PreviewRuleRequest, _: Context) -> pb.PreviewRuleResponse:
        principal = current_principal()
        principal.require(Role.POLICY)
        where, spec = (
            namespace(request.namespace, principal),
            rule_spec(request.spec, request.HasField("spec")),
        )
        return preview_message(await self._history.preview(principal, where, spec, request.prompts))

    async def SuggestRules(self, request: pb.SuggestRulesRequest, _: Context) -> pb.SuggestRulesResponse:
        principal = current_principal()
        where = namespace(request.namespace, principal)
        if request.prompt_id:
            one = await self._history.propose(principal, where, request.prompt_id, request.prompts)
            return pb.SuggestRulesResponse(suggestions=[suggestion_message(one)])
        found = await self._history.suggest(principal, where, request.prompts, request.min_support)
        return pb.SuggestRulesResponse(suggestions=map(suggestion_message, found))

    async def SetAbsence(self, request: pb.SetAbsenceRequest, _: Context) -> pb.SetAbsenceResponse:
        principal = current_principal()
        absence = await self._absences.set_absence(principal, absence_setting(request, principal))
        return pb.SetAbsenceResponse(absence=absence_message(absence))

    async def DeleteAbsence(self, request: pb.DeleteAbsenceRequest, _: Context) -> pb.DeleteAbsenceResponse:
        principal = current_principal()
        where = namespace(request.namespace, principal)
        if not request.absence_id:
            raise InvalidField.of("absence_id", "is required")
        absence = await self._absences.delete_absence(principal, where, request.absence_id)
        return pb.DeleteAbsenceResponse(absence=absence_message(absence))

    async def ListAbsences(self, request: pb.ListAbsencesRequest, _: Context) -> pb.ListAbsencesResponse:
        principal, secret = current_principal(), self._replica.secret
        page, limit = absence_page(request, principal), page_size(request.page_size, self._replica.limits)
        query = digest_query("absences", page)
        after = unseal(secret, query, request.page_token)[0] if request.page_token else ""
        found = await self._absences.list_absences(principal, page, limit + 1, after)
        token = seal(secret, query, [found[limit - 1].absence_id]) if len(found) > limit else ""
        return pb.ListAbsencesResponse(
            absences=[absence_message(each) for each in found[:limit]], next_page_token=token
        )

    async def ListReceiptKeys(
        self, _request: pb.ListReceiptKeysRequest, _: Context
    ) -> pb.ListReceiptKeysResponse:
        return pb.ListReceiptKeysResponse(jwks_json=self._replica.receipts.public_keys())

    def _message(self, rule: StoredRule) -> rule_pb2.Rule:
        return rule_message(rule, self._policy.now())
