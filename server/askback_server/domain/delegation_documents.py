"""Delegations of a prompt as JSON documents: parts of its content, and the data of events."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from askback_server.domain.delegations import (
    Delegation,
    DelegationCause,
    DelegationMode,
    DelegationPolicy,
    Delegations,
    DelegationScope,
)
from askback_server.domain.json_text import Json, JsonObject


def policy_to_doc(policy: DelegationPolicy) -> JsonObject:
    """A policy as JSON values."""
    doc: JsonObject = {"scope": str(policy.scope)}
    if policy.users or policy.groups:
        doc |= {"users": sorted(policy.users), "groups": sorted(policy.groups)}
    return doc


def policy_from_doc(doc: Mapping[str, Json]) -> DelegationPolicy:
    """The policy that `policy_to_doc` wrote."""
    users, groups = frozenset(doc.get("users", ())), frozenset(doc.get("groups", ()))
    return DelegationPolicy(DelegationScope(doc["scope"]), users, groups)


def delegation_to_doc(delegation: Delegation) -> JsonObject:
    """A delegation as JSON values; fields at their default are left out."""
    doc: JsonObject = {"number": delegation.number, "holder": delegation.holder, "giver": delegation.giver}
    doc |= {"user": delegation.user} if delegation.user else {"group": delegation.group}
    doc |= {
        "mode": str(delegation.mode),
        "cause": str(delegation.cause),
        "at": delegation.at.isoformat(),
    }
    if delegation.comment:
        doc["comment"] = delegation.comment
    if delegation.until is not None:
        doc["until"] = delegation.until.isoformat()
    if delegation.parent:
        doc["parent"] = delegation.parent
    if delegation.entry is not None:
        doc["entry"] = sorted(delegation.entry)
    return doc


def _delegation_from_doc(doc: Mapping[str, Json]) -> Delegation:
    return Delegation(
        number=doc["number"],
        holder=doc["holder"],
        giver=doc["giver"],
        user=doc.get("user", ""),
        group=doc.get("group", ""),
        mode=DelegationMode(doc["mode"]),
        cause=DelegationCause(doc["cause"]),
        at=datetime.fromisoformat(doc["at"]),
        comment=doc.get("comment", ""),
        until=datetime.fromisoformat(doc["until"]) if "until" in doc else None,
        parent=doc.get("parent", 0),
        entry=frozenset(doc["entry"]) if "entry" in doc else None,
    )


def delegations_to_doc(delegations: Delegations) -> JsonObject:
    """The delegations of a prompt as JSON values."""
    doc: JsonObject = {"last": delegations.last}
    doc["active"] = [delegation_to_doc(each) for each in delegations.active]
    if delegations.skipped:
        doc["skipped"] = [list(pair) for pair in delegations.skipped]
    return doc


def delegations_from_doc(doc: Mapping[str, Json]) -> Delegations:
    """The delegations that `delegations_to_doc` wrote."""
    skipped = tuple((absent, substitute) for absent, substitute in doc.get("skipped", ()))
    return Delegations(tuple(map(_delegation_from_doc, doc["active"])), doc["last"], skipped)
