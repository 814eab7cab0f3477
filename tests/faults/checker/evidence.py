"""A history, sorted by what the checks ask for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.history import Line, read

PENDING, ANSWERED, EXPIRED, CANCELLED, SUPERSEDED = range(1, 6)
"""PromptState, as it goes over the wire."""
PROMPT_STATES = {"PENDING": 1, "ANSWERED": 2, "EXPIRED": 3, "CANCELLED": 4, "SUPERSEDED": 5}
JOB_STATES = {"PENDING": 1, "RUNNING": 2, "PENDING_HITL": 3, "COMPLETED": 4, "FAILED": 5, "CANCELLED": 6}
ENDED_JOBS = {4, 5, 6}
PROMPT_ENDS = {
    "PROMPT_ANSWERED": ANSWERED,
    "PROMPT_EXPIRED": EXPIRED,
    "PROMPT_CANCELLED": CANCELLED,
    "PROMPT_SUPERSEDED": SUPERSEDED,
}
FOREVER = float("inf")
GROUPS = {"ana": {"red"}, "bob": {"red"}, "cleo": set[str]()}
"""The consoles, and what groups they are in."""


@dataclass(frozen=True)
class Bounds:
    """Times in seconds that a check allows."""

    reach: float = 20.0
    """Until an open prompt has reached a console that is connected, whatever breaks meanwhile."""
    late: float = 60.0
    """How late a timeout may be while things break."""
    late_when_quiet: float = 3.0
    """How late it may be when nothing does."""
    reaped: float = 25.0
    """Until an expired session is gone."""
    clock: float = 0.05
    """What the clocks of a database and of a program may differ by."""


@dataclass(eq=False)
class Operation:
    """An invocation and, if it is known, its outcome."""

    what: str
    begun: Line
    reply: Line | None = None

    @property
    def ok(self) -> bool:
        """It was done."""
        return self.reply is not None and self.reply["e"] == "ok"

    @property
    def refused(self) -> bool:
        """It was refused, and will not be done."""
        return self.reply is not None and self.reply["e"] == "no"


@dataclass(eq=False)
class PromptFacts:
    """What is known of a prompt from everybody together."""

    seen_open: float = FOREVER
    """When somebody first knew of it: it was stored by then."""
    seen_closed: float = FOREVER
    """When somebody first knew of its end."""
    closed_line: Line | None = None
    closes: float = FOREVER
    """The stored time of its end: it was open until then."""


@dataclass(eq=False)
class Evidence:
    """All of it."""

    bounds: Bounds = field(default_factory=Bounds)
    operations: list[Operation] = field(default_factory=list)
    consoles: dict[str, list[Line]] = field(default_factory=lambda: defaultdict(list))
    """By console: everything that its streams told, and its own dialling, in order."""
    workers: list[Line] = field(default_factory=list)
    clients: list[Line] = field(default_factory=list)
    director: list[Line] = field(default_factory=list)
    bugs: list[Line] = field(default_factory=list)
    jobs: dict[str, Line] = field(default_factory=dict)
    prompts: dict[str, Line] = field(default_factory=dict)
    answers: dict[tuple[str, str], Line] = field(default_factory=dict)
    sessions: list[Line] = field(default_factory=list)
    log: dict[str, list[Line]] = field(default_factory=lambda: defaultdict(list))
    facts: dict[str, PromptFacts] = field(default_factory=lambda: defaultdict(PromptFacts))
    ends_at: float = 0.0
    """The time of the last line."""

    @classmethod
    def read(cls, folder: Path, bounds: Bounds) -> Evidence:
        """What a folder holds."""
        return cls.of(read(folder), bounds)

    @classmethod
    def of(cls, lines: Iterable[Line], bounds: Bounds) -> Evidence:
        """What these lines say."""
        evidence = cls(bounds)
        open_ops: dict[tuple[str, str, int], Operation] = {}
        for line in lines:
            evidence._take(line, open_ops)
        for lines_of in evidence.consoles.values():
            lines_of.sort(key=lambda line: line["t"])
        for job_events in evidence.log.values():
            job_events.sort(key=lambda event: (event["seq"], event["id"]))
        evidence._learn()
        return evidence

    def _take(self, line: Line, open_ops: dict[tuple[str, str, int], Operation]) -> None:
        event, who = line["e"], line["who"]
        if who == "stored":
            self._take_row(line)
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

    def _take_row(self, line: Line) -> None:
        match line["e"]:
            case "job":
                self.jobs[line["job_id"]] = line
            case "prompt":
                self.prompts[line["interaction_id"]] = line
            case "answer":
                self.answers[line["interaction_id"], line["answer_id"]] = line
            case "session":
                self.sessions.append(line)
            case "log":
                self.log[line["job_id"]].append(line)

    def _learn(self) -> None:
        """When each prompt was known to be open, and to be closed."""
        for operation in self.operations:
            reply = operation.reply
            if reply is None or reply["e"] != "ok":
                continue
            if operation.what == "ask":
                self._seen(reply["p"], reply["t"])
            elif operation.what == "answer" and reply["end"] != PENDING:
                self._seen_closed(operation.begun["p"], reply)
        for lines in self.consoles.values():
            for line in lines:
                if line["e"] == "up":
                    self._seen(line["p"], line["t"])
                elif line["e"] == "closed":
                    self._seen_closed(line["p"], line)
        for line in self.workers:
            if line["e"] == "got":
                self._seen_closed(line["p"], line)
        for events in self.log.values():
            for event in events:
                if event["type"] in PROMPT_ENDS:
                    facts = self.facts[event["prompt_id"]]
                    facts.closes = min(facts.closes, event["at"])

    def _seen(self, prompt_id: str, when: float) -> None:
        facts = self.facts[prompt_id]
        facts.seen_open = min(facts.seen_open, when)

    def _seen_closed(self, prompt_id: str, line: Line) -> None:
        facts = self.facts[prompt_id]
        if line["t"] < facts.seen_closed:
            facts.seen_closed, facts.closed_line = line["t"], line

    def is_for(self, console: str, prompt_id: str) -> bool | None:
        """Whether a console may see a prompt; None if the prompt is not stored any more."""
        row = self.prompts.get(prompt_id)
        if row is None:
            return None
        audience: dict[str, Any] = row.get("audience") or {}
        users, groups = audience.get("users") or (), audience.get("groups") or ()
        if not users and not groups:
            return True
        return console in users or not GROUPS.get(console, set()).isdisjoint(groups)

    def is_deleted(self, job_id: str) -> bool:
        """Whether the log says that the job is gone."""
        events = self.log.get(job_id)
        return bool(events) and events[-1]["type"] == "JOB_DELETED"  # type: ignore[index]

    def end_of(self, prompt_id: str) -> tuple[int, str] | None:
        """How a prompt ended by its row: state, and the answer that won. None if it is not stored."""
        row = self.prompts.get(prompt_id)
        if row is None:
            return None
        document = row.get("response_data") or {}
        return PROMPT_STATES[row["status"]], document.get("answer_id", "")
