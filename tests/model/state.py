"""What the reference model remembers, and the rules that its commands share."""

from __future__ import annotations

from typing import Any

from tests.model import rights
from tests.model.absences import Absences, Refused

__all__ = ["CLAIM", "ENDED", "GRACE", "KEEP", "Refused", "Reply", "State"]
ENDED = ("COMPLETED", "FAILED", "CANCELLED")
GRACE, KEEP, CLAIM = 30.0, 60.0, 600.0

Reply = tuple[Any, ...]


class State(Absences):
    """The model's state: jobs by request id, sessions by name."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: dict[str, dict[str, Any]] = {}
        self.sessions: dict[str, dict[str, Any]] = {}
        self._fenced, self._moved = True, False

    def alive(self, session: str, epoch: int = 0) -> bool:
        s = self.sessions.get(session)
        return s is not None and s["until"] > self.now and epoch in (0, s["epoch"])

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

    def _open(
        self, j: dict[str, Any], key: str, asked: dict[str, Any], ask: dict[str, Any]
    ) -> dict[str, Any]:
        """Open a prompt. `asked` is the question of the job, `ask` the same as rules route it."""
        self._check_people(ask, set(ask["names"]), self._barred(j, ask))
        p = j["prompts"][key] = {
            "asked": asked,
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
            "skipped": set(),
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
        return set(ask.get("never", ())).union(*(self._answerers(p) for p in named))

    def _check_people(self, ask: dict[str, Any], names: set[str], out: set[str]) -> None:
        """Refuse a question for so few people by name that it is certain that they cannot decide it."""
        required = ask["needs"][0] if ask["needs"] else 1
        if ask["names"] and not ask["to"] and len(names - out) < required:
            raise Refused("InvalidField")

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
        """Do what is due: the final action of each expired prompt, and the end of substitutions. Returns
        whether there was anything."""
        found = False
        while j["state"] not in ENDED:
            still = [p for p in j["prompts"].values() if p["state"] == "PENDING"]
            due = [(at, p["round"], p) for p in still if (at := _next_end(p)) is not None and at <= self.now]
            if not due:
                break
            found = True
            at, _, p = min(due, key=lambda each: each[:2])
            if p["until"] != at:
                self.follow(p)
            elif p["ask"]["final"] == "DEFAULT":
                self._close(j, p, "ANSWERED", winner="default")
            elif p["ask"]["final"] == "FAIL_JOB":
                self._close(j, p, "EXPIRED", resumes=False)
                self._end(j, "FAILED")
            else:
                self._close(j, p, "EXPIRED")
        return found

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


def _next_end(p: dict[str, Any]) -> float | None:
    """When an open prompt or the right of a substitute ends next."""
    times = [p["until"], *(d["until"] for d in p["given"])]
    return min((at for at in times if at is not None), default=None)
