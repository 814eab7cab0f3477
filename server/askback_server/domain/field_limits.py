"""The size limits of all texts and lists of requests, as one table.

`transport/field_limits.py` checks each message against it before any other processing, and
`docs/reference/limits.md` is generated from it. A test walks the contract's descriptors and fails for a text,
list or map without an entry. Entries name attributes of `Limits`; texts are measured in bytes of UTF-8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from askback_server.domain.limits import Limits


@dataclass(frozen=True, slots=True)
class FieldLimit:
    """The limits of one field, by their names in `Limits` (with the prefix `forms.` in `FormLimits`)."""

    entries: str = ""
    """How many entries a repeated or map field may have; empty for a single value."""
    text: str = ""
    """The size of the text, or of each entry's text, or of a map's value; empty for messages and numbers."""
    key: str = ""
    """The size of a map's key."""


def limit_value(limits: Limits, name: str) -> int:
    """The value of a limit by its name in the table."""
    value: object = limits
    for part in name.split("."):
        value = getattr(value, part)
    assert isinstance(value, int)
    return value


def _text(name: str) -> FieldLimit:
    return FieldLimit(text=name)


def _list(entries: str, text: str = "") -> FieldLimit:
    return FieldLimit(entries, text)


_NAME = _text("name_chars")
_ID = _text("key_chars")
_JSON = _text("json_bytes")
_TOKEN = _text("token_bytes")
_REASON = _text("reason_chars")
_LABELS = FieldLimit("labels", "label_chars", "label_chars")
_SUBJECT = _text("subject_bytes")
_NAMES = _list("filter_values", "key_chars")
_STATES = _list("filter_values")
_FRAMES = _list("frames_per_message")
_HELP = _text("forms.max_text_bytes")

