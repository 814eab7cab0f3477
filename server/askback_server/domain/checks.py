"""Validation of requests: text that the database cannot store, limits, and contradictory fields.

The rules validate before they change anything, and raise one InvalidField with all violations.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from askback_server.domain.approval_checks import ALONE, check_approval, check_decisions, check_delegation
from askback_server.domain.content import Audience, Correction, FinalAction, Part, PromptContent
from askback_server.domain.decisions import AUTHORISING, Edit, check_options, default_options, fill_labels
from askback_server.domain.documents import content_to_json
from askback_server.domain.evolve import evolve
from askback_server.domain.forms import Unjudged, check_form
from askback_server.domain.json_text import Violation, check_text, is_plain, parse_json
from askback_server.domain.limits import Limits
from askback_server.domain.violations import Violations

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-/]*\Z")
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9_.\-]*\Z")
_URL = re.compile(r"https?://[^\s\x00-\x1f]+\Z")


class Checker(Violations):
    """Checks fields against the service's limits."""

    __slots__ = ("limits",)

    def __init__(self, limits: Limits, prefix: str = "") -> None:
        super().__init__(prefix)
        self.limits = limits

    def text(self, field: str, value: str, max_bytes: int, *, required: bool = False) -> None:
        """Check a text: storable by a database, of bounded size."""
        if not value:
            if required:
                self.bad(field, "is required")
            return
        if not is_plain(value, max_bytes):
            self.run(lambda: check_text(value, field=field, max_bytes=max_bytes))

    def name(self, field: str, value: str, *, required: bool = True) -> None:
        """Check a job type, namespace or id: letters, digits, underscore, dot, hyphen, slash."""
        if not value:
            if required:
                self.bad(field, "is required")
        elif len(value) > self.limits.name_chars or not _NAME.match(value):
            self.bad(
                field,
                f"must be 1 to {self.limits.name_chars} letters, digits, '_', '.', '-' or '/', "
                "starting with a letter or digit",
            )

    def key(self, field: str, value: str, *, required: bool = True) -> None:
        """Check an idempotency id or key: any text of bounded size."""
        self.text(field, value, self.limits.key_chars, required=required)

    def json(self, field: str, value: str, *, required: bool = False) -> None:
        """Check a JSON text; empty means none."""
        if value:
            size, depth = self.limits.json_bytes, self.limits.json_depth
            self.run(lambda: parse_json(value, field=field, max_bytes=size, max_depth=depth))
        elif required:
            self.bad(field, "is required")

    def number(self, field: str, value: float, low: float, high: float) -> None:
        """Check that a number is within bounds; NaN is not."""
        if not low <= value <= high:
            self.bad(field, f"must be between {low} and {high}")

    def span(
        self, field: str, value: timedelta | None, high: timedelta, low: timedelta | None = None
    ) -> None:
        """Check that a duration, if given, is positive and within bounds."""
        if value is None or not self.positive(field, value):
            return
        if low is not None and value < low:
            self.bad(field, f"must be at least {low.total_seconds():g} s")
        elif value > high:
            self.bad(field, f"must be at most {high.total_seconds():.10g} s ({high.days} days)")

    def labels(self, field: str, labels: Mapping[str, str]) -> None:
        """Check the number of labels, and each name and value."""
        if len(labels) > self.limits.labels:
            self.bad(field, f"has {len(labels)} entries; at most {self.limits.labels} are allowed")
            return
        for key, value in labels.items():
            self.text(f"{field}[{key[:40]!r}]", key, self.limits.label_chars, required=True)
            self.text(f"{field}[{key[:40]!r}]", value, self.limits.label_chars)

    def edits(self, field: str, edits: Sequence[Edit]) -> None:
        """Check that edits are storable; `validate_answer` checks later whether the prompt allows them."""
        if len(edits) > self.limits.parts:
            self.bad(field, f"has {len(edits)} entries; at most {self.limits.parts} are allowed")
            return
        for i, edit in enumerate(edits):
            self.text(f"{field}[{i}].content_id", edit.content_id, self.limits.name_chars)
            self.text(f"{field}[{i}].text", edit.text, self.limits.content_bytes)


