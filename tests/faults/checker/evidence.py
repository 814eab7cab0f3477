"""A history, indexed for the checks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.history import Line, read

PENDING, ANSWERED, EXPIRED, CANCELLED, SUPERSEDED = range(1, 6)
"""The values of PromptState on the wire."""
PROMPT_STATES = {"PENDING": 1, "ANSWERED": 2, "EXPIRED": 3, "CANCELLED": 4, "SUPERSEDED": 5}
JOB_STATES = {"PENDING": 1, "RUNNING": 2, "PENDING_HITL": 3, "COMPLETED": 4, "FAILED": 5, "CANCELLED": 6}
ENDED_JOBS = {4, 5, 6}
PROMPT_ENDS = {
    "PROMPT_ANSWERED": ANSWERED,
    "PROMPT_EXPIRED": EXPIRED,
    "PROMPT_CANCELLED": CANCELLED,
    "PROMPT_SUPERSEDED": SUPERSEDED,
}
NEVER = float("inf")
GROUPS = {"ana": {"red"}, "bob": {"red"}, "cleo": {"blue"}}
"""The groups of each console's user."""


@dataclass(frozen=True)
class Bounds:
    """Tolerances of the checks, in seconds."""

    reach: float = 20.0
    """Until an open prompt must have reached a connected console, whatever breaks meanwhile."""
    late: float = 60.0
    """Maximum delay of a timeout while faults are injected."""
    late_when_quiet: float = 3.0
    """Maximum delay of a timeout without faults."""
    reaped: float = 25.0
    """Until an expired session must be deleted."""
    clock: float = 0.05
    """Maximum difference between the clocks of the database and of a program."""


@dataclass(eq=False)
class Operation:
    """An invocation and, if known, its outcome."""

    what: str
    begun: Line
    reply: Line | None = None

    @property
    def ok(self) -> bool:
        """Whether it succeeded."""
        return self.reply is not None and self.reply["e"] == "ok"

    @property
    def refused(self) -> bool:
        """Whether it was refused for good."""
        return self.reply is not None and self.reply["e"] == "no"


@dataclass(eq=False)
class PromptFacts:
    """What the lines of all participants together say about a prompt."""

    seen_open: float = NEVER
    """The time of the first line that mentions it: it was stored by then."""
    seen_closed: float = NEVER
    """The time of the first line that mentions its end."""
    closed_line: Line | None = None
    closes: float = NEVER
    """The time of its end in the log: it was open until then."""


