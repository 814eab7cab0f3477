"""Invariants 6 to 8: the events that consoles received."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.faults.checker.evidence import PENDING, Evidence
from tests.faults.checker.violation import Violation, violation
from tests.faults.history import Line


def check(e: Evidence) -> Iterator[Violation]:
    """Check all three invariants for each console."""
    longest = sorted(e.facts.items(), key=lambda item: item[1].seen_open)
    order = [prompt_id for prompt_id, facts in longest if facts.seen_open < float("inf")]
    for console, lines in e.consoles.items():
        yield from _ConsoleView(e, console, order).follow(lines)


@dataclass(eq=False)
class _Stream:
    """One stream of a console."""

    hello: Line
    versions: dict[str, Line] = field(default_factory=dict)
    ends: dict[str, Line] = field(default_factory=dict)
    caught: Line | None = None
    judged_late: bool = False
    last_message: float = 0.0


class _ConsoleView:
    """A console's view, rebuilt from the events it received."""

    def __init__(self, e: Evidence, console: str, order: list[str]) -> None:
        self._e = e
        self._console = console
        self._order = [p for p in order if e.is_for(console, p)]
        """The prompts that its user may see, by the time at which they were first seen."""
        self._streams: dict[tuple[str, int], _Stream] = {}
        self._view: dict[str, Line] = {}
        self._closed_versions: dict[str, int] = {}
        self._shown: set[str] = set()
        self._segments: list[_Stream] = []
        self._start = ""

    def follow(self, lines: list[Line]) -> Iterator[Violation]:
        """Apply the console's lines in order."""
        for line in lines:
            if line["start"] != self._start:
                self._start = line["start"]  # a new process starts with an empty view
                self._view.clear()
                self._closed_versions.clear()
            yield from self._apply(line)
        yield from self._check_end(lines)
        yield from self._check_reach()

    def _apply(self, line: Line) -> Iterator[Violation]:
        key = self._start, line.get("s", 0)
        event = line["e"]
        if event == "hello":
            self._streams[key] = _Stream(line)
            return
        stream = self._streams.get(key)
        if stream is None:
            return
        stream.last_message = line["t"]
        match event:
            case "welcome" if not stream.hello["resumes"]:
                self._view.clear()
                self._closed_versions.clear()
            case "reset":
                self._view.clear()
                self._closed_versions.clear()
                stream.hello = {**stream.hello, "resumes": False}
                stream.versions.clear()
                stream.ends.clear()
            case "up":
                yield from self._upsert(stream, line)
            case "closed" | "removed":
                yield from self._remove(stream, line)
            case "caught":
                stream.caught = line
                self._segments.append(stream)
                if not stream.hello["resumes"]:
                    yield from self._compare(6, stream, line, stream.hello["t"])
        late = stream.caught is not None and line["t"] > stream.caught["t"] + self._e.bounds.reach
        if late and not stream.judged_late:
            # Events that the event horizon held back at the resume must have arrived by now.
            stream.judged_late = True
            number = 8 if stream.hello["resumes"] else 6
            yield from self._compare(number, stream, line, line["t"] - self._e.bounds.reach)

    def _upsert(self, stream: _Stream, line: Line) -> Iterator[Violation]:
        prompt_id, version = line["p"], line["v"]
        if line["st"] != PENDING:
            yield violation(7, f"{self._console} was shown prompt {prompt_id} in state {line['st']}", line)
        if self._e.is_for(self._console, prompt_id) is False:
            yield violation(7, f"{self._console} was shown prompt {prompt_id}, which is not for it", line)
        before = stream.versions.get(prompt_id)
        if before is not None and before["v"] > version:
            yield violation(7, f"prompt {prompt_id} went back to version {version}", before, line)
        ended = stream.ends.get(prompt_id)
        if ended is not None and ended["e"] == "closed":
            yield violation(7, f"prompt {prompt_id} was shown after its end", ended, line)
        facts = self._e.facts[prompt_id]
        if facts.seen_closed < stream.hello["t"]:
            text = f"prompt {prompt_id} was shown by a stream that began after its end was reported"
            yield violation(7, text, facts.closed_line, stream.hello, line)
        stream.versions[prompt_id] = line
        self._shown.add(prompt_id)
        if self._closed_versions.get(prompt_id, 0) < version:
            self._view[prompt_id] = line

    def _remove(self, stream: _Stream, line: Line) -> Iterator[Violation]:
        prompt_id = line["p"]
        if self._e.is_for(self._console, prompt_id) is False and not self._may_have_been_visible(
            stream, line
        ):
            yield violation(
                7, f"{self._console} got an event of prompt {prompt_id}, which is not for it", line
            )
        stream.ends[prompt_id] = line
        shown = self._view.get(prompt_id)
        if shown is None or shown["v"] <= line["v"]:
            self._view.pop(prompt_id, None)
        self._closed_versions[prompt_id] = max(self._closed_versions.get(prompt_id, 0), line["v"])

    def _may_have_been_visible(self, stream: _Stream, line: Line) -> bool:
        """Whether an earlier revision of the prompt may have been for this console. After a resume the server
        removes an amended prompt in any case, because it stores no earlier audiences."""
        prompt = self._e.prompts[line["p"]]
        return line["e"] == "removed" and stream.hello["resumes"] and prompt["revision"] > 1

    def _compare(self, number: int, stream: _Stream, line: Line, since: float) -> Iterator[Violation]:
        """Compare the view with the prompts certainly open from `since` until now, or closed by then."""
        e, now = self._e, line["t"]
        for prompt_id in self._order:
            facts = e.facts[prompt_id]
            if facts.seen_open >= since:
                break
            if (
                facts.closes > now + e.bounds.clock
                and facts.seen_closed > now
                and prompt_id not in self._view
            ):
                text = f"{self._console} did not get prompt {prompt_id}, which was open all the time"
                yield violation(number, text, stream.hello, stream.caught, line)
        for prompt_id, shown in self._view.items():
            facts = e.facts[prompt_id]
            # Deleted prompts are not reported: their audience is no longer stored.
            if facts.seen_closed < since and prompt_id in e.prompts:
                text = f"{self._console} did not get the end of prompt {prompt_id}"
                yield violation(number, text, facts.closed_line, stream.hello, shown, line)

    def _check_end(self, lines: list[Line]) -> Iterator[Violation]:
        """Some time after the last job has ended, no prompt may be left in the view."""
        finished = [line for line in self._e.clients if line["e"] == "finished" and not line["left"]]
        if not finished or not lines:
            return
        last = max(stream.last_message for stream in self._streams.values())
        stream = max(self._streams.values(), key=lambda s: s.last_message)
        if last < finished[0]["t"] + 1.0 or stream.caught is None:
            return
        for prompt_id, shown in self._view.items():
            facts = self._e.facts[prompt_id]
            if prompt_id in self._e.prompts and facts.seen_closed < finished[0]["t"]:
                number = 8 if stream.hello["resumes"] and self._stream_of(shown) is not stream else 6
                text = f"{self._console} never got the end of prompt {prompt_id}"
                yield violation(number, text, facts.closed_line, stream.hello, shown)

    def _stream_of(self, line: Line) -> _Stream | None:
        return self._streams.get((line["start"], line["s"]))

    def _check_reach(self) -> Iterator[Violation]:
        """A console that was connected long enough received each prompt that was open long enough."""
        e, reach = self._e, self._e.bounds.reach
        for prompt_id in self._order:
            facts = e.facts[prompt_id]
            until = min(facts.closes, facts.seen_closed, e.ends_at)
            if prompt_id in self._shown or until - facts.seen_open <= reach:
                continue
            for stream in self._segments:
                assert stream.caught is not None
                begin = max(facts.seen_open, stream.caught["t"])
                if min(until, stream.last_message) > begin + reach:
                    text = f"{self._console} was connected, but never got prompt {prompt_id}"
                    yield violation(8 if stream.hello["resumes"] else 6, text, stream.hello, stream.caught)
                    break
