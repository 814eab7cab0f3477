"""A reference model of jobs, prompts and leases (docs/design.md 3, 4, 7 and 10), in plain dicts.

Written from the document and independent of the server's code: names, numbers and strings go in, tuples
come out. Times are seconds since the start.
"""

from __future__ import annotations

import copy
from typing import Any

from tests.model import rights

ENDED = ("COMPLETED", "FAILED", "CANCELLED")
GRACE, KEEP, CLAIM = 30.0, 60.0, 600.0

Reply = tuple[Any, ...]


def _question(ask: dict[str, Any]) -> tuple[Any, ...]:
    """What makes another question: what people see, and how many of them decide."""
    return ask["title"], ask["needs"]


class Refused(Exception):
    """The command is refused and changes nothing. The message is the name of the error class."""


class Reference:
    """The model's state: jobs by request id, sessions by name."""

    def __init__(self) -> None:
        self.now = 0.0
        self.jobs: dict[str, dict[str, Any]] = {}
        self.sessions: dict[str, dict[str, Any]] = {}
        self._fenced, self._moved = True, False

    def execute(self, verb: str, **what: Any) -> Reply:
        """Run a command. Returns its reply."""
        before, self._fenced = copy.deepcopy(self.jobs), True
        try:
            return getattr(self, verb)(**what)
        except Refused as no:
            self.jobs = before
            return ("refused", str(no))

    def allows(self, reply: Reply, actual: Reply) -> bool:
        """Whether `actual` is a valid reply to the last command, for which the model gave `reply`.

        If the caller's session has expired or moved to another stream, that error may replace any other.
        """
        return reply == actual or (actual == ("refused", self._lost_lease_error()) and not self._fenced)

    # --- clients ---

    def create(self, job: str, ask: dict[str, Any] | None, attempts: int, priority: int) -> Reply:
        ask = None if ask is None else {**ask, "blocking": True}
        given = {"ask": ask, "attempts": attempts, "priority": priority}
        if job in self.jobs:
            if self.jobs[job]["request"] != given:
                raise Refused("IdReused")
            return ("created", True)
        j = self.jobs[job] = {
            "request": given,
            "state": "PENDING",
            "token": 0,
            "attempt": 1,
            "attempts": attempts,
            "session": None,
            "holder": "",
            "ready": self.now,
            "cancel_requested": False,
            "grace": None,
            "purge": None,
            "result": "",
            "progress": None,
            "priority": priority,
            "steps": {},
            "prompts": {},
            "workerless": ask is not None,
        }
        if ask is not None:
            j["state"], j["ready"] = "PENDING_HITL", None
            self._open(j, "prompt", ask)
        return ("created", False)

    def update(self, job: str, priority: int) -> Reply:
        j = self._job(job)
        j["priority"] = priority
        return ("job", j["state"])

    def cancel(self, job: str) -> Reply:
        j = self._job(job)
        if j["state"] == "CANCELLED" or (j["cancel_requested"] and j["state"] not in ENDED):
            return ("job", j["state"])
        if j["state"] in ENDED:
            raise Refused("IllegalState")
        if j["session"] is None:
            self._end(j, "CANCELLED")
        else:
            j["cancel_requested"], j["grace"] = True, self.now + GRACE
        return ("job", j["state"])

    def delete(self, job: str) -> Reply:
        if self._job(job)["state"] not in ENDED:
            raise Refused("IllegalState")
        del self.jobs[job]
        return ("ok",)

    # --- workers ---

    def lease(self, job: str, session: str, epoch: int, who: str) -> Reply:
        j = self._job(job)
        if j["state"] != "PENDING" or j["ready"] > self.now:
            raise Refused("IllegalState")
        if not self.alive(session, epoch):
            raise Refused("SessionNotFound")
        j.update(state="RUNNING", token=j["token"] + 1, session=session, holder=who, ready=None)
        return ("leased", j["token"])

    def ask(
        self,
        job: str,
        who: str,
        token: int,
        epoch: int,
        key: str,
        ask: dict[str, Any],
        instead: Any,
    ) -> Reply:
        j = self._check_holder(job, who, token, epoch, writes=False)
        self._fence(self._expire_due(j))
        known = j["prompts"].get(key)
        # Like the digest, compare only what users see: routing and timeout do not make another question.
        if known is not None and _question(known["ask"]) == _question(ask):
            return ("prompt", known["round"], known["revision"], known["state"], True)
        if j["state"] in ENDED:
            return ("refused", "LeaseLost")
        if known is not None:
            if known["state"] != "PENDING":
                raise Refused("IdReused")
            until = self.now + ask["timeout"] if ask["timeout"] else None
            known.update(ask=ask, revision=known["revision"] + 1, until=until, out=self._barred(j, ask))
            known.update(votes=[], voted=self._voters(known))
            rights.end(known, [*rights.unasked(known), *rights.of_people(known, known["out"])])
            if known["claim"][0] in known["out"]:
                known["claim"] = ("", None)
            new = known
        else:
            for old in instead:
                if old not in j["prompts"]:
                    raise Refused("PromptNotFound")
                if j["prompts"][old]["state"] == "PENDING":
                    self._close(j, j["prompts"][old], "SUPERSEDED", resumes=False)
            new = self._open(j, key, ask)
        j["state"] = "PENDING_HITL" if self._is_blocked(j) else "RUNNING"
        self._fence(True)
        return ("prompt", new["round"], new["revision"], new["state"], False)

    def receive(self, job: str, who: str, token: int, epoch: int, key: str) -> Reply:
        j = self._check_holder(job, who, token, epoch, writes=False)
        if key not in j["prompts"]:
            raise Refused("PromptNotFound")
        p = j["prompts"][key]
        if p["state"] == "PENDING":
            raise Refused("IllegalState")
        self._fence(not p["received"])
        p["received"] = True
        return ("ok",)

    def progress(self, job: str, who: str, token: int, epoch: int, done: int) -> Reply:
        j = self._check_holder(job, who, token, epoch)
        j["progress"] = done
        return ("ok",)

    def step(self, job: str, who: str, token: int, epoch: int, key: str, value: str) -> Reply:
        j = self._check_holder(job, who, token, epoch)
        j["steps"][key] = value
        return ("ok",)

    def complete(self, job: str, who: str, token: int, epoch: int, result: str) -> Reply:
        j = self._job(job)
        if j["state"] == "COMPLETED" and j["token"] == token > 0:
            return ("job", "COMPLETED")
        j = self._check_holder(job, who, token, epoch)
        j["result"] = result
        self._end(j, "COMPLETED")
        return ("job", j["state"])

    def fail(self, job: str, who: str, token: int, epoch: int, again: bool) -> Reply:
        j = self._check_holder(job, who, token, epoch)
        if j["cancel_requested"]:
            self._end(j, "CANCELLED")
        elif again and j["attempt"] < j["attempts"]:
            self._retry(j)
        else:
            self._end(j, "FAILED")
        return ("job", j["state"])

    def release(self, job: str, who: str, token: int, epoch: int) -> Reply:
        j = self._check_holder(job, who, token, epoch)
        if j["cancel_requested"]:
            self._end(j, "CANCELLED")
        else:
            self._end_lease(j, self.now)
        return ("job", j["state"])

    # --- users ---

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
        self._expire_due(j)
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

    def _vote(self, j: dict[str, Any], p: dict[str, Any], who: str, id: str, decision: str) -> str:
        right = rights.right_of(p, who)
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
        required, reject_at = p["ask"]["needs"]
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
            if any((d["giver"], d["to"], d["moved"]) == same for d in p["given"]):
                return ("ok",)
        j, p = self._find_prompt(job, key, who)
        self._expire_due(j)
        if p["state"] != "PENDING":
            return ("refused", "PromptClosed")
        if who in p["out"]:
            raise Refused("Excluded")
        if not rights.may_get(p, who, to):
            raise Refused("DelegationRefused")
        rights.give(p, who, to, moved)
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
        rights.end(p, [d["n"] for d in mine])
        return ("ok",)

    def claim(self, job: str, key: str, who: str) -> Reply:
        _, p = self._find_prompt(job, key, who)
        if who in p["out"]:
            raise Refused("Excluded")
        if self._claimant(p) not in ("", who):
            raise Refused("PromptClaimed")
        if p["state"] != "PENDING":
            raise Refused("PromptClosed")
        p["claim"] = (who, self.now + CLAIM)
        return ("ok",)

    def unclaim(self, job: str, key: str, who: str) -> Reply:
        _, p = self._find_prompt(job, key, who)
        if not self._claimant(p):
            return ("ok",)
        if self._claimant(p) != who:
            raise Refused("PromptClaimed")
        p["claim"] = ("", None)
        return ("ok",)

    def withdraw(self, job: str, key: str) -> Reply:
        j = self.jobs.get(job)
        if j is None or key not in j["prompts"]:
            raise Refused("PromptNotFound")
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

    # --- time ---

    def expire(self, job: str) -> Reply:
        if job in self.jobs:
            self._expire_due(self.jobs[job])
        return ("ok",)

    def end_grace(self, job: str) -> Reply:
        j = self.jobs.get(job)
        if j is not None and j["grace"] is not None and j["grace"] <= self.now:
            self._end(j, "CANCELLED")
        return ("ok",)

    def purge(self, job: str) -> Reply:
        j = self.jobs.get(job)
        if j is not None and j["purge"] is not None and j["purge"] <= self.now:
            del self.jobs[job]
        return ("ok",)

    def reap(self) -> list[str]:
        """Delete expired sessions. Returns the jobs that have lost their holder."""
        self.sessions = {name: s for name, s in self.sessions.items() if s["until"] > self.now}
        return [n for n, j in self.jobs.items() if j["session"] and j["session"] not in self.sessions]

    def lose(self, job: str, session: str) -> Reply:
        j = self.jobs.get(job)
        if j is None or j["session"] != session:
            return ("ok",)
        if j["cancel_requested"]:
            self._end(j, "CANCELLED")
        elif j["state"] == "PENDING_HITL":
            self._end_lease(j, None)
        elif j["attempt"] >= j["attempts"]:
            self._end(j, "FAILED")
        else:
            self._retry(j)
        return ("ok",)

    def alive(self, session: str, epoch: int = 0) -> bool:
        s = self.sessions.get(session)
        return s is not None and s["until"] > self.now and epoch in (0, s["epoch"])

    # --- shared rules ---

    def _job(self, job: str) -> dict[str, Any]:
        if job not in self.jobs:
            raise Refused("JobNotFound")
        return self.jobs[job]

    def _check_holder(
        self, job: str, who: str, token: int, epoch: int, writes: bool = True
    ) -> dict[str, Any]:
        j = self._job(job)
        if j["session"] is None or (j["token"], j["holder"]) != (token, who):
            raise Refused("LeaseLost")
        self._fenced, self._moved = self.alive(j["session"], epoch), self.alive(j["session"])
        self._fence(writes)
        return j

    def _fence(self, writes: bool) -> None:
        """Refuse a write without a live session. Repeated requests that change nothing need none."""
        if writes and not self._fenced:
            raise Refused(self._lost_lease_error())

    def _lost_lease_error(self) -> str:
        """Why the session of the last command may not write: it has moved to another stream or expired."""
        return "SessionMoved" if self._moved else "LeaseLost"

    def _find_prompt(self, job: str, key: str, who: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
        """A prompt that a person may see; None is an admin."""
        p = self.jobs.get(job, {"prompts": {}})["prompts"].get(key)
        if p is None or (who is not None and rights.right_of(p, who) is None):
            raise Refused("PromptNotFound")
        return self.jobs[job], p

    def _claimant(self, p: dict[str, Any]) -> str:
        who, until = p["claim"]
        return who if until is not None and until > self.now else ""

    def _is_blocked(self, j: dict[str, Any]) -> bool:
        return any(p["state"] == "PENDING" and p["ask"]["blocking"] for p in j["prompts"].values())

    def _open(self, j: dict[str, Any], key: str, ask: dict[str, Any]) -> dict[str, Any]:
        p = j["prompts"][key] = {
            "ask": ask,
            "round": len(j["prompts"]) + 1,
            "revision": 1,
            "state": "PENDING",
            "answers": {},
            "winner": "",
            "claim": ("", None),
            "received": False,
            "until": self.now + ask["timeout"] if ask["timeout"] else None,
            "votes": [],
            "voted": set(),
            "out": self._barred(j, ask),
            "given": [],
            "last": 0,
            "for": {},
        }
        return p

    def _voters(self, p: dict[str, Any]) -> set[str]:
        return p["voted"] | {vote[0] for vote in p["votes"]}

    def _answerers(self, p: dict[str, Any]) -> set[str]:
        """Who has voted on a prompt or given its answer, and in whose place."""
        found = self._voters(p) | {vote[3] for vote in p["votes"]}
        if p["winner"] in p["answers"]:
            author = p["answers"][p["winner"]][0][0]
            found |= {author, p["for"].get(p["winner"], author)}
        return found

    def _barred(self, j: dict[str, Any], ask: dict[str, Any]) -> set[str]:
        """The answerers of the prompts that a question names, so far."""
        named = [j["prompts"][key] for key in ask["not_by"] if key in j["prompts"]]
        return set().union(*(self._answerers(p) for p in named))

    def _exclude(self, j: dict[str, Any], answered: dict[str, Any]) -> None:
        [key] = [k for k, p in j["prompts"].items() if p is answered]
        names = self._answerers(answered)
        for p in j["prompts"].values():
            if p["state"] != "PENDING" or key not in p["ask"]["not_by"] or names <= p["out"]:
                continue
            p["out"] |= names
            p["voted"] |= {v[0] for v in p["votes"] if names & {v[0], v[3]}}
            p["votes"] = [v for v in p["votes"] if not names & {v[0], v[3]}]
            rights.end(p, rights.of_people(p, names))
            if p["claim"][0] in names:
                p["claim"] = ("", None)

    def _close(
        self, j: dict[str, Any], p: dict[str, Any], state: str, winner: str = "", resumes: bool = True
    ) -> None:
        p.update(state=state, winner=winner or state, claim=("", None))
        self._exclude(j, p)
        if not resumes or j["state"] != "PENDING_HITL" or self._is_blocked(j):
            return
        if j["workerless"]:
            self._end(j, "CANCELLED" if state == "CANCELLED" else "COMPLETED")
            j["result"] = "" if state == "CANCELLED" else state
        elif j["session"] is not None and self.alive(j["session"]):
            j["state"] = "RUNNING"
        elif j["cancel_requested"]:
            self._end(j, "CANCELLED")
        else:
            j.update(state="PENDING", session=None, holder="", ready=self.now)

    def _expire_due(self, j: dict[str, Any]) -> bool:
        """Apply the final action of each expired prompt, by deadline. Returns whether there was one."""
        late = [p for p in j["prompts"].values() if p["state"] == "PENDING" and p["until"] is not None]
        late = sorted((p for p in late if p["until"] <= self.now), key=lambda p: (p["until"], p["round"]))
        for p in late:
            if j["state"] in ENDED:
                break
            if p["ask"]["final"] == "DEFAULT":
                self._close(j, p, "ANSWERED", winner="default")
            elif p["ask"]["final"] == "FAIL_JOB":
                self._close(j, p, "EXPIRED", resumes=False)
                self._end(j, "FAILED")
            else:
                self._close(j, p, "EXPIRED")
        return bool(late)

    def _end(self, j: dict[str, Any], state: str) -> None:
        j.update(state=state, session=None, holder="", ready=None, grace=None, purge=self.now + KEEP)
        for p in j["prompts"].values():
            if p["state"] == "PENDING":
                self._close(j, p, "CANCELLED", resumes=False)

    def _end_lease(self, j: dict[str, Any], ready: float | None) -> None:
        waits = j["state"] == "PENDING_HITL"
        j.update(session=None, holder="", ready=None if waits else ready)
        j["state"] = "PENDING_HITL" if waits else "PENDING"

    def _retry(self, j: dict[str, Any]) -> None:
        self._end_lease(j, self.now + min(2.0 ** (j["attempt"] - 1), 300.0))
        j["attempt"] += 1
