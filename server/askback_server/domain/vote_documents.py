"""The votes of a prompt as the JSON document in which they are stored."""

from __future__ import annotations

import json

from askback_server.domain.documents import answer_from_json, answer_to_json, dump
from askback_server.domain.json_text import JsonObject
from askback_server.domain.votes import Shortfall, Vote, Votes


def votes_to_json(votes: Votes) -> str:
    """The `votes` document. The answers are texts in it, so that their values stay as they were sent."""
    live = [_vote_to_doc(vote) for vote in votes.live]
    return dump({"live": live, "earlier": sorted(votes.earlier), "shortfalls": shortfalls_to_doc(votes)})


def _vote_to_doc(vote: Vote) -> JsonObject:
    doc: JsonObject = {
        "answer": answer_to_json(vote.answer),
        "outcome": vote.outcome,
        "groups": sorted(vote.groups),
        "entry": None if vote.entry is None else sorted(vote.entry),
    }
    if vote.delegation:
        doc["delegation"] = vote.delegation
    if vote.via:
        doc["via"] = vote.via
    return doc


def shortfalls_to_doc(votes: Votes) -> list[list[str | int]]:
    """What was known to be missing: of each the group, how many it needs and how many are known."""
    return [[each.group, each.required, each.known] for each in votes.shortfalls]


def votes_from_json(text: str) -> Votes:
    """The votes that `votes_to_json` wrote."""
    doc = json.loads(text)
    live = tuple(
        Vote(
            answer_from_json(v["answer"])[0],
            v["outcome"],
            frozenset(v["groups"]),
            None if v["entry"] is None else frozenset(v["entry"]),
            v.get("delegation", 0),
            v.get("via", ""),
        )
        for v in doc["live"]
    )
    shortfalls = tuple(Shortfall(*each) for each in doc["shortfalls"])
    return Votes(live, frozenset(doc["earlier"]), shortfalls)
