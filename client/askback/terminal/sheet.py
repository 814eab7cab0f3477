"""A prompt as text: what is asked, by whom, how long there is, what to look at, what to fill in."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from askback._model.enums import AnswerStatus, named
from askback._model.prompts import AnswerInfo, Content, PromptInfo
from askback._model.times import moment
from askback._text.spans import when
from askback.terminal import words
from askback.terminal.choosing import marks
from askback.terminal.fields import Entry, Field, Group, Items, Kind, Variants, entries
from askback.terminal.hints import default_of, hint_of
from askback.terminal.keys import verb_of
from askback.terminal.paper import Paper
from askback.terminal.verdicts import field_of
from askback.v1 import prompt_pb2 as pb

LONG = 20_000
"""So many characters of a text are shown, unless all of it is asked for."""
MOST_CHOICES = 20
"""So many choices of a field are named in a sheet; whoever fills it in sees them all."""
GUTTER = "  | "
"""Stands before every line that others wrote, so that no text can pass for a line of ours."""
_NOT_TEXT = (
    "image/",
    "audio/",
    "video/",
    "font/",
    "model/",
    "application/octet-stream",
    "application/pdf",
    "application/zip",
    "application/gzip",
)
_DIFFS = ("text/x-diff", "text/x-patch", "text/diff")
_NARROW = 60
"""A field's hint stands beside its title up to so many columns, else below."""


def write_sheet(
    paper: Paper,
    prompt: PromptInfo,
    at: datetime,
    *,
    full: bool = False,
    asking: bool = False,
    exact: bool = False,
    warnings: Iterable[str] = (),
) -> tuple[str, ...]:
    """Write the prompt as it is, `warnings` among its facts. Long texts are cut unless `full`, and say so.
    With `exact` times are exact.

    `asking`: it will be asked at once, field by field, so that the form is only named.

    Returns what was not shown, in words: the rest of what was cut, and contents that no terminal shows.
    """
    unseen: list[str] = []
    paper.line(f"[{prompt.kind}] {prompt.title}", "title")
    for name, value in _facts(prompt, at, exact):
        paper.line(f"  {name:<12}{value}", "quiet" if name in ("job", "prompt", "key", "labels") else "")
    for warning in warnings:
        paper.line(f"  {'! note':<12}{warning}", "warning")
    if prompt.resolution is not None:
        paper.line(f"  {'ended':<12}{words.ending(prompt.resolution, at, exact=exact)}", "warning")
        if prompt.answered is not None:
            write_answer(paper, prompt.answered, at, exact=exact)
    if prompt.body:
        paper.line()
        paper.markdown(_cut(paper, prompt.body, full, "the body", unseen), GUTTER)
    for content in prompt.contents:
        _write_content(paper, content, full, unseen)
    form = entries(prompt)
    if form and asking and prompt.is_open:
        paper.line()
        paper.line(f"  To fill in: {', '.join(map(_named, form))}")
    elif form:
        paper.line()
        paper.line("  To fill in", "title")
        for entry in form:
            _write_listed(paper, entry, full, unseen)
    if prompt.is_open and not asking:
        paper.line()
        offered = (
            f"{verb_of(option.decision)} ({option.label}"
            f"{', with a comment' if option.comment_required else ''})"
            for option in prompt.decisions
        )
        paper.line(f"  To decide: {', '.join(offered)}")
    return tuple(unseen)


def _write_listed(paper: Paper, entry: Entry, full: bool, unseen: list[str], indent: str = "  ") -> None:
    """One entry of a form in the list of what is to be filled in; the fields of a group below it."""
    need = " *" if entry.required and not entry.nullable else ""
    if isinstance(entry, Group) and not entry.sequence:
        paper.line(f"{indent}- {entry.name}{need}  {entry.title}{_bracketed(_left_out(entry))}")
        for item in entry.fields:
            _write_listed(paper, item, full, unseen, indent + "  ")
        return
    said = _bracketed(hint_of(entry), _left_out(entry))
    paper.line(f"{indent}- {entry.name or 'values'}{need}  {entry.title}{said}")
    if isinstance(entry, Variants):
        paper.line(f"{indent}    one of: {', '.join(variant.title for variant in entry.variants)}", "quiet")
    elif isinstance(entry, Field) and entry.choices and entry.kind is not Kind.PAIRS:
        paper.line(f"{indent}    {_offered(entry, full)}", "quiet")
        if not full and len(entry.choices) > MOST_CHOICES:
            unseen.append(f"the choices of {entry.name} from the {MOST_CHOICES + 1}th on")


def _named(entry: Entry) -> str:
    """An entry with what it is if it is left out."""
    offered = default_of(entry)
    return f"{entry.title} [{offered}]" if offered else entry.title


def _left_out(entry: Entry) -> str:
    """What happens if an entry is left out."""
    if offered := default_of(entry):
        return f"{offered} if left out"
    return "may be left out" if isinstance(entry, Group) and (not entry.required or entry.nullable) else ""


def _bracketed(*parts: str) -> str:
    said = "; ".join(part for part in parts if part)
    return f" [{said}]" if said else ""