def normalise(
    content: PromptContent, limits: Limits, now: datetime | None, *, prefix: str = "content."
) -> PromptContent:
    """Validate a content and fill in the decisions of its kind. `prefix` starts the paths of violations.

    `now` is when people are asked. None leaves the times unchecked, for a prompt that exists: a job that
    asks again after a restart gets that prompt, even if its `deadline` has passed since. Raises
    InvalidField.
    """
    check = Checker(limits, prefix)
    if not content.kind:
        check.bad("kind", "is required: clarify, confirm, preview, or one of your own")
    elif len(content.kind) > limits.name_chars or not _KIND.match(content.kind):
        shape = f"1 to {limits.name_chars} letters, digits, '_', '.' or '-', starting with a letter"
        check.bad("kind", f"{content.kind[:40]!r} is not a kind: it must be {shape}")
    check.text("title", content.title, limits.title_chars, required=True)
    if "\n" in content.title or "\r" in content.title:
        check.bad("title", "must be one line")
    check.text("body", content.body, limits.content_bytes)
    check.number("priority", content.priority, -limits.priority, limits.priority)
    check.labels("labels", content.labels)
    check.json("metadata_json", content.metadata_json)
    check.key("group_key", content.group_key, required=False)
    _check_parts(check, content.parts)
    _check_audience(check, "audience", content.audience)
    if content.escalation:
        _check_escalation(check, content)
    if content.exclusion is not None:
        _check_exclusion(check, content)
    if content.delegation_policy is not None:
        check_delegation(check, content.delegation_policy)
    if content.approval is not None:
        content = evolve(content, approval=check_approval(check, content.approval))
    if content.reminders is not None:
        check.number("reminders.max_count", content.reminders.maximum, 0, limits.reminders)
    if content.correction is not None:
        _check_correction(check, content.correction)
    if content.timeout is not None and content.deadline is not None:
        check.bad("deadline", "must be unset with a timeout: they say the same in two ways")
    elif now is not None:
        _check_times(check, content, now)
    form = content.form
    if form is not None:
        check.run(lambda: check_form(form, limits.forms))
    if content.decisions:
        options = fill_labels(content.decisions)
        check.run(lambda: check_options(options, limits.forms))
    else:
        # Not for an invalid kind, because `default_options` caches by kind.
        options = () if check.found else default_options(content.kind, form is not None)
        if content.approval is not None and content.approval.required > 1:
            options = tuple(option for option in options if option.decision not in ALONE)
    if content.decisions != options:
        content = content.with_decisions(options)
    _check_default(check, content)
    if content.approval is not None and not check.found:
        check_decisions(check, content, content.approval)
    check.done()
    size = len(content_to_json(content).encode())
    if size > limits.content_bytes:
        check.bad(
            "contents", f"make the prompt {size} bytes in all; at most {limits.content_bytes} are allowed"
        )
    check.done()
    return content


def _check_correction(check: Checker, correction: Correction) -> None:
    limits = check.limits
    check.key("correction.key", correction.key)
    if not 1 <= len(correction.violations) <= limits.violations:
        check.bad("correction.violations", f"must have 1 to {limits.violations} entries")
        return
    for i, violation in enumerate(correction.violations):
        at = f"correction.violations[{i}]"
        check.text(f"{at}.field", violation.field, limits.violation_bytes, required=True)
        check.text(f"{at}.description", violation.description, limits.violation_bytes, required=True)


def _check_parts(check: Checker, parts: tuple[Part, ...]) -> None:
    limits = check.limits
    if len(parts) > limits.parts:
        check.bad("contents", f"has {len(parts)} entries; at most {limits.parts} are allowed")
        return
    seen: set[str] = set()
    for i, part in enumerate(parts):
        at = f"contents[{i}]"
        check.name(f"{at}.content_id", part.content_id)
        if part.content_id in seen:
            check.bad(f"{at}.content_id", "must be unique in the prompt")
        seen.add(part.content_id)
        check.text(f"{at}.title", part.title, limits.title_chars)
        check.text(f"{at}.media_type", part.media_type, limits.name_chars)
        check.text(f"{at}.text", part.text, limits.content_bytes)
        if part.url and (len(part.url) > 2048 or not _URL.match(part.url)):
            check.bad(f"{at}.url", "must be an http or https URL of at most 2048 characters")
        if part.url and part.editable:
            check.bad(f"{at}.editable", "only a text can be edited")


def _check_audience(check: Checker, field: str, audience: Audience) -> None:
    count = len(audience.users) + len(audience.groups)
    if count > check.limits.audience:
        check.bad(field, f"names {count}; at most {check.limits.audience} are allowed")
        return
    for name in sorted(audience.users | audience.groups):
        check.text(field, name, check.limits.key_chars, required=True)


