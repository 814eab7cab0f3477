"""Prompts as text: complete, readable, and harmless even with hostile content."""

import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from askback._console.console_view import Closing
from askback._model.prompts import PromptInfo
from askback._model.resolutions import Resolution
from askback._text.table import lines
from askback.terminal import words
from askback.terminal.prompt_table import prompt_columns
from askback.terminal.prompt_text import MAX_CHARS, write_prompt
from askback.terminal.writer import PlainWriter, RichWriter
from askback.v1 import prompt_pb2 as pb
from tests.support.dialogue import ACCEPT, asking, prompt, question
from tests.support.zones import zone

NOW = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)
HOSTILE = (
    "\x1b[2J\x1b]0;owned\x07\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\ \x9b31m \r gone \x08\x08 "
    "\u202egnp.exe\u2066\u2069 \u200e\u200f\u061c\ufeff \u2028\u2029 \x00 \x7f \u200b\u2060\xad\U000e0041"
)
FORBIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff"
    "\xad\u200b\u2060\U000e0041]"
)


@pytest.fixture(autouse=True)
def _utc() -> Iterator[None]:
    with zone("UTC"):
        yield


def at(seconds: float) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(NOW + timedelta(seconds=seconds))
    return stamp


def hostile() -> PromptInfo:
    entities = "&#x202e; &#27;[31m [x](javascript:alert(1)) ![y](http://evil/z)"
    html = "<!-- and drops it --> <script>alert(1)</script>"
    asked = asking(
        question("q", text=pb.TextInput(default_value=HOSTILE, pattern=HOSTILE)),
        question("s", single=pb.SingleInput(options=[pb.Option(value=HOSTILE, description=HOSTILE)])),
        title=f"Title {HOSTILE}",
        body=f"Body {HOSTILE}\n\n{entities}\n\n{html}\n\n```\n{HOSTILE}\n```",
        contents=[
            pb.PromptPart(content_id="d", title=HOSTILE, media_type="text/x-diff", text=f"+{HOSTILE}\n-b"),
            pb.PromptPart(content_id="m", media_type=HOSTILE, text=HOSTILE),
            pb.PromptPart(content_id="u", url=f"https://x/{HOSTILE}"),
        ],
        labels={"l": HOSTILE},
        decisions=((ACCEPT, HOSTILE),),
        audience=pb.Audience(users=[HOSTILE]),
    )
    asked.proto.job_type = asked.proto.key = asked.proto.claimed_by = HOSTILE
    return asked


def plain(asked: PromptInfo, **options: bool) -> str:
    out = io.StringIO()
    write_prompt(PlainWriter(out), asked, NOW, **options)
    return out.getvalue()


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    encoding = "utf-8"  # type: ignore[assignment]

    def isatty(self) -> bool:
        return True


def rich(asked: PromptInfo, monkeypatch: pytest.MonkeyPatch, width: int = 100) -> str:
    pytest.importorskip("rich", reason="rich draws; it is in the extra tui")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = Terminal()
    write_prompt(RichWriter(out), asked, NOW)
    return out.getvalue()


def test_hostile_text_is_harmless_when_plain() -> None:
    text = plain(hostile())
    assert not FORBIDDEN.search(text)
    assert "Title" in text


def test_hostile_text_is_harmless_in_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only rich's own colours are left: no other escape sequence, and no override from an entity."""
    text = rich(hostile(), monkeypatch)
    assert "\x1b[" in text
    left = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert not FORBIDDEN.search(left)
    assert "owned" in left  # the letters stay, but have no effect
    assert "<!-- and drops it -->" in left
    assert "<script>alert(1)</script>" in left
    assert "javascript:alert(1)" in left  # an address is shown, not hidden behind a link


def test_a_title_stays_on_its_line() -> None:
    lines = plain(prompt(title="One\n  deadline  never\x0b\x85\u2028two")).splitlines()
    assert lines[0] == "[clarify] One   deadline  never<U+000B><U+0085><U+2028>two"
    assert sum(line.startswith("  deadline") for line in lines) == 1


