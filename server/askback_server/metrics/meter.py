"""Count what the engine does, in plain numbers that are cheap to update and read on demand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from askback._metrics.metric import Histogram
from askback_server.domain.answers import AnswerSource
from askback_server.domain.events import Event, EventType
from askback_server.domain.prompts import Prompt
from askback_server.engine.committed import Committed
from askback_server.metrics import catalogue
from askback_server.ports.storage import Lost

OTHER = "other"

_RESOLVED = {
    EventType.PROMPT_ANSWERED: "answered",
    EventType.PROMPT_EXPIRED: "expired",
    EventType.PROMPT_CANCELLED: "cancelled",
    EventType.PROMPT_SUPERSEDED: "superseded",
}
_ENDED = frozenset({EventType.JOB_COMPLETED, EventType.JOB_FAILED, EventType.JOB_CANCELLED})
_REFUSED = frozenset({EventType.ANSWER_REFUSED, EventType.ANSWER_LATE})


class Names:
    """Label values for names chosen by callers: the first names keep their own, all others become `other`.

    So callers cannot create an unbounded number of time series.
    """

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._known: set[str] = set()

    def label(self, name: str) -> str:
        """The label value of a name: itself, or `other`."""
        if name not in self._known:
            if len(self._known) >= self._maximum:
                return OTHER
            self._known.add(name)
        return name


class Meter:
    """The observer of the engine. All counts are since the start of this replica."""

    def __init__(self) -> None:
        self.kinds = Names(catalogue.MOST_KINDS)
        self.job_types = Names(catalogue.MOST_TYPES)
        self.batch_commands = Histogram(catalogue.BATCH_COMMANDS.buckets)
        self.commit_seconds = Histogram(catalogue.COMMIT_SECONDS.buckets)
        self.answer_seconds: dict[str, Histogram] = {}
        self.guards_lost: Counter[str] = Counter()
        self.batches_failed = 0
        self.rule_errors = 0
        self.asked: Counter[str] = Counter()
        self.resolved: Counter[tuple[str, ...]] = Counter()
        self.refused: Counter[str] = Counter()
        self.created: Counter[str] = Counter()
        self.ended: Counter[tuple[str, ...]] = Counter()
        self.leases_lost: Counter[str] = Counter()

    def on_batch(self, commands: int) -> None:
        """Count a batch of `commands` commands."""
        self.batch_commands.observe(commands)

    def on_write(self, seconds: float, lost: Iterable[Lost]) -> None:
        """Count a durable write and its duration."""
        self.commit_seconds.observe(seconds)
        for reason in lost:
            self.guards_lost[reason.value] += 1

    def on_failure(self, commands: int) -> None:
        """Count a batch that failed."""
        self.batches_failed += 1

    def on_commit(self, batch: Sequence[Committed]) -> None:
        """Count the events of jobs and prompts: each once, at the replica that wrote it."""
        for item in batch:
            for event in item.events:
                kind = event.type
                if kind is EventType.PROMPT_ASKED:
                    self.asked[self.kinds.label(str((event.data or {}).get("kind", "")))] += 1
                elif kind in _RESOLVED:
                    self._resolve(item, event)
                elif kind in _ENDED:
                    self.ended[self.job_types.label(item.job.job_type), event.state.value] += 1
                elif kind is EventType.JOB_CREATED:
                    self.created[self.job_types.label(item.job.job_type)] += 1
                elif kind is EventType.JOB_LEASE_LOST:
                    self.leases_lost[self.job_types.label(item.job.job_type)] += 1
                elif kind is EventType.PROMPT_RULED:
                    self.rule_errors += len((event.data or {}).get("errors", ()))
                elif kind in _REFUSED:
                    self.refused[str((event.data or {}).get("status", ""))] += 1

    def _resolve(self, item: Committed, event: Event) -> None:
        prompt = next((p for p in item.prompts if p.prompt_id == event.prompt_id), None)
        if prompt is None or prompt.resolution is None:
            return
        kind, outcome = self.kinds.label(prompt.content.kind), _RESOLVED[event.type]
        if outcome == "answered":
            source = _source_of(prompt)
            outcome = _OUTCOMES.get(source, "defaulted") if source is not None else outcome
        self.resolved[kind, outcome] += 1
        if outcome == "answered":
            if kind not in self.answer_seconds:
                self.answer_seconds[kind] = Histogram(catalogue.ANSWER_SECONDS.buckets)
            self.answer_seconds[kind].observe((prompt.resolution.at - prompt.created_at).total_seconds())


_OUTCOMES = {
    AnswerSource.HUMAN: "answered",
    AnswerSource.OVERRIDE: "overridden",
    AnswerSource.RULE: "ruled",
}


def _source_of(prompt: Prompt) -> AnswerSource | None:
    answer = prompt.resolution.answer if prompt.resolution is not None else None
    return answer.source if answer is not None else None