def _check_exclusion(check: Checker, content: PromptContent) -> None:
    """Check the names."""
    excluded = content.exclusion
    assert excluded is not None
    count = len(excluded.users) + len(excluded.groups) + len(excluded.answerers_of)
    if count > check.limits.audience:
        check.bad("exclude", f"names {count}; at most {check.limits.audience} are allowed")
        return
    for name in sorted(excluded.users | excluded.groups):
        check.text("exclude", name, check.limits.key_chars, required=True)
    for i, key in enumerate(excluded.answerers_of):
        check.key(f"exclude.answerers_of[{i}]", key)


def _check_escalation(check: Checker, content: PromptContent) -> None:
    """Check the steps. A step without effect is refused: the mistake would show only hours later."""
    steps, limits = content.escalation, check.limits
    if len(steps) > limits.escalation_steps:
        check.bad("escalation", f"has {len(steps)} steps; at most {limits.escalation_steps} are allowed")
        return
    asked = content.audience
    for i, step in enumerate(steps):
        at = f"escalation[{i}]"
        check.number(f"{at}.raise_priority", step.raise_priority, 0, 2 * limits.priority)
        if not (step.replace or step.to.users or step.to.groups or step.raise_priority):
            check.bad(f"{at}.to", "is required, unless the step replaces the audience or raises the priority")
        _check_audience(check, f"{at}.to", step.to)
        asked = step.to if step.replace else asked.union(step.to)
        if len(asked.users) + len(asked.groups) > limits.audience:
            check.bad(
                f"{at}.to", f"makes the audience more than the {limits.audience} names that are allowed"
            )


def _check_times(check: Checker, content: PromptContent, now: datetime) -> None:
    """Check every time of a prompt that is opened or amended at `now`."""
    limits, field = check.limits, "timeout"
    timeout = content.timeout
    if content.deadline is not None:
        field, timeout = "deadline", content.deadline - now
        if timeout <= timedelta(0):
            check.bad(field, f"has passed: it is {now:%Y-%m-%dT%H:%M:%SZ} at the server")
        elif timeout < limits.deadline_min:
            check.bad(field, f"must be at least {limits.deadline_min.total_seconds():g} s from now")
        elif timeout > limits.deadline_max:
            check.bad(field, f"must be within {limits.deadline_max.days} days from now")
    check.span("timeout", content.timeout, limits.deadline_max, limits.deadline_min)
    default = content.default_answer
    if (
        timeout is not None
        and content.final_action is FinalAction.DEFAULT
        and default is not None
        and default.decision in AUTHORISING
        and limits.deadline_min <= timeout < limits.authorising_default_min
    ):
        minimum = limits.authorising_default_min.total_seconds()
        check.bad(field, f"must be at least {minimum:g} s where the default is {default.decision}")
    before = timedelta(0)
    for i, step in enumerate(content.escalation[: limits.escalation_steps]):
        at = f"escalation[{i}].after"
        check.span(at, step.after, limits.deadline_max, limits.deadline_min)
        if step.after <= before:
            check.bad(at, "must be later than the step before; it counts from the asking")
        _check_before_end(check, at, step.after, timeout)
        before = step.after
    if (reminders := content.reminders) is not None:
        check.span("reminders.every", reminders.every, limits.deadline_max, limits.reminder_min)
        check.span("reminders.after", reminders.after, limits.deadline_max, limits.deadline_min)
        _check_before_end(check, "reminders.after", reminders.after, timeout)


def _check_before_end(check: Checker, field: str, after: timedelta, timeout: timedelta | None) -> None:
    if timeout is not None and after >= timeout:
        check.bad(field, "must be before the prompt's time is over")


def _check_default(check: Checker, content: PromptContent) -> None:
    """Check that the final action has what it needs, and that a default is a valid answer.

    An invalid default would be a deadline that cannot be executed.
    """
    default = content.default_answer
    endless = content.timeout is None and content.deadline is None
    if content.final_action is FinalAction.FAIL_JOB and endless:
        check.bad("timeout", "is required with final_action FAIL_JOB")
    if content.final_action is not FinalAction.DEFAULT:
        if default is not None:
            check.bad("default_answer", "needs final_action DEFAULT")
        return
    if default is None:
        check.bad("default_answer", "is required with final_action DEFAULT")
    elif endless:
        check.bad("timeout", "is required with final_action DEFAULT")
    elif not check.found:
        try:
            found = content.judge(default.decision, default.values_json, (), default.comment, check.limits)
        except Unjudged:
            found = (Violation("values_json", "takes too long to check for a default: send fewer values"),)
        for v in found:
            check.bad(f"default_answer.{v.field}", v.description)