def test_text_of_others_cannot_look_like_our_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Text from others is printed after a gutter, so that a body cannot fake a deadline or a decision."""
    fake = "\n  deadline    none\n\n  Decisions: ACCEPT (Harmless)\n"
    parts = [
        pb.PromptPart(content_id=f"c{n}", media_type=media_type, text=fake)
        for n, media_type in enumerate(("text/markdown", "text/x-diff", "text/plain"))
    ]
    asked = asking(question("q", text=pb.TextInput(), rationale=fake), body=fake, contents=parts)
    for text in (plain(asked), re.sub(r"\x1b\[[0-9;]*m", "", rich(asked, monkeypatch))):
        faked = [line for line in text.splitlines() if "Harmless" in line or line.endswith("  none")]
        assert len(faked) >= 4
        assert all(line.startswith("  | ") for line in faked), faked


def test_a_megabyte_of_markdown_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is cut with a note. The whole text is shown on request."""
    body = "# Heading\n\n" + "* item **bold** [link](http://x) `code`\n" * 26_000
    assert len(body) > 1_000_000
    asked = prompt(body=body)
    text = plain(asked)
    rich(asked, monkeypatch)
    assert len(text) < MAX_CHARS + 3_000
    assert f"of {len(body)} characters; --full shows all)" in text
    assert plain(asked, full=True).count("* item") == 26_000


def test_a_line_of_a_megabyte_is_cut() -> None:
    assert len(plain(prompt(body="x" * 1_000_000))) < MAX_CHARS + 2_000


def test_priority_audience_and_deadline_are_shown_in_words() -> None:
    asked = prompt(
        priority=5,
        labels={"env": "prod"},
        audience=pb.Audience(users=["ana"], groups=["desk"]),
        final_action=pb.FINAL_ACTION_FAIL_JOB,
    )
    asked.proto.create_time.CopyFrom(at(-300))
    asked.proto.expire_time.CopyFrom(at(14_100))
    asked.proto.claimed_by = "bob"
    asked.proto.claim_expire_time.CopyFrom(at(540))
    text = plain(asked)
    for line in (
        "[clarify] Which?",
        "  asked by    refund, 5 min ago",
        "  claimed by  bob, ends in 9 min (08:09 UTC)",
        "  for         user:ana, group:desk",
        "  priority    5",
        "  labels      env=prod",
        "  job         j-1",
        "  prompt      p-1",
        "  key         k, round 1, revision 1",
    ):
        assert line in text
    assert "  deadline    in 4 h (11:55 UTC), then the job fails\n" in text
    asked.proto.claim_expire_time.CopyFrom(at(-1))
    assert "claimed by" not in plain(asked)
    asked.proto.content.final_action = pb.FINAL_ACTION_DEFAULT
    asked.proto.content.default_answer.decision = pb.DECISION_REJECT
    assert "then the default is taken: REJECT" in plain(asked)
    asked.proto.expire_time.CopyFrom(at(-1))
    assert "  deadline    passed 1 s ago (07:59 UTC)" in plain(asked)
    asked.proto.ClearField("expire_time")
    assert "  deadline    none: it waits until it is answered" in plain(asked)


def test_contents_show_title_id_and_media_type() -> None:
    parts = [
        pb.PromptPart(content_id="n", title="Notes", media_type="text/plain", text="a\nb", editable=True),
        pb.PromptPart(content_id="u", title="Report", media_type="text/html", url="https://x/r"),
    ]
    text = plain(prompt(contents=parts))
    assert "  --- Notes (n, text/plain, may be edited) ---\n  | a\n  | b\n" in text
    assert "  --- Report (u, text/html) ---\n  | https://x/r\n" in text


def test_a_diff_is_readable_without_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    diff = "--- a\n+++ b\n@@ -1 +1 @@\n-old\n+new\n"
    asked = prompt(contents=[pb.PromptPart(content_id="d", media_type="text/x-diff", text=diff)])
    assert "".join(f"  | {line}\n" for line in diff.splitlines()) in plain(asked)
    drawn = rich(asked, monkeypatch)
    assert "\x1b[31m  | -old\x1b[0m" in drawn
    assert "\x1b[32m  | +new\x1b[0m" in drawn


