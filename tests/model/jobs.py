"""Commands of clients and workers in the reference model, and what the time brings."""

from __future__ import annotations

from typing import Any

from tests.model import rights
from tests.model.rules import Rulings
from tests.model.state import ENDED, GRACE, Refused, Reply


def _question(ask: dict[str, Any]) -> tuple[Any, ...]:
    """What makes another question: what people see, and how many of them decide."""
    return ask["title"], ask["needs"]


class Jobs(Rulings):
    """Creates jobs, runs them, and asks."""

    # --- clients ---

    def create(self, job: str, ask: dict[str, Any] | None, attempts: int, priority: int) -> Reply:
        ask = None if ask is None else {**ask, "blocking": True}
        given = {"ask": ask, "attempts": attempts, "priority": priority}
        if job in self.jobs:
            if self.jobs[job]["request"] != given:
                raise Refused("IdReused")
            return ("created", True)
        j = self._new_job(job, given)
        if ask is not None:
            ruling = self._consult(ask)
            self._apply(j, self._open(j, "prompt", ask, ruling.ask), ruling)
        return ("created", False)

    def _new_job(self, job: str, request: dict[str, Any]) -> dict[str, Any]:
        """One with a question has no worker."""
        is_workerless = request["ask"] is not None
        j = self.jobs[job] = {
            "request": request,
            "state": "PENDING_HITL" if is_workerless else "PENDING",
            "token": 0,
            "attempt": 1,
            "attempts": request["attempts"],
            "session": None,
            "holder": "",
            "ready": None if is_workerless else self.now,
            "cancel_requested": False,
            "grace": None,
            "purge": None,
            "result": "",
            "progress": None,
            "priority": request["priority"],
            "steps": {},
            "prompts": {},
            "workerless": is_workerless,
            "uses": {},
        }
        return j

    def _job_of_a_client(self, job: str) -> dict[str, Any]:
        """Only the service changes the jobs that approve rules."""
        j = self._job(job)
        if job.startswith("askback.rules:"):
            raise Refused("PermissionDenied")
        return j

    def update(self, job: str, priority: int) -> Reply:
        j = self._job_of_a_client(job)
        j["priority"] = priority
        return ("job", j["state"])

    def cancel(self, job: str) -> Reply:
        self._job_of_a_client(job)
        return self.end_proposal(job)

    def end_proposal(self, job: str) -> Reply:
        """What the service does itself: it cancels the job that asks about a rule."""
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
        if self._job_of_a_client(job)["state"] not in ENDED:
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
        if known is not None and _question(ask) in (_question(known["ask"]), _question(known["asked"])):
            return ("prompt", known["round"], known["revision"], known["state"], True)
        if j["state"] in ENDED:
            return ("refused", "LeaseLost")
        if known is not None:
            if known["state"] != "PENDING":
                raise Refused("IdReused")
            ruling = self._consult(ask)
            timeout = ruling.ask["timeout"]
            self._check_people(ruling.ask, set(ruling.ask["names"]), self._barred(j, ask))
            known.update(
                asked=ask,
                ask=ruling.ask,
                revision=known["revision"] + 1,
                until=self.now + timeout if timeout else None,
                out=self._barred(j, ask),
            )
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
            ruling = self._consult(ask)
            new = self._open(j, key, ask, ruling.ask)
        self._apply(j, new, ruling)
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

    # --- time ---

    def expire(self, job: str) -> Reply:
        if job in self.jobs:
            self._expire_due(self.jobs[job])
        return ("ok",)

    def review(self, job: str) -> Reply:
        """Apply absences to the open prompts of a job."""
        j = self.jobs.get(job, {"state": "", "prompts": {}})
        self._expire_due(j)
        for p in j["prompts"].values():
            if p["state"] == "PENDING":
                self.follow(p)
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
