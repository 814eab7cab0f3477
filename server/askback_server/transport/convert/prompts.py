"""Prompts and answers as messages, and the references and filters of requests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from askback.v1 import hitl_service_pb2, prompt_pb2
from askback_server.domain.answers import Answer, AnswerSource
from askback_server.domain.commands import PromptRef
from askback_server.domain.errors import InvalidField, PromptNotFound
from askback_server.domain.json_text import Violation
from askback_server.domain.nudges import Nudges
from askback_server.domain.principals import Principal, Role
from askback_server.domain.prompts import (
    AnswerResult,
    AnswerStatus,
    Prompt,
    PromptState,
    Resolution,
    Submission,
)
from askback_server.domain.violations import Violations
from askback_server.ports.clock import is_id
from askback_server.ports.queries import PromptFilter, PromptOrder
from askback_server.transport.convert.contents import DECISION_NUMBERS, content_bytes
from askback_server.transport.convert.origins import put_origin
from askback_server.transport.convert.values import (
    any_labels,
    id_suffix,
    job_id,
    moment,
    namespace,
    put_time,
)
from askback_server.transport.convert.votes import put_approval_state
from askback_server.transport.wire import EncodeCache, within

STATE_NUMBERS = {s: prompt_pb2.PromptState.Value(f"PROMPT_STATE_{s}") for s in PromptState}
_STATES: dict[int, PromptState] = {number: s for s, number in STATE_NUMBERS.items()}
_SOURCE_NUMBERS = {s: prompt_pb2.AnswerSource.Value(f"ANSWER_SOURCE_{s}") for s in AnswerSource}
STATUS_NUMBERS = {s: prompt_pb2.AnswerStatus.Value(f"ANSWER_STATUS_{s}") for s in AnswerStatus}

_ORDERS: dict[int, PromptOrder] = {
    hitl_service_pb2.PromptOrder.Value(f"PROMPT_ORDER_{order}"): order for order in PromptOrder
}

_WHICH = "is required, or job_id and key in its place"


def prompt_id(value: str, field: str = "prompt_id") -> str:
    """A well-formed prompt id. Raises InvalidField if it is empty, PromptNotFound if it is malformed."""
    if is_id(value):
        return value
    if not value:
        raise InvalidField.of(field, "is required")
    raise PromptNotFound(prompt_id=value)


def prompt_ref(prompt_id: str, job_id: str, key: str) -> PromptRef:
    """A reference by id, or by job and key. Raises InvalidField, PromptNotFound."""
    if prompt_id:
        if job_id or key:
            raise InvalidField.of("prompt_id", "excludes job_id and key: name the prompt in one way")
        if not is_id(prompt_id):
            raise PromptNotFound(prompt_id=prompt_id)
        return PromptRef(prompt_id)
    if not job_id or not key:
        if not job_id and not key:
            raise InvalidField.of("prompt_id", _WHICH)
        raise InvalidField.of("key" if job_id else "job_id", "is required where prompt_id is not given")
    if not is_id(job_id) or "\0" in key:
        raise PromptNotFound(job_id=job_id, key=key)
    return PromptRef("", job_id, key)


def prompt_watch_filter(
    filter: hitl_service_pb2.PromptFilter, asked_namespace: str, principal: Principal
) -> PromptFilter:
    """The filter of a live view. Raises InvalidField, JobNotFound, PermissionDenied."""
    if filter.states:
        raise InvalidField.of("filter.states", "must be empty: only open prompts are watched")
    for name in ("unattended", "id_suffix", "job_id_suffix", "mine", "overdue", "answered_by"):
        if getattr(filter, name):
            raise InvalidField.of(f"filter.{name}", "must be empty: it narrows lists only")
    if filter.HasField("expires_before"):
        raise InvalidField.of("filter.expires_before", "must be unset: it narrows lists only")
    return _filter(filter, asked_namespace, principal, principal, (PromptState.PENDING,))


def prompt_list_filter(request: hitl_service_pb2.ListPromptsRequest, principal: Principal) -> PromptFilter:
    """The filter of a page. Raises InvalidField, JobNotFound, PermissionDenied.

    `viewer` limits it to what the console may see. It is None if the request names a job or an id and the
    caller is a client or a worker. With a job and without a namespace, use `Queries.within_namespace`.
    """
    states: list[PromptState] = []
    check = Violations()
    for index, number in enumerate(request.filter.states):
        state = _STATES.get(number)
        if state is None:
            check.bad(f"filter.states[{index}]", f"{number} is not a state of a prompt")
        else:
            states.append(state)
    check.done()
    by_id = request.filter.job_id or request.filter.id_suffix or request.filter.job_id_suffix
    sees_all = bool(by_id) and principal.has(Role.CLIENT, Role.WORKER)
    viewer = None if sees_all else principal
    order = _order(request)
    default = () if order is PromptOrder.CLOSE_TIME else (PromptState.PENDING,)
    filter = _filter(request.filter, request.namespace, principal, viewer, tuple(states) or default)
    return replace(filter, order=order)


def _order(request: hitl_service_pb2.ListPromptsRequest) -> PromptOrder:
    """The order of a list. Raises InvalidField, also where the filter matches nothing in this order."""
    filter = request.filter
    if request.order == hitl_service_pb2.PROMPT_ORDER_UNSPECIFIED:
        return PromptOrder.CLOSE_TIME if filter.answered_by else PromptOrder.URGENCY
    order = _ORDERS.get(request.order)
    check = Violations()
    if order is None:
        check.bad("order", f"{request.order} is not an order of prompts")
    elif order is PromptOrder.URGENCY and filter.answered_by:
        check.bad("order", "must be CLOSE_TIME or unset with filter.answered_by")
    elif order is PromptOrder.CLOSE_TIME:
        for index, number in enumerate(filter.states):
            if number == prompt_pb2.PROMPT_STATE_PENDING:
                check.bad(
                    f"filter.states[{index}]", "must be a state of closed prompts in the order CLOSE_TIME"
                )
        for name in ("unattended", "overdue", "expires_before"):
            if any(field.name == name for field, _ in filter.ListFields()):
                check.bad(f"filter.{name}", "must be empty in the order CLOSE_TIME: it is for open prompts")
    check.done()
    assert order is not None
    return order


def _filter(
    filter: hitl_service_pb2.PromptFilter,
    asked: str,
    principal: Principal,
    viewer: Principal | None,
    states: tuple[PromptState, ...],
) -> PromptFilter:
    if viewer is not None:
        principal.require(Role.CONSOLE)
    check = Violations()
    for name in ("job_types", "kinds", "groups"):
        check.storable(f"filter.{name}", getattr(filter, name))
    check.storable("filter.labels", (text for pair in filter.labels.items() for text in pair))
    check.storable("filter.answered_by", [filter.answered_by])
    several = any_labels(check, filter.any_labels)
    check.done()
    return PromptFilter(
        namespace=namespace(asked, principal),
        viewer=viewer,
        job_types=tuple(filter.job_types),
        kinds=tuple(filter.kinds),
        labels=dict(filter.labels),
        any_labels=several,
        groups=tuple(filter.groups),
        job_id=job_id(filter.job_id, "filter.job_id") if filter.job_id else "",
        states=states,
        unattended=filter.unattended,
        person=principal.subject if filter.mine else "",
        overdue=filter.overdue,
        answered_by=filter.answered_by,
        expires_before=(
            moment(filter.expires_before, "filter.expires_before")
            if filter.HasField("expires_before")
            else None
        ),
        id_suffix=id_suffix(filter.id_suffix, "filter.id_suffix"),
        job_id_suffix=id_suffix(filter.job_id_suffix, "filter.job_id_suffix"),
    )


def _serialise_prompt(prompt: Prompt) -> bytes:
    target = prompt_pb2.Prompt()
    target.prompt_id = prompt.prompt_id
    target.job_id = prompt.job_id
    target.namespace = prompt.namespace
    target.job_type = prompt.job_type
    target.requested_by = prompt.requested_by
    target.key = prompt.key
    target.round = prompt.round
    target.revision = prompt.revision
    target.shown_digest = prompt.shown_digest
    target.version = prompt.version
    target.state = STATE_NUMBERS[prompt.state]
    if prompt.claimed_until is not None:
        target.claimed_by = prompt.claimed_by
        put_time(target.claim_expire_time, prompt.claimed_until)
    put_time(target.create_time, prompt.created_at)
    put_time(target.update_time, prompt.updated_at)
    if prompt.expires_at is not None:
        put_time(target.expire_time, prompt.expires_at)
    if prompt.resolution is not None:
        put_resolution(target.resolution, prompt.resolution)
    if prompt.consumed_at is not None:
        put_time(target.consume_time, prompt.consumed_at)
    if prompt.unattended_since is not None:
        put_time(target.unattended_time, prompt.unattended_since)
    if prompt.same_digest:
        target.rewording.digest = prompt.digest
        target.rewording.asked_digest = prompt.same_digest
    target.submissions = prompt.submissions
    target.routed = bool(prompt.asked_digest)
    if prompt.nudges is not None:
        _put_nudges(target, prompt.nudges)
    put_approval_state(target, prompt)
    return target.SerializeToString() + _CONTENT(content_bytes(prompt.content))


def _put_nudges(target: prompt_pb2.Prompt, nudges: Nudges) -> None:
    target.escalation_step = nudges.steps
    target.remind_count = nudges.reminded
    if nudges.step_at is not None:
        put_time(target.next_escalation_time, nudges.step_at)
    if nudges.reminded_at is not None:
        put_time(target.last_remind_time, nudges.reminded_at)
    if nudges.remind_at is not None:
        put_time(target.next_remind_time, nudges.remind_at)


_CONTENT = within(prompt_pb2.Prompt, "content")

prompt_bytes = EncodeCache(_serialise_prompt, maximum=512)
"""Serialises a prompt. Each version is sent to the caller that caused it and, right after, to the other side,
so the messages are cached. A claim is sent with its end, also if that has passed."""


def prompt_message(prompt: Prompt) -> prompt_pb2.Prompt:
    """The message of a prompt."""
    return prompt_pb2.Prompt.FromString(prompt_bytes(prompt))


def prompt_messages(prompts: Iterable[Prompt]) -> list[prompt_pb2.Prompt]:
    """The messages of prompts, in order."""
    return [prompt_message(p) for p in prompts]


def put_resolution(target: prompt_pb2.Resolution, resolution: Resolution) -> None:
    """Fill the message of a resolution."""
    target.state = STATE_NUMBERS[resolution.state]
    if resolution.answer is not None:
        put_answer(target.answer, resolution.answer)
    target.actor = resolution.actor
    target.reason = resolution.reason
    put_time(target.time, resolution.at)


def put_answer(target: prompt_pb2.Answer, answer: Answer) -> None:
    """Fill the message of an answer."""
    target.answer_id = answer.answer_id
    target.decision = DECISION_NUMBERS[answer.decision]
    target.values_json = answer.values_json
    for edit in answer.edits:
        target.edits.add(content_id=edit.content_id, text=edit.text)
    target.comment = answer.comment
    target.source = _SOURCE_NUMBERS[answer.source]
    target.user_id = answer.user_id
    target.revision = answer.revision
    put_origin(target, answer)
    put_time(target.create_time, answer.created_at)


def violation_messages(violations: Iterable[Violation]) -> list[prompt_pb2.FieldViolation]:
    """The messages of violations."""
    return [prompt_pb2.FieldViolation(field=v.field, description=v.description) for v in violations]


def record_message(submission: Submission) -> prompt_pb2.AnswerRecord:
    """The message of one entry of a prompt's audit."""
    message = prompt_pb2.AnswerRecord(status=STATUS_NUMBERS[submission.status])
    put_answer(message.answer, submission.answer)
    if submission.violations:
        message.violations.extend(violation_messages(submission.violations))
    return message


