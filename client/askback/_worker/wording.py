"""Describes how a question differs from the one that was answered under the same key."""

from __future__ import annotations

from askback.errors import AlreadyExists, QuestionChanged
from askback.v1 import prompt_pb2 as pb

_MAX_SHOWN_CHARS = 300
"""Maximum number of characters of a wording in an error."""


def question_changed(
    key: str, asked: pb.PromptContent, known: pb.Prompt | None, error: AlreadyExists
) -> QuestionChanged:
    """The error for a key whose closed prompt has other content, with both wordings.

    `known` is None if the lease did not contain the prompt: then the message is the server's.
    """
    found = changes(asked, known.content) if known is not None else []
    state = error.metadata.get("state", "closed")
    message = (
        f"the question {key!r} is {state} already, and was another one: {'; '.join(found)}. Keep the old "
        "wording, ask under another key, or say `same=True` if the old answer is good for the new wording"
    )
    return QuestionChanged(
        message if found else error.message,
        key=key,
        changes=found,
        reason=error.reason,
        metadata=error.metadata,
    )


def changes(asked: pb.PromptContent, known: pb.PromptContent) -> list[str]:
    """Describe each part that differs: the wording that people saw, and the present one."""
    found = [
        f"{name} was {_format(old)}, is {_format(new)}"
        for name, old, new in (
            ("the title", known.title, asked.title),
            ("the kind", known.kind, asked.kind),
            ("the body", known.body, asked.body),
            ("the form", _form_text(known), _form_text(asked)),
            ("the decisions", _options_text(known), _options_text(asked) or _options_text(known)),
        )
        if old != new
    ]
    before = {part.content_id: part for part in known.contents}
    after = {part.content_id: part for part in asked.contents}
    for name in dict.fromkeys((*before, *after)):
        old_part, new_part = before.get(name), after.get(name)
        if old_part is None or new_part is None:
            found.append(f"the content {name!r} {'is new' if old_part is None else 'is gone'}")
        elif old_part != new_part:
            old_text, new_text = (part.text or part.url for part in (old_part, new_part))
            if old_text != new_text:
                found.append(f"the content {name!r} was {_format(old_text)}, is {_format(new_text)}")
            else:
                found.append(f"the content {name!r} has another title, media type or editability")
    if not found and list(before) != list(after):
        found.append("the contents have another order")
    return found


def _form_text(content: pb.PromptContent) -> str:
    if content.schema_json:
        return content.schema_json
    return "; ".join(f"{q.question_id}: {q.title}" for q in content.questions.questions)


def _options_text(content: pb.PromptContent) -> str:
    return ", ".join(
        f"{pb.Decision.Name(option.decision).removeprefix('DECISION_')} {option.label}".strip()
        for option in content.decisions
    )


def _format(text: str) -> str:
    return repr(text if len(text) <= _MAX_SHOWN_CHARS else f"{text[:_MAX_SHOWN_CHARS]}…")
