"""Jobs of the reference model in the form in which the translator returns stored ones."""

from __future__ import annotations

from typing import Any

from tests.model.rule_changes import audience_of


def to_comparable(job: dict[str, Any]) -> dict[str, Any]:
    """A job of the reference model, in the form in which `learn` returns a stored one."""
    prompts = {}
    for key, p in job["prompts"].items():
        answers = {i: status for i, (_, status) in p["answers"].items()}
        kept = {k: p[k] for k in ("round", "revision", "state", "until", "claim", "received", "winner")}
        votes = [vote[:2] for vote in p["votes"]]
        given = [(d["holder"], d["giver"], d["to"], d["moved"], d["away"], d["until"]) for d in p["given"]]
        asks = audience_of(p["ask"]["to"], p["ask"]["names"]), p["ask"]["needs"], p["ask"]["priority"]
        more = {"asks": asks, "votes": votes, "voted": p["voted"], "out": p["out"], "given": given}
        more["skipped"] = p["skipped"]
        prompts[key] = {**kept, **more, "title": p["ask"]["title"], "answers": answers}
    kept = {k: v for k, v in job.items() if k not in ("request", "attempts", "workerless", "prompts")}
    return {**kept, "prompts": prompts}
