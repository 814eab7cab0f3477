"""Writes a prompt as text: the question, who asks, the deadline, the contents, the form, the answers."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from askback._model.enums import AnswerStatus, member_of
from askback._model.identity import Identity
from askback._model.prompts import Content, PromptInfo
from askback._model.resolutions import AnswerInfo
from askback._model.times import moment
from askback._text.spans import when
from askback.terminal import words
from askback.terminal.author_words import answer_author
from askback.terminal.choices import marks
from askback.terminal.delegation_words import delegation_facts
from askback.terminal.fields import Entry, Field, Group, Items, Kind, Variants, is_object, top_entries
from askback.terminal.hints import default_of, hint_of
from askback.terminal.keys import verb_of
from askback.terminal.prompt_form import form_of, other_faults
from askback.terminal.verdicts import field_of
from askback.terminal.vote_words import vote_facts, vote_warnings
from askback.terminal.votes import write_votes
from askback.terminal.writer import Writer
from askback.v1 import prompt_pb2 as pb

MAX_CHARS = 20_000
"""The maximum number of characters of a text, unless `full` is requested."""
MAX_CHOICES = 20
"""The maximum number of choices that are listed for a field; the dialogue shows all of them."""
GUTTER = "  | "
"""Begins every line of foreign text, so that it cannot be mistaken for a line of the program."""
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
_MAX_TITLE_WIDTH = 60
"""In columns: a hint that would make its line longer than this goes below the title."""


def write_prompt(
    writer: Writer,
    prompt: PromptInfo,
    at: datetime,
    *,
    full: bool = False,
    asking: bool = False,
    exact: bool = False,
    warnings: Iterable[str] = (),
    person: Identity | None = None,
) -> tuple[str, ...]:
    """Write the prompt, with `warnings` among its facts, as `person` should see it.

    Long texts are cut, with a note, unless `full`. With `asking` the form is only named, because it is asked
    next, field by field. With `exact` times are exact. Returns what was not shown, in words: the rest of a
    text that was cut, and contents that a terminal cannot show.
    """
    unseen: list[str] = []
    form = form_of(prompt)
    writer.line(f"[{prompt.kind}] {prompt.title}", "title")
    for name, value in _facts(prompt, at, exact, person):
        style = "quiet" if name in ("job", "prompt", "key", "labels") else ""
        writer.wrap(f"  {name:<12}{value}", style, " " * 14)
    if prompt.shown_digest and not asking:
        writer.line(f"  {'digest':<12}{prompt.shown_digest}", "quiet")
    for warning in [*warnings, *vote_warnings(prompt, person)]:
        writer.wrap(f"  {'! note':<12}{warning}", "warning", " " * 14)
    if prompt.resolution is not None:
        writer.line(f"  {'ended':<12}{words.ending(prompt.resolution, at, exact=exact)}", "warning")
        if prompt.answered is not None:
            write_answer(writer, prompt.answered, at, exact=exact)
    if prompt.corrections:
        writer.line(
            f"  {'again':<12}the answer to {prompt.proto.content.correction.key} was not accepted", "warning"
        )
        for fault in other_faults(prompt, form):
            writer.wrap(f"  ! {fault}", "warning", "    ")
    if prompt.body:
        writer.line()
        writer.markdown(_shorten(writer, prompt.body, full, "the body", unseen), GUTTER)
    for content in prompt.contents:
        _write_content(writer, content, full, unseen)
    write_votes(writer, prompt, at, exact=exact)
    entries = top_entries(form)
    if entries and asking and prompt.is_open:
        writer.line()
        writer.wrap(f"  To fill in: {', '.join(map(_title_with_default, entries))}", indent="    ")
        for entry in entries:
            _write_faults(writer, entry, "  ", f"{entry.title}: ")
    elif entries:
        writer.line()
        writer.line("  To fill in", "title")
        for entry in entries:
            _write_entry_line(writer, entry, full, unseen)
    if prompt.is_open and not asking:
        writer.line()
        offered = (
            f"{verb_of(option.decision)} ({option.label}"
            f"{', with a comment' if option.comment_required else ''})"
            for option in prompt.decisions
        )
        writer.wrap(f"  To decide: {', '.join(offered)}", indent="    ")
    return tuple(unseen)


def _write_entry_line(
    writer: Writer, entry: Entry, full: bool, unseen: list[str], indent: str = "  "
) -> None:
    """Write one entry in the list of fields to fill in, with the entries of a group below it."""
    need = " *" if entry.required and not entry.nullable else ""
    if is_object(entry):
        head = f"{indent}- {entry.name}{need}  {entry.title}{_in_brackets(hint_of(entry), _omission(entry))}"
        writer.wrap(head, indent=f"{indent}    ")
        _write_faults(writer, entry, f"{indent}    ")
        for item in entry.fields:
            _write_entry_line(writer, item, full, unseen, indent + "  ")
        return
    details = _in_brackets(hint_of(entry), _omission(entry))
    below = f"{indent}    "
    writer.wrap(f"{indent}- {entry.name or 'values'}{need}  {entry.title}{details}", indent=below)
    _write_faults(writer, entry, below)
    if isinstance(entry, Variants):
        titles = ", ".join(variant.title for variant in entry.variants)
        writer.wrap(f"{below}one of: {titles}", "quiet", below)
    elif isinstance(entry, Field) and entry.choices and entry.kind is not Kind.PAIRS:
        writer.wrap(f"{below}{_choices_line(entry, full)}", "quiet", below)
        if not full and len(entry.choices) > MAX_CHOICES:
            unseen.append(f"the choices of {entry.name} from the {MAX_CHOICES + 1}th on")


def _write_faults(writer: Writer, entry: Entry, indent: str, title: str = "") -> None:
    """Write why the job did not accept the value before; with a title also that of the entries below."""
    for fault in entry.faults:
        writer.wrap(f"{indent}! {title}{fault}", "warning", f"{indent}  ")
    if title and isinstance(entry, Group):
        for item in entry.fields:
            _write_faults(writer, item, indent, f"{title}{item.title}: ")


def _title_with_default(entry: Entry) -> str:
    """The title of an entry, with its default."""
    offered = default_of(entry)
    some = " (only for some answers)" if entry.conditional else ""
    return f"{entry.title} [{offered}]{some}" if offered else f"{entry.title}{some}"


def _omission(entry: Entry) -> str:
    """The effect of leaving out an entry; empty if it must be given or the effect is obvious."""
    if offered := default_of(entry):
        return f"{offered} if left out"
    return "may be left out" if isinstance(entry, Group) and (not entry.required or entry.nullable) else ""


def _in_brackets(*parts: str) -> str:
    details = "; ".join(part for part in parts if part)
    return f" [{details}]" if details else ""


def _facts(
    prompt: PromptInfo, at: datetime, exact: bool, person: Identity | None
) -> Iterable[tuple[str, str]]:
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
    if prompt.routed:
        yield "routed", f"by rules; `askback explain {prompt.job_id[-8:]}` names them"
    yield from delegation_facts(prompt, person, at)
    yield from vote_facts(prompt, person)
    if prompt.proto.content.priority:
        yield "priority", str(prompt.proto.content.priority)
    if prompt.group_key:
        yield "group key", prompt.group_key
    if prompt.labels:
        yield "labels", ", ".join(f"{name}={value}" for name, value in sorted(prompt.labels.items()))
    yield "job", prompt.job_id
    yield "prompt", prompt.prompt_id
    yield "key", f"{prompt.key}, round {prompt.proto.round}, revision {prompt.revision}"


def _write_content(writer: Writer, content: Content, full: bool, unseen: list[str]) -> None:
    marked = ", may be edited" if content.editable else ""
    name = content.title or content.content_id
    writer.line()
    writer.line(
        f"  --- {name} ({content.content_id}, {content.media_type or 'text/plain'}{marked}) ---", "name"
    )
    if content.url:
        writer.line(GUTTER + content.url)
        unseen.append(f"{name}: it is not here but behind its link, {content.url}")
        return
    if content.media_type.startswith(_NOT_TEXT):
        unseen.append(f"{name}: it is {content.media_type}, of which a terminal shows only the characters")
    text = _shorten(writer, content.text, full, name, unseen)
    if content.media_type in _DIFFS:
        for line in text.splitlines():
            writer.line(GUTTER + line, _diff_style(line))
    elif content.media_type == "text/markdown":
        writer.markdown(text, GUTTER)
    else:
        writer.block(text, indent=GUTTER)


def _diff_style(line: str) -> str:
    if line.startswith(("+++", "---")):
        return "title"
    return {"+": "added", "-": "removed", "@": "hunk"}.get(line[:1], "")


def _shorten(writer: Writer, text: str, full: bool, name: str, unseen: list[str]) -> str:
    if full or len(text) <= MAX_CHARS:
        return text
    head = text[:MAX_CHARS]
    shown_to = head.rfind("\n") + 1 or MAX_CHARS
    writer.line(f"  (the first {shown_to} of {len(text)} characters; --full shows all)", "warning")
    unseen.append(f"{name}: {len(text) - shown_to} of {len(text)} characters (--full shows all)")
    return text[:shown_to]


def write_entry(writer: Writer, entry: Entry, place: str = "     ") -> None:
    """Write one entry above its question; `place` is its number, such as `1/4 `, or an indent."""
    indent = place if not place.strip() else "     "
    need = " (required)" if entry.required and not entry.nullable else ""
    hint = _in_brackets(hint_of(entry))
    head = f"{place}{entry.title}{need}"
    beside = bool(entry.title) and len(head) + len(hint) <= _MAX_TITLE_WIDTH
    if entry.title:
        writer.line(f"{head}{hint}" if beside else head, "title")
    if hint and not beside:
        details = hint[2:-1]
        for part in [details] if len(indent) + len(details) <= _MAX_TITLE_WIDTH else details.split("; "):
            writer.line(f"{indent}{part}", "quiet")
    _write_faults(writer, entry, indent)
    help = entry.help or (entry.item.help if isinstance(entry, Items) else "")
    writer.block(help, "quiet", f"{indent}| ")
    if not isinstance(entry, Field):
        return
    if entry.rationale:
        writer.block(f"Why: {entry.rationale}", "quiet", f"{indent}| ")
    if entry.kind is Kind.PAIRS:
        return
    for mark, choice in zip(marks(entry.choices), entry.choices, strict=True):
        suggested = " (recommended)" if choice.recommended else ""
        more = f": {choice.description}" if choice.description else ""
        writer.line(f"{indent}  {mark}) {choice.label}{suggested}{more}")
    if entry.allow_other and entry.choices:
        writer.line(f"{indent}  or any other text")


def _choices_line(item: Field, full: bool) -> str:
    """The choices on one line, as they can be typed."""
    shown = [choice.label for choice in item.choices[: None if full else MAX_CHOICES]]
    if more := len(item.choices) - len(shown):
        shown.append(f"{more} more")
    elif item.allow_other:
        shown.append("or any other text")
    return "one of: " * (item.kind is not Kind.MULTI) + ", ".join(shown)


def write_submission(writer: Writer, record: pb.AnswerRecord, at: datetime, *, exact: bool = False) -> None:
    """Write one submitted answer with the server's verdict and its violations."""
    status = member_of(AnswerStatus, pb.AnswerStatus, "ANSWER_STATUS_", record.status)
    write_answer(writer, AnswerInfo.from_proto(record.answer), at, status, exact=exact)
    for violation in record.violations:
        writer.wrap(f"    ! {field_of(violation.field)}: {violation.description}", "warning", " " * 6)


def write_answer(
    writer: Writer,
    answer: AnswerInfo,
    at: datetime,
    status: AnswerStatus | None = None,
    *,
    exact: bool = False,
) -> None:
    """Write an answer: the decision, who gave it and when, the values, edits and comment."""
    verdict = f"{status}: " if status else ""
    who = answer_author(answer)
    time = f" {when(answer.at, at, exact=exact)}" if answer.at else ""
    batch = f", with others: batch {answer.batch_id}" if answer.batch_id else ""
    writer.line(f"  {verdict}{answer.decision} by {who}{time}, about revision {answer.revision}{batch}")
    if answer.values_json:
        writer.line(f"    values   {answer.values_json}")
    for content_id, text in answer.edits.items():
        writer.line(f"    edited   {content_id}")
        writer.block(text, indent="    | ")
    if answer.comment:
        writer.block(answer.comment, indent="    comment  ")