def result_bytes(result: AnswerResult) -> bytes:
    """Serialises the verdict on an answer as an AnswerResult."""
    head = hitl_service_pb2.AnswerResult(
        status=STATUS_NUMBERS[result.status], replayed=result.replayed, answer_id=result.answer_id
    )
    if result.violations:
        head.violations.extend(violation_messages(result.violations))
    return head.SerializeToString() + _VERDICT(prompt_bytes(result.prompt))


_VERDICT = within(hitl_service_pb2.AnswerResult, "prompt")


def _serialise_closed(prompt: Prompt) -> bytes:
    message = hitl_service_pb2.PromptEvent()
    closed = message.closed
    closed.prompt_id = prompt.prompt_id
    closed.job_id = prompt.job_id
    closed.version = prompt.version
    if prompt.resolution is not None:
        put_resolution(closed.resolution, prompt.resolution)
        if prompt.resolution.answer is not None:
            closed.answer_id = prompt.resolution.answer.answer_id
    return message.SerializeToString()


_UPSERTED = within(hitl_service_pb2.PromptEvent, "upserted", "prompt")


def _serialise_upserted(prompt: Prompt) -> bytes:
    return _UPSERTED(prompt_bytes(prompt))


upserted_bytes = EncodeCache(_serialise_upserted, maximum=512)
"""Serialises the PromptEvent of an open prompt, once for all consoles that may see it."""
closed_bytes = EncodeCache(_serialise_closed, maximum=512)
"""Serialises the PromptEvent of a closed prompt, once for all consoles that may see it."""
