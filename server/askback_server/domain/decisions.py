"""Decisions: which ones a prompt offers, and whether an answer is valid."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

from askback_server.domain.form_clarity import find_confusable
from askback_server.domain.forms import Form, FormLimits, Judgement, validate_values
from askback_server.domain.json_text import BadFields, Violation, cap_violations, check_text, is_plain


class Decision(StrEnum):
    """The decisions that a prompt may offer. None is a default: an answer without one authorises nothing."""

    ACCEPT = "ACCEPT"
    EDIT = "EDIT"
    RESPOND = "RESPOND"
    REVISE = "REVISE"
    REJECT = "REJECT"
    DISMISS = "DISMISS"


AUTHORISING = frozenset({Decision.ACCEPT, Decision.EDIT})
CARRIES_VALUES = frozenset({Decision.ACCEPT, Decision.EDIT, Decision.RESPOND})

DEFAULT_LABELS: Mapping[Decision, str] = {
    Decision.ACCEPT: "Accept",
    Decision.EDIT: "Accept with changes",
    Decision.RESPOND: "Answer",
    Decision.REVISE: "Ask for changes",
    Decision.REJECT: "Reject",
    Decision.DISMISS: "Dismiss",
}

# By kind, in the order shown. A label that is not empty replaces the default label of the decision.
_KINDS: Mapping[str, Mapping[Decision, str]] = {
    "clarify": {Decision.RESPOND: "", Decision.DISMISS: ""},
    "confirm": {Decision.ACCEPT: "Confirm", Decision.REVISE: "", Decision.REJECT: ""},
    "preview": {Decision.ACCEPT: "Approve", Decision.EDIT: "", Decision.REVISE: "", Decision.REJECT: ""},
    "validate": {Decision.ACCEPT: "Approve", Decision.REVISE: "", Decision.REJECT: ""},
    "deep_understanding": {Decision.RESPOND: "", Decision.ACCEPT: "Proceed", Decision.REJECT: ""},
    "structure_fix": {Decision.ACCEPT: "Use the suggestion", Decision.EDIT: "Correct it"},
}
_OTHER_WITH_FORM: Mapping[Decision, str] = {Decision.RESPOND: "", Decision.DISMISS: ""}
_OTHER_WITHOUT_FORM: Mapping[Decision, str] = {Decision.ACCEPT: "", Decision.REJECT: ""}


@dataclass(frozen=True, slots=True)
class DecisionOption:
    """One decision a prompt offers."""

    decision: Decision
    label: str
    comment_required: bool = False


@dataclass(frozen=True, slots=True)
class Edit:
    """The full replacement of one content's text."""

    content_id: str
    text: str


@lru_cache(maxsize=256)
def default_options(kind: str, has_form: bool) -> tuple[DecisionOption, ...]:
    """The options of a prompt of this kind whose asker names none.

    REVISE requires a comment that says what to revise. RESPOND requires one if there is no form, because the
    comment is then the whole response.
    """
    table = _KINDS.get(kind, _OTHER_WITH_FORM if has_form else _OTHER_WITHOUT_FORM)
    return tuple(
        DecisionOption(
            decision,
            label or DEFAULT_LABELS[decision],
            decision is Decision.REVISE or (decision is Decision.RESPOND and not has_form),
        )
        for decision, label in table.items()
    )


def fill_labels(options: Iterable[DecisionOption]) -> tuple[DecisionOption, ...]:
    """The options, with the default label where the asker gave none."""
    return tuple(
        option if option.label else replace(option, label=DEFAULT_LABELS[option.decision])
        for option in options
    )


def check_options(
    options: Sequence[DecisionOption], limits: FormLimits | None = None, *, field: str = "decisions"
) -> None:
    """Raise BadFields unless there is an option, no decision is offered twice, and the labels are valid."""
    found = tuple(_option_faults(options, limits or FormLimits(), field))
    if found:
        raise BadFields(found)


def _option_faults(options: Sequence[DecisionOption], limits: FormLimits, field: str) -> Iterator[Violation]:
    if not options:
        yield Violation(field, "must have at least one decision")
    offered = {option.decision: option.label for option in options}  # duplicates are reported below
    for index, other in find_confusable([*offered.items()]):
        reason = f"is the decision or the label of {field}[{other}] too: people could not tell them apart"
        yield Violation(f"{field}[{index}].label", reason)
    seen: set[Decision] = set()
    for index, option in enumerate(options):
        if option.decision in seen:
            yield Violation(f"{field}[{index}].decision", f"offers {option.decision} a second time")
        seen.add(option.decision)
        if not option.label.strip():
            yield Violation(f"{field}[{index}].label", "must not be empty")
        yield from _text_violations(option.label, f"{field}[{index}].label", limits.max_label_bytes)


def validate_answer(
    *,
    options: Sequence[DecisionOption],
    form: Form | None,
    editable: Mapping[str, bool],
    decision: Decision,
    values_json: str,
    edits: Sequence[Edit],
    comment: str,
    limits: FormLimits,
    judgement: Judgement | None = None,
) -> tuple[Violation, ...]:
    """The violations of an answer to a prompt; empty if it can be accepted.

    `editable` maps the id of each of the prompt's contents to whether it may be edited. Raises Unjudged
    (see `validate_values`).
    """
    offered = {option.decision: option for option in options}
    option = offered.get(decision)
    if option is None:
        return (Violation("decision", "must be one of: " + ", ".join(offered)),)
    found = [
        *_comment_violations(option, comment, limits),
        *_edit_violations(decision, edits, editable, limits),
    ]
    if decision in CARRIES_VALUES:
        found += validate_values(form, values_json, max_bytes=limits.max_values_bytes, judgement=judgement)
        if decision is Decision.EDIT and not edits and (form is None or _is_empty(values_json)):
            what = "an edit" if form is None else "an edit or values"
            found.append(Violation("edits", f"must hold {what}: EDIT changes something"))
    elif not _is_empty(values_json):
        found.append(Violation("values_json", f"must be empty with {decision}"))
    return cap_violations(found)


def _is_empty(values_json: str) -> bool:
    return values_json.strip() in ("", "{}")


def _comment_violations(option: DecisionOption, comment: str, limits: FormLimits) -> Iterator[Violation]:
    if option.comment_required and not comment.strip():
        yield Violation("comment", f"is required with {option.decision}")
    yield from _text_violations(comment, "comment", limits.max_comment_bytes)


def _edit_violations(
    decision: Decision, edits: Sequence[Edit], editable: Mapping[str, bool], limits: FormLimits
) -> Iterator[Violation]:
    if not edits:
        return
    if decision is not Decision.EDIT:
        yield Violation("edits", f"must be empty with {decision}; only EDIT takes edits")
        return
    seen: set[str] = set()
    for index, edit in enumerate(edits):
        at = f"edits[{index}]."
        if edit.content_id not in editable:
            yield Violation(at + "content_id", "is not a content of this prompt")
        elif not editable[edit.content_id]:
            yield Violation(at + "content_id", "names a content that must not be edited")
        elif edit.content_id in seen:
            yield Violation(at + "content_id", "names a content that an earlier edit replaces")
        seen.add(edit.content_id)
        yield from _text_violations(edit.text, at + "text", limits.max_edit_bytes)


def _text_violations(text: str, field: str, max_bytes: int) -> tuple[Violation, ...]:
    if is_plain(text, max_bytes):
        return ()
    try:
        check_text(text, field=field, max_bytes=max_bytes)
    except BadFields as bad:
        return bad.violations
    return ()