FIELD_LIMITS: Mapping[str, Mapping[str, FieldLimit]] = {
    # Jobs.
    "CreateJobRequest": {
        "namespace": _NAME, "request_id": _ID, "job_type": _NAME, "user_id": _ID, "input_json": _JSON,
        "labels": _LABELS,
    },
    "GetJobRequest": {"job_id": _ID},
    "GetOverviewRequest": {"namespace": _NAME},
    "JobFilter": {
        "states": _STATES, "job_types": _NAMES, "user_ids": _NAMES, "labels": _LABELS, "id_suffix": _ID,
        "any_labels": _list("labels"),
    },
    "LabelCondition": {"name": _text("label_chars"), "values": _list("filter_values", "label_chars")},
    "ListJobsRequest": {"namespace": _NAME, "page_token": _TOKEN},
    "WatchJobRequest": {"job_id": _ID},
    "WatchJobsRequest": {"namespace": _NAME, "resume_token": _TOKEN},
    "Job": {
        "job_id": _ID, "namespace": _NAME, "job_type": _NAME, "user_id": _ID, "input_json": _JSON,
        "result_json": _JSON, "labels": _LABELS, "worker_id": _NAME, "request_id": _ID,
        "retried_from_job_id": _ID, "root_job_id": _ID, "cancel_reason": _REASON, "cancelled_by": _ID,
    },
    "Failure": {"code": _NAME, "message": _JSON, "details_json": _JSON},
    "Progress": {"message": _text("progress_bytes")},
    "FieldMask": {"paths": _list("mask_paths", "name_chars")},
    "CancelJobRequest": {"job_id": _ID, "reason": _REASON},
    "RetryJobRequest": {"job_id": _ID, "request_id": _ID},
    "DeleteJobRequest": {"job_id": _ID},
    "GetDeepUnderstandingRequest": {"job_id": _ID},
    "DeepUnderstanding": {
        "job_id": _ID, "questions_asked_json": _JSON, "answers_json": _JSON,
        "research_performed_json": _JSON, "understanding_summary": _JSON, "user_problem": _JSON,
    },
    # Prompts and their forms.
    "PromptContent": {
        "kind": _NAME, "title": _text("title_chars"), "body": _text("content_bytes"),
        "contents": _list("parts"), "schema_json": _text("forms.max_schema_bytes"),
        "derived_schema_json": _text("content_bytes"), "decisions": _list("decisions"), "labels": _LABELS,
        "metadata_json": _JSON, "escalation": _list("escalation_steps"), "group_key": _ID,
    },
    "PromptPart": {
        "content_id": _NAME, "title": _text("title_chars"), "media_type": _NAME,
        "text": _text("content_bytes"), "url": _text("url_bytes"),
    },
    "QuestionForm": {"questions": _list("forms.max_questions")},
    "Question": {
        "question_id": _NAME, "title": _text("forms.max_title_bytes"), "help": _HELP, "rationale": _HELP,
    },
    "SingleInput": {"options": _list("forms.max_options"), "default_value": _HELP},
    "Option": {
        "value": _text("forms.max_value_bytes"), "title": _text("forms.max_title_bytes"),
        "description": _HELP,
    },
    "MultiInput": {
        "options": _list("forms.max_options"),
        "default_values": _list("forms.max_options", "forms.max_value_bytes"),
    },
    "TextInput": {"default_value": _HELP, "pattern": _text("pattern_bytes")},
    "DateInput": {"default_value": _NAME, "minimum": _NAME, "maximum": _NAME},
    "DecisionOption": {"label": _text("forms.max_label_bytes")},
    "Exclusion": {
        "answerers_of": _list("audience", "key_chars"), "users": _list("audience", "key_chars"),
        "groups": _list("audience", "key_chars"),
    },
    "DelegationPolicy": {
        "users": _list("audience", "key_chars"), "groups": _list("audience", "key_chars"),
    },
    "Approval": {"per_group": _list("audience")},
    "GroupApproval": {"group": _ID},
    "Audience": {"users": _list("audience", "key_chars"), "groups": _list("audience", "key_chars")},
    "DefaultAnswer": {"values_json": _JSON, "comment": _text("forms.max_comment_bytes")},
    "Correction": {"key": _ID, "violations": _list("violations")},
    "FieldViolation": {"field": _text("violation_bytes"), "description": _text("violation_bytes")},
    # Workers.
    "WorkRequest": {"frames": _FRAMES},
    "WorkHello": {
        "namespace": _NAME, "worker_id": _NAME, "job_types": _list("job_types", "name_chars"),
        "session_id": _ID, "session_secret": _ID, "held_jobs": _list("held_jobs"),
    },
    "WorkHeldJob": {"job_id": _ID},
    "WorkHeldLeases": {"leases": _list("held_jobs")},
    "ReportProgressRequest": {"job_id": _ID},
    "AskPromptRequest": {
        "job_id": _ID, "key": _ID, "supersedes_keys": _list("open_prompts_per_job", "key_chars"),
    },
    "AcknowledgePromptsRequest": {"job_id": _ID, "prompt_ids": _list("acknowledged", "key_chars")},
    "SaveCheckpointRequest": {"job_id": _ID, "key": _ID, "value_json": _JSON},
    "ListCheckpointsRequest": {"job_id": _ID, "page_token": _TOKEN},
    "CompleteJobRequest": {"job_id": _ID, "result_json": _JSON},
    "FailJobRequest": {"job_id": _ID},
    "ReleaseJobRequest": {"job_id": _ID, "awaited_keys": _list("open_prompts_per_job", "key_chars")},
    "LeaseJobsRequest": {
        "namespace": _NAME, "worker_id": _NAME, "job_types": _list("job_types", "name_chars"),
        "session_id": _ID, "session_secret": _ID,
    },
    "ExtendLeaseRequest": {"session_id": _ID, "session_secret": _ID},
    "AwaitPromptRequest": {"prompt_id": _ID, "job_id": _ID, "key": _ID},
    # Consoles.
    "ConverseRequest": {"frames": _FRAMES},
    "ConverseHello": {"namespace": _NAME, "console_id": _ID, "instance_id": _ID, "resume_token": _TOKEN},
    "PromptFilter": {
        "job_types": _NAMES, "kinds": _NAMES, "labels": _LABELS, "job_id": _ID, "states": _STATES,
        "groups": _NAMES, "id_suffix": _ID, "job_id_suffix": _ID, "answered_by": _ID,
        "any_labels": _list("labels"),
    },
    "ConverseHeartbeat": {"resume_token": _TOKEN},
    "AnswerPromptRequest": {
        "prompt_id": _ID, "job_id": _ID, "key": _ID, "answer_id": _ID, "values_json": _JSON,
        "edits": _list("parts"), "comment": _text("content_bytes"), "shown_digest": _ID,
    },
    "AnswerPromptsRequest": {
        "items": _list("answers_per_call"), "values_json": _JSON, "edits": _list("parts"),
        "comment": _text("content_bytes"), "batch_id": _ID,
    },
    "AnswerPromptsItem": {"prompt_id": _ID, "answer_id": _ID, "shown_digest": _ID},
    "Edit": {"content_id": _NAME, "text": _text("content_bytes")},
    "OverridePromptRequest": {
        "prompt_id": _ID, "job_id": _ID, "key": _ID, "answer_id": _ID, "values_json": _JSON,
        "edits": _list("parts"), "comment": _text("content_bytes"), "shown_digest": _ID,
    },
    "WithdrawAnswerRequest": {"prompt_id": _ID, "job_id": _ID, "key": _ID, "answer_id": _ID},
    "DelegatePromptRequest": {
        "prompt_id": _ID, "job_id": _ID, "key": _ID, "user": _ID, "group": _ID, "comment": _REASON,
    },
    "ReroutePromptRequest": {"prompt_id": _ID, "job_id": _ID, "key": _ID, "reason": _REASON},
    "Escalation": {"steps": _list("escalation_steps")},
    "ClaimPromptRequest": {"prompt_id": _ID},
    "ReleasePromptRequest": {"prompt_id": _ID},
    "CancelPromptRequest": {"prompt_id": _ID, "job_id": _ID, "key": _ID, "reason": _REASON},
    "ListPromptsRequest": {"namespace": _NAME, "page_token": _TOKEN},
    "GetReceiptRequest": {"prompt_id": _ID, "job_id": _ID, "key": _ID},
    "GetPromptRequest": {"prompt_id": _ID, "job_id": _ID, "key": _ID},
    "ListAnswersRequest": {"prompt_id": _ID, "page_token": _TOKEN},
    "WatchPromptsRequest": {"namespace": _NAME, "resume_token": _TOKEN},
    # Access.
    "EndSessionRequest": {"session_id": _NAME},
    "SetPersonRequest": {
        "namespace": _NAME, "subject": _SUBJECT, "display_name": _text("display_name_bytes"),
        "email": _text("email_bytes"), "time_zone": _NAME, "language": _NAME,
    },
    "PersonGroups": {"names": _list("groups_per_person", "key_chars")},
    "ListPeopleRequest": {"namespace": _NAME, "group": _ID, "query": _ID, "page_token": _TOKEN},
    "DeletePersonRequest": {"namespace": _NAME, "subject": _SUBJECT},
    "SetGroupRequest": {"namespace": _NAME, "name": _ID},
    "ListGroupsRequest": {"namespace": _NAME, "page_token": _TOKEN},
    # Rules.
    "CreateRuleRequest": {"namespace": _NAME, "request_id": _ID},
    "UpdateRuleRequest": {"namespace": _NAME, "rule_id": _ID},
    "DeleteRuleRequest": {"namespace": _NAME, "rule_id": _ID},
    "ListRulesRequest": {"namespace": _NAME, "page_token": _TOKEN},
    "PreviewRuleRequest": {"namespace": _NAME},
    "SuggestRulesRequest": {"namespace": _NAME, "prompt_id": _ID},
    "RuleSpec": {
        "name": _text("title_chars"), "reason": _REASON, "unless": _text("rule_source_bytes"),
        "matching": _list("rule_examples"), "not_matching": _list("rule_examples"),
    },
    "RuleMatch": {
        "job_types": _list("rule_names", "name_chars"), "kinds": _list("rule_names", "name_chars"),
        "labels": _LABELS, "expression": _text("rule_source_bytes"),
    },
    "RuleAnswer": {"values_json": _text("rule_source_bytes"), "comment": _REASON},
    "RuleRefusal": {"comment": _REASON},
    "RuleExample": {"job_type": _NAME, "requested_by": _ID, "key": _ID},
    # Policies.
    "SetAbsenceRequest": {
        "namespace": _NAME, "absence_id": _ID, "subject": _SUBJECT, "substitute": _SUBJECT,
        "comment": _REASON,
    },
    "DeleteAbsenceRequest": {"namespace": _NAME, "absence_id": _ID},
    "ListAbsencesRequest": {"namespace": _NAME, "subject": _SUBJECT, "page_token": _TOKEN},
}  # fmt: skip
"""By message and field."""
