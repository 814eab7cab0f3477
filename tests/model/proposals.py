"""Changes of rules that a second person must accept, in the reference model (docs/how-to/rules.md)."""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.model.jobs import Jobs
from tests.model.rules import Rule
from tests.model.state import Reply

APPROVERS, TIMEOUT = "law", 8.0
"""The group that is asked, and for how many seconds."""


class Proposal(NamedTuple):
    """A revision that waits; `job` asks about it, if it is not empty."""

    rule: Rule
    job: str = ""


class Proposals(Jobs):
    """Proposes rules, asks about them by jobs, and activates those that another person accepts."""

    def __init__(self) -> None:
        super().__init__()
        self.proposals: dict[str, Proposal] = {}

    def propose(self, rule: Rule) -> None:
        """In place of an earlier proposal. The rule works on as before."""
        self._note_revision(rule)
        self._wait(Proposal(rule))

    def note_job(self, name: str, job: str) -> None:
        self._wait(self.proposals[name]._replace(job=job))

    def _wait(self, proposal: Proposal) -> None:
        self.proposals = {**self.proposals, proposal.rule.name: proposal}
        self._turn(self.book.with_rules(self.book.rules))

    def drop(self, name: str) -> None:
        self.proposals = {n: p for n, p in self.proposals.items() if n != name}

    def decide(self, name: str) -> None:
        """Activate a proposal that was decided, or drop it."""
        rule, job = self.proposals[name]
        p = self.jobs.get(job, {"prompts": {}})["prompts"].get("prompt")
        if p is not None and p["state"] == "PENDING":
            return
        self.drop(name)
        who, _, decision, _ = p["answers"][p["winner"]][0] if p and p["winner"] in p["answers"] else [""] * 4
        if decision == "ACCEPT" and who != rule.author:
            self.save(rule)
        else:
            self._turn(self.book.with_rules(self.book.rules))

    def ask_about(self, job: str, rule: Rule) -> Reply:
        """Create the job that asks about a rule. No rule is applied to it."""
        if job in self.jobs:
            return ("created", True)
        ask = about(rule)
        j = self._new_job(job, {"ask": ask, "attempts": 1, "priority": 0})
        self._open(j, "prompt", ask, ask)
        return ("created", False)


def job_about(rule: Rule, rule_id: str) -> str:
    return f"askback.rules:{rule_id}@{rule.revision}"


def about(rule: Rule) -> dict[str, Any]:
    """The question about a rule: for a group without the author, who cannot delegate it out of the group."""
    return {
        "title": f"Activate the rule {rule.name}?",
        "blocking": True,
        "timeout": TIMEOUT,
        "final": "EXPIRE",
        "to": APPROVERS,
        "names": (),
        "needs": None,
        "priority": 0,
        "env": "",
        "tool": None,
        "not_by": (),
        "never": {rule.author},
        "within": True,
    }
