"""Invariants 6 to 8: what consoles were told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.faults.checker.evidence import PENDING, Evidence
from tests.faults.checker.violation import Violation, violated
from tests.faults.history import Line


def check(e: Evidence) -> Iterator[Violation]:
    """All three, console by console."""
    longest = sorted(e.facts.items(), key=lambda item: item[1].seen_open)
    order = [prompt_id for prompt_id, facts in longest if facts.seen_open < float("inf")]
    for console, lines in e.consoles.items():
        yield from _Desk(e, console, order).follow(lines)


@dataclass(eq=False)
class _Stream:
    """One stream of a console."""

    hello: Line
    versions: dict[str, Line] = field(default_factory=dict)
    ends: dict[str, Line] = field(default_factory=dict)
    caught: Line | None = None
    judged_late: bool = False
    heard: float = 0.0


class _Desk:
    """One console's view, rebuilt from what it was told."""

    def __init__(self, e: Evidence, console: str, order: list[str]) -> None:
        self._e = e
        self._console = console
        self._order = [p for p in order if e.is_for(console, p)]
        """The prompts that are for it, by the time at which they were first known."""
        self._streams: dict[tuple[str, int], _Stream] = {}
        self._view: dict[str, Line] = {}
        self._gone: dict[str, int] = {}
        self._shown: set[str] = set()
        self._segments: list[_Stream] = []
        self._start = ""

    def follow(self, lines: list[Line]) -> Iterator[Violation]:
        """Line by line."""
        for line in lines:
            if line["start"] != self._start:
                self._start = line["start"]  # another process: it knows nothing
                self._view.clear()
                self._gone.clear()
            yield from self._line(line)
        yield from self._at_the_end(lines)
        yield from self._reached()

    def _line(self, line: Line) -> Iterator[Violation]:
        key = self._start, line.get("s", 0)
        event = line["e"]
        if event == "hello":
            self._streams[key] = _Stream(line)
            return
        stream = self._streams.get(key)
        if stream is None:
            return
        stream.heard = line["t"]
        match event:
            case "welcome" if not stream.hello["resumes"]:
                self._view.clear()
                self._gone.clear()
            case "reset":
                self._view.clear()
                self._gone.clear()
                stream.hello = {**stream.hello, "resumes": False}
                stream.versions.clear()
                stream.ends.clear()
            case "up":
                yield from self._up(stream, line)
            case "closed" | "removed":
                yield from self._away(stream, line)
            case "caught":
                stream.caught = line
                self._segments.append(stream)
                if not stream.hello["resumes"]:
                    yield from self._compare(6, stream, line, stream.hello["t"])
        late = stream.caught is not None and line["t"] > stream.caught["t"] + self._e.bounds.reach
        if late and not stream.judged_late:
            # What the horizon hid at the resume must have come by now.
            stream.judged_late = True
            number = 8 if stream.hello["resumes"] else 6
            yield from self._compare(number, stream, line, line["t"] - self._e.bounds.reach)

    def _up(self, stream: _Stream, line: Line) -> Iterator[Violation]:
        prompt_id, version = line["p"], line["v"]
        if line["st"] != PENDING:
            yield violated(7, f"{self._console} was shown prompt {prompt_id} in state {line['st']}", line)
        if self._e.is_for(self._console, prompt_id) is False:
            yield violated(7, f"{self._console} was shown prompt {prompt_id}, which is not for it", line)
        before = stream.versions.get(prompt_id)
        if before is not None and before["v"] > version:
            yield violated(7, f"prompt {prompt_id} went back to version {version}", before, line)
        ended = stream.ends.get(prompt_id)
        if ended is not None and ended["e"] == "closed":
            yield violated(7, f"prompt {prompt_id} was shown after its end", ended, line)
        facts = self._e.facts[prompt_id]
        if facts.seen_closed < stream.hello["t"]:
            text = f"prompt {prompt_id} was shown by a stream begun after its end was known"
            yield violated(7, text, facts.closed_line, stream.hello, line)
        stream.versions[prompt_id] = line
        self._shown.add(prompt_id)
        if self._gone.get(prompt_id, 0) < version:
            self._view[prompt_id] = line

    def _away(self, stream: _Stream, line: Line) -> Iterator[Violation]:
        prompt_id = line["p"]
        if self._e.is_for(self._console, prompt_id) is False and not self._may_have_been(stream, line):
            yield violated(7, f"{self._console} was told of prompt {prompt_id}, which is not for it", line)
        stream.ends[prompt_id] = line
        shown = self._view.get(prompt_id)
        if shown is None or shown["v"] <= line["v"]:
            self._view.pop(prompt_id, None)
        self._gone[prompt_id] = max(self._gone.get(prompt_id, 0), line["v"])

    def _may_have_been(self, stream: _Stream, line: Line) -> bool:
        """After a resume an amended prompt is taken away by its id alone: it may have been for this console
        before, and the server keeps no history of audiences."""
        prompt = self._e.prompts[line["p"]]
        return line["e"] == "removed" and stream.hello["resumes"] and prompt["revision"] > 1

    def _compare(self, number: int, stream: _Stream, line: Line, since: float) -> Iterator[Violation]:
        """The view, against what was certainly open from `since` until now, or closed by then."""
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
                text = f"{self._console} was not told of prompt {prompt_id}, which was open all the time"
                yield violated(number, text, stream.hello, stream.caught, line)
        for prompt_id, shown in self._view.items():
            facts = e.facts[prompt_id]
            # Whose job is deleted meanwhile is not told: nobody knows any more whose it was.
            if facts.seen_closed < since and prompt_id in e.prompts:
                text = f"{self._console} was not told that prompt {prompt_id} had ended"
                yield violated(number, text, facts.closed_line, stream.hello, shown, line)

    def _at_the_end(self, lines: list[Line]) -> Iterator[Violation]:
        """All has ended and was quiet for a while: nothing may be left on the desk."""
        finished = [line for line in self._e.clients if line["e"] == "finished" and not line["left"]]
        if not finished or not lines:
            return
        last = max(stream.heard for stream in self._streams.values())
        stream = max(self._streams.values(), key=lambda s: s.heard)
        if last < finished[0]["t"] + 1.0 or stream.caught is None:
            return
        for prompt_id, shown in self._view.items():
            facts = self._e.facts[prompt_id]
            if prompt_id in self._e.prompts and facts.seen_closed < finished[0]["t"]:
                number = 8 if stream.hello["resumes"] and self._stream_of(shown) is not stream else 6
                text = f"{self._console} was never told that prompt {prompt_id} had ended"
                yield violated(number, text, facts.closed_line, stream.hello, shown)

    def _stream_of(self, line: Line) -> _Stream | None:
        return self._streams.get((line["start"], line["s"]))

    def _reached(self) -> Iterator[Violation]:
        """Whoever sat there long enough was shown each prompt that was open long enough."""
        e, reach = self._e, self._e.bounds.reach
        for prompt_id in self._order:
            facts = e.facts[prompt_id]
            until = min(facts.closes, facts.seen_closed, e.ends_at)
            if prompt_id in self._shown or until - facts.seen_open <= reach:
                continue
            for stream in self._segments:
                assert stream.caught is not None
                begin = max(facts.seen_open, stream.caught["t"])
                if min(until, stream.heard) > begin + reach:
                    text = f"{self._console} sat there, and prompt {prompt_id} never came"
                    yield violated(8 if stream.hello["resumes"] else 6, text, stream.hello, stream.caught)
                    break
