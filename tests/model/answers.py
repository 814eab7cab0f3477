"""Commands of people in the reference model: answers, votes, claims, delegations."""

from __future__ import annotations

from typing import Any

from tests.model import rights
from tests.model.state import CLAIM, Refused, Reply, State


class Answers(State):
    """Decides on prompts."""

    def answer(
        self, job: str, key: str, who: str, id: str, revision: int, decision: str, why: str, unseen: bool
    ) -> Reply:
        """`unseen`: the digest of other content than the prompt has. It is no part of the answer."""
        j, p = self._find_prompt(job, key, who)
        content = (who, revision, decision, why)
        if id in p["answers"]:
            if p["answers"][id][0] != content:
                raise Refused("IdReused")
            return (p["answers"][id][1], True, p["winner"])
        if who in p["out"]:
            raise Refused("Excluded")
        if self._expire_due(j) and rights.right_of(p, who) is None:
            return ("refused", "PromptNotFound")  # the absence of the person in whose place it acts is over
        status = "ACCEPTED"
        if p["state"] != "PENDING":
            if j["purge"] is not None and j["purge"] <= self.now:
                raise Refused("PromptNotFound")  # the verdict of this answer may be deleted
            status = "CLOSED"
        elif self._claimant(p) not in ("", who) and not p["ask"]["needs"]:
            raise Refused("PromptClaimed")
        elif revision != p["revision"] or unseen:
            status = "STALE"
        elif decision == "EDIT" or (decision == "REVISE" and not why):
            status = "INVALID"
        p["answers"][id] = (content, status)
        if status == "ACCEPTED" and p["ask"]["needs"]:
            p["answers"][id] = (content, self._vote(j, p, who, id, decision))
        elif status == "ACCEPTED":
            p["for"][id] = self._holder(p, who)
            self._close(j, p, "ANSWERED", winner=id)
        status = p["answers"][id][1]
        return (status, False, p["winner"])

    def _holder(self, p: dict[str, Any], who: str) -> str:
        """In whose place a person answers; itself by a right of its own."""
        right = rights.right_of(p, who)
        return right[0] if right is not None else who

    def _vote(
        self,
        j: dict[str, Any],
        p: dict[str, Any],
        who: str,
        id: str,
        decision: str,
        groups: frozenset[str] | None = None,
    ) -> str:
        right = rights.right_of(p, who, groups)
        assert right is not None
        slot, by = right
        before = [v for v in p["votes"] if v[0] != who and v[3] == slot]
        if by is not None and before:
            raise Refused("PermissionDenied")  # the holder or another delegate has voted
        p["votes"] = [v for v in p["votes"] if v[0] != who and v[3] != slot]
        p["votes"].append((who, id, decision, slot, by["n"] if by is not None else 0))
        p["voted"] = (p["voted"] | {v[0] for v in before}) - {who}
        if p["claim"][0] == who:
            p["claim"] = ("", None)
        required, reject_at, _ = p["ask"]["needs"]
        enough = {"ACCEPT": required, "REJECT": reject_at}.get(decision, 1)
        if sum(v[2] == decision for v in p["votes"]) < enough:
            self._exclude(j, p)
            return "RECORDED"
        self._close(j, p, "ANSWERED", winner=id)
        return "ACCEPTED"

    def override(self, job: str, key: str, id: str, revision: int, decision: str) -> Reply:
        """By an admin: exclusions, votes and claims do not count."""
        j, p = self._find_prompt(job, key, None)
        content = ("root", revision, decision, "so")
        if id in p["answers"]:
            if p["answers"][id][0] != content:
                raise Refused("IdReused")
            return (p["answers"][id][1], True, p["winner"])
        self._expire_due(j)
        status = "ACCEPTED"
        if p["state"] != "PENDING":
            if j["purge"] is not None and j["purge"] <= self.now:
                raise Refused("PromptNotFound")
            status = "CLOSED"
        elif revision != p["revision"]:
            status = "STALE"
        p["answers"][id] = (content, status)
        if status == "ACCEPTED":
            self._close(j, p, "ANSWERED", winner=id)
        return (status, False, p["winner"])

    def unvote(self, job: str, key: str, who: str, id: str) -> Reply:
        _, p = self._find_prompt(job, key, who)
        own = id in p["answers"] and p["answers"][id][0][0] == who
        if not own or p["answers"][id][1] not in ("RECORDED", "ACCEPTED"):
            raise Refused("AnswerNotFound")
        self._expire_due(self.jobs[job])
        if p["state"] != "PENDING":
            return ("refused", "PromptClosed")
        if any(v[:2] == (who, id) for v in p["votes"]):
            p["votes"] = [v for v in p["votes"] if v[0] != who]
            p["voted"] |= {who}
        return ("ok",)

    def delegate(self, job: str, key: str, who: str, to: str, moved: bool) -> Reply:
        p = self.jobs.get(job, {"prompts": {}})["prompts"].get(key)
        if p is not None and p["state"] == "PENDING":
            same = (who, to, moved)
            if any((d["giver"], d["to"], d["moved"]) == same for d in p["given"] if not d["away"]):
                return ("ok",)
        j, p = self._find_prompt(job, key, who)
        is_late = self._expire_due(j)
        if p["state"] != "PENDING":
            return ("refused", "PromptClosed")
        if who in p["out"]:
            raise Refused("Excluded")
        if is_late and rights.right_of(p, who) is None:
            return ("refused", "PromptNotFound")
        if not rights.may_get(p, who, to) or self.absence_of(to) is not None:
            raise Refused("DelegationRefused")
        rights.give(p, who, to, moved)
        if p["ask"]["needs"] and p["ask"]["names"]:
            try:
                self._check_people(p["ask"], rights.reach(p), p["out"])
            except Refused:
                raise Refused("DelegationRefused") from None
        number = p["last"]
        self.follow(p)
        if all(d["n"] != number for d in p["given"]):
            raise Refused("DelegationRefused")  # the person in whose place it acts is there again
        return ("ok",)

    def take_back(self, job: str, key: str, who: str, to: str) -> Reply:
        """End the delegation to `to` that a person made; without `to` the one to the person."""
        p = self.jobs.get(job, {"prompts": {}})["prompts"].get(key)
        if p is None or not any(d["giver"] == who for d in p["given"]):
            _, p = self._find_prompt(job, key, who)
        self._expire_due(self.jobs[job])
        if p["state"] != "PENDING":
            return ("refused", "PromptClosed")
        mine = [d for d in p["given"] if (d["giver"], d["to"]) == (who, to) or (not to and d["to"] == who)]
        if any(d["away"] for d in mine):
            raise Refused("DelegationRefused")
        if mine:
            rights.end(p, [d["n"] for d in mine])
            self.follow(p)
        return ("ok",)

    def claim(self, job: str, key: str, who: str) -> Reply:
        _, p = self._find_prompt(job, key, who)
        if who in p["out"]:
            raise Refused("Excluded")
        if self._claimant(p) not in ("", who):
            raise Refused("PromptClaimed")
        if p["state"] != "PENDING":
            raise Refused("PromptClosed")
        right, until = rights.right_of(p, who), self.now + CLAIM
        ends = right[1]["until"] if right is not None and right[1] is not None else None
        if ends is not None and ends <= self.now:
            raise Refused("PromptNotFound")
        if self._claimant(p) and ends == p["claim"][1] is not None:
            until = min(until, ends)  # only the claim keeps the right of the substitute
        p["claim"] = (who, until)
        return ("ok",)

    def unclaim(self, job: str, key: str, who: str) -> Reply:
        _, p = self._find_prompt(job, key, who)
        if not self._claimant(p):
            return ("ok",)
        if self._claimant(p) != who:
            raise Refused("PromptClaimed")
        p["claim"] = ("", None)
        self.follow(p)
        return ("ok",)

    def withdraw(self, job: str, key: str) -> Reply:
        j = self.jobs.get(job)
        if j is None or key not in j["prompts"]:
            raise Refused("PromptNotFound")
        if job.startswith("askback.rules:"):
            raise Refused("PermissionDenied")
        p = j["prompts"][key]
        if p["state"] != "CANCELLED":
            self._expire_due(j)
            if p["state"] != "PENDING":
                return (
                    "refused",
                    "PromptClosed",
                )  # no raise: due prompts have expired
            self._close(j, p, "CANCELLED")
        return ("ok",)