def _facts(prompt: PromptInfo, at: datetime, exact: bool) -> Iterable[tuple[str, str]]:
    asked = when(prompt.created_at, at, exact=exact)
    yield "asked by", ", ".join(filter(None, (prompt.job_type or "a program", asked)))
    if prompt.requested_by:
        yield "requester", prompt.requested_by
    yield "deadline", words.deadline(prompt, at, exact=exact)
    if coming := words.escalation(prompt, at, exact=exact):
        yield "escalation", coming
    if who := words.claim(prompt, at):
        until = moment(prompt.proto, "claim_expire_time")
        yield "claimed by", f"{who}, ends {when(until, at, exact=exact)}" if until else who
    audience = prompt.proto.content.audience
    names = [f"user:{user}" for user in audience.users] + [f"group:{group}" for group in audience.groups]
    yield "for", ", ".join(names) or "everyone"
    if prompt.proto.content.priority:
        yield "priority", str(prompt.proto.content.priority)
    if prompt.labels:
        yield "labels", ", ".join(f"{name}={value}" for name, value in sorted(prompt.labels.items()))
    yield "job", prompt.job_id
    yield "prompt", prompt.prompt_id
    yield "key", f"{prompt.key}, round {prompt.proto.round}, revision {prompt.revision}"


def _write_content(paper: Paper, content: Content, full: bool, unseen: list[str]) -> None:
    marked = ", may be edited" if content.editable else ""
    name = content.title or content.content_id
    paper.line()
    paper.line(
        f"  --- {name} ({content.content_id}, {content.media_type or 'text/plain'}{marked}) ---", "name"
    )
    if content.url:
        paper.line(GUTTER + content.url)
        unseen.append(f"{name}: it is not here but behind its link, {content.url}")
        return
    if content.media_type.startswith(_NOT_TEXT):
        unseen.append(f"{name}: it is {content.media_type}, of which a terminal shows only the characters")
    text = _cut(paper, content.text, full, name, unseen)
    if content.media_type in _DIFFS:
        for line in text.splitlines():
            paper.line(GUTTER + line, _diff_style(line))
    elif content.media_type == "text/markdown":
        paper.markdown(text, GUTTER)
    else:
        paper.block(text, indent=GUTTER)


def _diff_style(line: str) -> str:
    if line.startswith(("+++", "---")):
        return "title"
    return {"+": "added", "-": "removed", "@": "hunk"}.get(line[:1], "")


def _cut(paper: Paper, text: str, full: bool, name: str, unseen: list[str]) -> str:
    if full or len(text) <= LONG:
        return text
    head = text[:LONG]
    shown_to = head.rfind("\n") + 1 or LONG
    paper.line(f"  (the first {shown_to} of {len(text)} characters; --full shows all)", "warning")
    unseen.append(f"{name}: {len(text) - shown_to} of {len(text)} characters (--full shows all)")
    return text[:shown_to]


def write_entry(paper: Paper, entry: Entry, place: str = "     ") -> None:
    """Write one entry of a form as it is asked; `place` is its number, such as `1/4 `, or an indent."""
    indent = place if not place.strip() else "     "
    need = " (required)" if entry.required and not entry.nullable else ""
    hint = _bracketed(hint_of(entry))
    head = f"{place}{entry.title}{need}"
    beside = bool(entry.title) and len(head) + len(hint) <= _NARROW
    if entry.title:
        paper.line(f"{head}{hint}" if beside else head, "title")
    if hint and not beside:
        said = hint[2:-1]
        for part in [said] if len(indent) + len(said) <= _NARROW else said.split("; "):
            paper.line(f"{indent}{part}", "quiet")
    help = entry.help or (entry.item.help if isinstance(entry, Items) else "")
    paper.block(help, "quiet", f"{indent}| ")
    if not isinstance(entry, Field):
        return
    if entry.rationale:
        paper.block(f"Why: {entry.rationale}", "quiet", f"{indent}| ")
    if entry.kind is Kind.PAIRS:
        return
    for mark, choice in zip(marks(entry.choices), entry.choices, strict=True):
        suggested = " (recommended)" if choice.recommended else ""
        more = f": {choice.description}" if choice.description else ""
        paper.line(f"{indent}  {mark}) {choice.label}{suggested}{more}")
    if entry.allow_other and entry.choices:
        paper.line(f"{indent}  or any other text")


def _offered(item: Field, full: bool) -> str:
    """The choices on one line, each as it may be typed."""
    shown = [choice.label for choice in item.choices[: None if full else MOST_CHOICES]]
    if more := len(item.choices) - len(shown):
        shown.append(f"{more} more")
    elif item.allow_other:
        shown.append("or any other text")
    return "one of: " * (item.kind is not Kind.MULTI) + ", ".join(shown)


def write_submission(paper: Paper, record: pb.AnswerRecord, at: datetime, *, exact: bool = False) -> None:
    """Write one submission of the audit with its verdict, and why it was refused."""
    status = named(AnswerStatus, pb.AnswerStatus, "ANSWER_STATUS_", record.status)
    write_answer(paper, AnswerInfo.from_proto(record.answer), at, status, exact=exact)
    for violation in record.violations:
        paper.line(f"    ! {field_of(violation.field)}: {violation.description}", "warning")


def write_answer(
    paper: Paper,
    answer: AnswerInfo,
    at: datetime,
    status: AnswerStatus | None = None,
    *,
    exact: bool = False,
) -> None:
    """Write an answer: the decision, who gave it when, and what it says."""
    verdict = f"{status}: " if status else ""
    who = "the deadline's default" if answer.by_default else answer.by
    time = f" {when(answer.at, at, exact=exact)}" if answer.at else ""
    paper.line(f"  {verdict}{answer.decision} by {who}{time}, about revision {answer.revision}")
    if answer.values_json:
        paper.line(f"    values   {answer.values_json}")
    for content_id, text in answer.edits.items():
        paper.line(f"    edited   {content_id}")
        paper.block(text, indent="    | ")
    if answer.comment:
        paper.block(answer.comment, indent="    comment  ")
