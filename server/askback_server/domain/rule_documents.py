"""Rules as JSON documents: what a revision says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta

from askback_server.domain.approvals import approval_from_doc, approval_to_doc
from askback_server.domain.decisions import Decision
from askback_server.domain.documents import content_from_json, content_to_json, dump
from askback_server.domain.json_text import Json, JsonObject
from askback_server.domain.routing_documents import audience_from_doc, audience_to_doc
from askback_server.domain.rules import Effect, Example, GivenAnswer, Match, Route, RuleSpec


def spec_to_json(spec: RuleSpec) -> str:
    """The document of a spec. Equal specs have equal documents."""
    doc: JsonObject = {
        "name": spec.name,
        "reason": spec.reason,
        "effect": str(spec.effect),
        "match": {
            "job_types": sorted(spec.match.job_types),
            "kinds": sorted(spec.match.kinds),
            "labels": dict(sorted(spec.match.labels.items())),
            "expression": spec.match.expression,
        },
        "unless": spec.unless,
        "matching": [_example_to_doc(each) for each in spec.matching],
        "not_matching": [_example_to_doc(each) for each in spec.not_matching],
        "expires_at": spec.expires_at.isoformat() if spec.expires_at is not None else None,
        "max_uses": spec.max_uses,
    }
    if spec.answer is not None:
        doc["answer"] = {**asdict(spec.answer), "decision": str(spec.answer.decision)}
    if spec.route is not None:
        doc["route"] = _route_to_doc(spec.route)
    if spec.effect is Effect.REFUSE:
        doc["refusal"] = spec.refusal
    return dump(doc)


def spec_from_json(text: str) -> RuleSpec:
    """The spec that `spec_to_json` wrote."""
    doc = json.loads(text)
    match, answer = doc["match"], doc.get("answer")
    return RuleSpec(
        name=doc["name"],
        reason=doc["reason"],
        effect=Effect(doc["effect"]),
        match=Match(
            frozenset(match["job_types"]), frozenset(match["kinds"]), match["labels"], match["expression"]
        ),
        unless=doc["unless"],
        answer=GivenAnswer(**{**answer, "decision": Decision(answer["decision"])}) if answer else None,
        route=_route_from_doc(doc["route"]) if "route" in doc else None,
        refusal=doc.get("refusal", ""),
        matching=tuple(map(_example_from_doc, doc["matching"])),
        not_matching=tuple(map(_example_from_doc, doc["not_matching"])),
        expires_at=datetime.fromisoformat(doc["expires_at"]) if doc["expires_at"] else None,
        max_uses=doc["max_uses"],
    )


def _example_to_doc(example: Example) -> JsonObject:
    return {
        "content": content_to_json(example.content),
        "job_type": example.job_type,
        "requested_by": example.requested_by,
        "key": example.key,
    }


def _example_from_doc(doc: Mapping[str, Json]) -> Example:
    return Example(content_from_json(doc["content"]), doc["job_type"], doc["requested_by"], doc["key"])


def _route_to_doc(route: Route) -> JsonObject:
    doc: JsonObject = {}
    if route.audience is not None:
        doc["audience"] = audience_to_doc(route.audience)
    if route.approval is not None:
        doc["approval"] = approval_to_doc(route.approval)
    if route.priority is not None:
        doc["priority"] = route.priority
    if route.timeout is not None:
        doc["timeout_s"] = route.timeout.total_seconds()
    return doc


def _route_from_doc(doc: Mapping[str, Json]) -> Route:
    return Route(
        audience_from_doc(doc["audience"]) if "audience" in doc else None,
        approval_from_doc(doc["approval"]) if "approval" in doc else None,
        doc.get("priority"),
        timedelta(seconds=doc["timeout_s"]) if "timeout_s" in doc else None,
    )