@dataclass(eq=False)
class Evidence:
    """The history of a run and the rows stored at its end."""

    bounds: Bounds = field(default_factory=Bounds)
    operations: list[Operation] = field(default_factory=list)
    consoles: dict[str, list[Line]] = field(default_factory=lambda: defaultdict(list))
    """By console: its connection attempts and all events it received, in order."""
    workers: list[Line] = field(default_factory=list)
    clients: list[Line] = field(default_factory=list)
    director: list[Line] = field(default_factory=list)
    bugs: list[Line] = field(default_factory=list)
    jobs: dict[str, Line] = field(default_factory=dict)
    prompts: dict[str, Line] = field(default_factory=dict)
    answers: dict[tuple[str, str], Line] = field(default_factory=dict)
    sessions: list[Line] = field(default_factory=list)
    wrong: list[Line] = field(default_factory=list)
    """Rows that are not what the hash chain of their job says."""
    log: dict[str, list[Line]] = field(default_factory=lambda: defaultdict(list))
    delegated: set[str] = field(default_factory=set)
    """Prompts that were delegated: who may see them has changed."""
    facts: dict[str, PromptFacts] = field(default_factory=lambda: defaultdict(PromptFacts))
    ends_at: float = 0.0
    """The time of the last line."""

    @classmethod
    def read(cls, folder: Path, bounds: Bounds) -> Evidence:
        """Read the evidence from a folder."""
        return cls.of(read(folder), bounds)

    @classmethod
    def of(cls, lines: Iterable[Line], bounds: Bounds) -> Evidence:
        """Build the evidence from lines."""
        evidence = cls(bounds)
        open_ops: dict[tuple[str, str, int], Operation] = {}
        for line in lines:
            evidence._add(line, open_ops)
        for lines_of in evidence.consoles.values():
            lines_of.sort(key=lambda line: line["t"])
        for job_events in evidence.log.values():
            job_events.sort(key=lambda event: (event["seq"], event["id"]))
        evidence._find_first_sightings()
        return evidence

    def _add(self, line: Line, open_ops: dict[tuple[str, str, int], Operation]) -> None:
        event, who = line["e"], line["who"]
        if who == "stored":
            self._add_row(line)
            return
        self.ends_at = max(self.ends_at, line["t"])
        if event == "invoke":
            operation = Operation(line["what"], line)
            open_ops[who, line["start"], line["op"]] = operation
            self.operations.append(operation)
        elif event in ("ok", "no"):
            open_ops[who, line["start"], line["op"]].reply = line
        elif event == "bug":
            self.bugs.append(line)
        elif who == "director":
            self.director.append(line)
        elif who.startswith("worker"):
            self.workers.append(line)
        elif who.startswith("client"):
            self.clients.append(line)
        elif not who.startswith("replica"):
            self.consoles[who].append(line)

    def _add_row(self, line: Line) -> None:
        match line["e"]:
            case "job":
                self.jobs[line["job_id"]] = line
            case "prompt":
                self.prompts[line["interaction_id"]] = line
            case "answer":
                self.answers[line["interaction_id"], line["answer_id"]] = line
            case "session":
                self.sessions.append(line)
            case "wrong":
                self.wrong.append(line)
            case "log":
                self.log[line["job_id"]].append(line)
                if line["type"] == "PROMPT_DELEGATED":
                    self.delegated.add(line["prompt_id"])

    def _find_first_sightings(self) -> None:
        """Find when each prompt was first seen open and first seen closed."""
        for operation in self.operations:
            reply = operation.reply
            if reply is None or reply["e"] != "ok":
                continue
            if operation.what == "ask":
                self._note_open(reply["p"], reply["t"])
            elif operation.what == "answer" and reply["end"] != PENDING:
                self._note_closed(operation.begun["p"], reply)
        for lines in self.consoles.values():
            for line in lines:
                if line["e"] == "up":
                    self._note_open(line["p"], line["t"])
                elif line["e"] == "closed":
                    self._note_closed(line["p"], line)
        for line in self.workers:
            if line["e"] == "got":
                self._note_closed(line["p"], line)
        for events in self.log.values():
            for event in events:
                if event["type"] in PROMPT_ENDS:
                    facts = self.facts[event["prompt_id"]]
                    facts.closes = min(facts.closes, event["at"])

    def _note_open(self, prompt_id: str, when: float) -> None:
        facts = self.facts[prompt_id]
        facts.seen_open = min(facts.seen_open, when)

    def _note_closed(self, prompt_id: str, line: Line) -> None:
        facts = self.facts[prompt_id]
        if line["t"] < facts.seen_closed:
            facts.seen_closed, facts.closed_line = line["t"], line

    def is_for(self, console: str, prompt_id: str) -> bool | None:
        """Whether a console's user is in the audience of a prompt; None if it is not stored, or people have
        delegated it."""
        row = self.prompts.get(prompt_id)
        if row is None or prompt_id in self.delegated:
            return None
        audience: dict[str, Any] = row.get("audience") or {}
        users, groups = audience.get("users") or (), audience.get("groups") or ()
        if not users and not groups:
            return True
        return console in users or not GROUPS.get(console, set()).isdisjoint(groups)

    def question_of(self, prompt_id: str) -> dict[str, Any]:
        """The question in the job's plan for which a prompt was asked; empty if there is none."""
        row = self.prompts.get(prompt_id)
        plan = (self.jobs.get(row["job_id"]) or {}).get("input") if row is not None else None
        asked = plan.get("ask", ()) if isinstance(plan, dict) else ()
        return next((question for question in asked if row and question["key"] == row["key"]), {})

    def is_deleted(self, job_id: str) -> bool:
        """Whether the log ends with the deletion of the job."""
        events = self.log.get(job_id)
        return bool(events) and events[-1]["type"] == "JOB_DELETED"  # type: ignore[index]

    def end_of(self, prompt_id: str) -> tuple[int, str] | None:
        """The state and the winning answer id in a prompt's row; None if the prompt is not stored."""
        row = self.prompts.get(prompt_id)
        if row is None:
            return None
        document = row.get("response_data") or {}
        return PROMPT_STATES[row["status"]], document.get("answer_id", "")