def test_a_long_title_hides_nothing() -> None:
    asked = prompt(title="x" * 500, priority=7)
    asked.proto.create_time.CopyFrom(at(-60))
    asked.proto.expire_time.CopyFrom(at(60))
    head, row = lines(prompt_columns([asked], NOW), width=100)
    assert head.split() == ["LEFT", "KIND", "TITLE", "ID", "AGE", "FROM", "PRIO"]
    assert row.split()[:3] == ["1", "min", "clarify"]
    assert row.endswith("…  p-1  1 min  refund  7")
    assert len(row) <= 100


@pytest.mark.parametrize(
    ("resolution", "said"),
    [
        (
            pb.Resolution(
                state=pb.PROMPT_STATE_ANSWERED,
                answer=pb.Answer(decision=pb.DECISION_REJECT, user_id="bob"),
                time=at(-3),
            ),
            "answered by bob 3 s ago (07:59 UTC): REJECT",
        ),
        (
            pb.Resolution(
                state=pb.PROMPT_STATE_ANSWERED,
                answer=pb.Answer(decision=pb.DECISION_ACCEPT, source=pb.ANSWER_SOURCE_TIMEOUT_DEFAULT),
            ),
            "answered by the deadline's default: ACCEPT",
        ),
        (
            pb.Resolution(state=pb.PROMPT_STATE_EXPIRED, time=at(-60)),
            "expired unanswered 1 min ago (07:59 UTC)",
        ),
        (
            pb.Resolution(state=pb.PROMPT_STATE_CANCELLED, actor="boss", reason="job completed"),
            "cancelled by boss: job completed",
        ),
    ],
)
def test_each_resolution_is_shown_in_words(resolution: pb.Resolution, said: str) -> None:
    ended = Resolution.from_proto(resolution)
    assert words.ending(ended, NOW) == said
    assert words.closing_words(Closing("p", "j", "closed", ended), NOW) == said


def test_letters_that_a_stream_cannot_encode_are_replaced() -> None:
    out = io.TextIOWrapper(raw := io.BytesIO(), encoding="ascii")
    PlainWriter(out).line("Grüße")
    out.flush()
    assert raw.getvalue() == b"Gr??e\n"


def test_a_form_is_listed_with_its_defaults() -> None:
    """Shown in full when read, and by name before a question. An optional group is marked as such."""
    address = {"type": "object", "title": "Address", "properties": {"x": {"type": "integer", "title": "X"}}}
    properties = {
        "currency": {"type": "string", "title": "Currency", "default": "EUR"},
        "note": {"type": "string", "title": "Note", "default": ""},
        "o": {**address, "required": ["x"]},
    }
    asked = prompt(schema_json=json.dumps({"type": "object", "properties": properties}))
    full, brief = io.StringIO(), io.StringIO()
    write_prompt(PlainWriter(full), asked, words.now())
    assert "  - currency  Currency [EUR if left out]\n  - note  Note\n" in full.getvalue()
    assert "  - o  Address [may be left out]\n    - o.x *  X [a whole number]\n" in full.getvalue()
    write_prompt(PlainWriter(brief), asked, words.now(), asking=True)
    assert "  To fill in: Currency [EUR], Note, Address\n" in brief.getvalue()


def test_a_narrow_terminal_breaks_the_form_and_the_decisions_between_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = asking(
        question("amount", required=True, integer=pb.IntegerInput(minimum=1, maximum=1_000_000)),
        question("reason", text=pb.TextInput(default_value="the customer has sent the goods back, unopened")),
    )
    whole = [line.split() for line in plain(asked).splitlines() if line.startswith(("  - ", "  To decide"))]
    drawn = re.sub(r"\x1b\[[0-9;]*m", "", rich(asked, monkeypatch, width=60))
    form = drawn[drawn.index("  - amount") :]
    assert max(map(len, form.splitlines())) <= 60
    assert form.split() == [word for line in whole for word in line]
    assert len(form.splitlines()) > len(whole)
