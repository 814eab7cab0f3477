"""Verifies the rows of a job against the documents and facts that its events have recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from askback_server.domain.audit_decisions import verify_decisions
from askback_server.domain.audit_delegations import verify_delegations
from askback_server.domain.audit_prompts import has_submission, verify_columns
from askback_server.domain.audit_votes import ASKINGS, verify_votes
from askback_server.domain.chain import ERASED, Document, digest_document, unpack_documents
from askback_server.domain.content import PromptContent
from askback_server.domain.documents import parse_content
from askback_server.domain.events import PROMPT_ENDS, PROMPT_STATES, EventType
from askback_server.domain.routing_documents import audience_to_json
from askback_server.domain.shown_form import shown_digest
from askback_server.domain.stored_jobs import Fault, Notes, StoredEvent, StoredJob, row_of


def verify_rows(stored: StoredJob, job: Mapping[str, Any], notes: Notes) -> Iterator[Fault]:
    """The faults of the rows of a job that is not deleted: `job` is its own."""
    recorded = Recorded.of(stored, notes)
    yield from _verify_prompts(stored, recorded)
    yield from _verify_answers(stored, recorded)
    yield from _verify_approvals(stored, recorded)
    yield from _verify_steps(stored, recorded)
    yield from _verify_row(stored, job, recorded)


@dataclass(slots=True)
class Recorded:
    """What the events say of the rows of a job."""

    documents: dict[tuple[Document, str], tuple[StoredEvent, bytes]] = field(default_factory=dict)
    """By document and its owner (a prompt, a submission, a key): the newest event with its digest."""
    contents: dict[str, PromptContent | None] = field(default_factory=dict)
    """By prompt: its content, if it is the one that was recorded; None if that was erased."""
    history: dict[str, list[StoredEvent]] = field(default_factory=dict)
    """The events of each prompt."""
    asked: dict[str, StoredEvent] = field(default_factory=dict)
    timed: dict[str, StoredEvent] = field(default_factory=dict)
    """The event from which a prompt's time counts: its asking, its last amendment, or a newer rerouting."""
    ended: dict[str, StoredEvent] = field(default_factory=dict)
    submitted: dict[int, StoredEvent] = field(default_factory=dict)
    notes: Notes = field(default_factory=Notes)

    @classmethod
    def of(cls, stored: StoredJob, notes: Notes) -> Recorded:
        """What the events of a job say."""
        found = cls(notes=notes)
        for each in stored.events:
            found._add(each)
        for row in stored.prompts:
            prompt_id, text = row["interaction_id"], row["prompt_data"]
            asked = found.asked.get(prompt_id)
            if asked is None:
                continue
            if found.agrees(Document.CONTENT, prompt_id, text, linked=asked.hash is not None):
                found.contents[prompt_id] = parse_content(text) if text != ERASED else None
        return found

    def _add(self, each: StoredEvent) -> None:
        event, data = each.event, each.event.data or {}
        prompt_id = event.prompt_id or ""
        if prompt_id:
            self.history.setdefault(prompt_id, []).append(each)
        if event.type in ASKINGS:
            self.timed[prompt_id] = each
            if event.type is EventType.PROMPT_ASKED:
                self.asked[prompt_id] = each
        elif event.type is EventType.PROMPT_REROUTED and "timeout_s" in data:
            self.timed[prompt_id] = each
        elif event.type in PROMPT_ENDS:
            self.ended[prompt_id] = each
        if has_submission(event):
            self.submitted[event.seq] = each
        for document, digest in unpack_documents(each.documents).items():
            owner = {Document.ANSWER: str(event.seq), Document.CHECKPOINT: str(data.get("key"))}
            if document in (Document.CONTENT, Document.RESOLUTION):
                owner[document] = prompt_id
            self.documents[document, owner.get(document, "")] = each, digest

    def agrees(self, document: Document, owner: str, text: str | None, *, linked: bool = True) -> bool:
        """Whether a stored text is the one that the events recorded, or was erased as they say.

        Of a row that was there before the chain (not `linked`) no digest need be known.
        """
        known = self.documents.get((document, owner))
        if known is None:
            return not linked or not text
        each, digest = known
        if each.document_salt is None:
            self.notes.erased_documents += 1
            return text in (None, "", ERASED)
        return text is not None and digest_document(each.document_salt, text) == digest


def _verify_prompts(stored: StoredJob, recorded: Recorded) -> Iterator[Fault]:
    rows = {row["interaction_id"]: row for row in stored.prompts}
    for prompt_id, asked in recorded.asked.items():
        row = rows.get(prompt_id)
        if row is None:
            if not stored.is_being_deleted:
                problem = f"the row is missing: {row_of(asked.event)} asked it"
                yield Fault("hitl_interactions", prompt_id, problem)
            continue
        if prompt_id not in recorded.contents:
            yield Fault("hitl_interactions", prompt_id, "its content is not the one that was recorded")
        elif derived := _derived_fault(row, recorded.contents[prompt_id], asked, recorded.timed[prompt_id]):
            yield Fault("hitl_interactions", prompt_id, derived)
        created = stored.events[0].event.data or {}
        for problem in verify_columns(row, recorded.history[prompt_id], created):
            yield Fault("hitl_interactions", prompt_id, problem)
        ended = recorded.ended.get(prompt_id)
        state = PROMPT_STATES[ended.event.type] if ended is not None else "PENDING"
        if row["status"] != state:
            yield Fault("hitl_interactions", prompt_id, f"it is {row['status']}, and its events say {state}")
        ended_linked = ended is None or ended.hash is not None
        if not recorded.agrees(Document.RESOLUTION, prompt_id, row["response_data"], linked=ended_linked):
            yield Fault("hitl_interactions", prompt_id, "its resolution is not the one that was recorded")
    for prompt_id in rows.keys() - recorded.asked.keys():
        yield Fault("hitl_interactions", prompt_id, "no event says that it was asked")


def _derived_fault(
    row: Mapping[str, Any], content: PromptContent | None, asked: StoredEvent, timed: StoredEvent
) -> str:
    """What is wrong with the columns that follow from content and events; empty if they agree."""
    event = asked.event
    if row["namespace"] != event.namespace:
        return f"it is in the namespace {row['namespace']}, and was asked in {event.namespace}"
    if asked.erased is None and row["key"] != (event.data or {}).get("key"):
        return "its key is not the one under which it was asked"
    if content is None:
        return ""
    wanted = {
        "interaction_type": content.kind,
        "digest": content.digest,
        "metadata": content.metadata_json or None,
        "priority": content.priority,
        "blocking": content.blocking,
    }
    for name, value in wanted.items():
        if (bool(row[name]) if name == "blocking" else row[name]) != value:
            return f"its {name} is not that of its content"
    if json.loads(row["audience"] or "null") != json.loads(audience_to_json(content) or "null"):
        return "its audience is not that of its content"
    if json.loads(row["labels"]) != dict(content.labels):
        return "its labels are not those of its content"
    expires = timed.event.at + content.timeout if content.timeout is not None else None
    if row["timeout_at"] != expires:
        return "its deadline is not that of its content"
    revision, _, digest = (row["shown_digest"] or "").partition(":")
    if revision == str(row["revision"]) and digest != shown_digest(content):
        return "its digest of what was shown is not that of its content"
    return ""


def _verify_approvals(stored: StoredJob, recorded: Recorded) -> Iterator[Fault]:
    """The faults of votes, and of decisions that the recorded content does not allow."""
    answers: dict[str, dict[str, str]] = {}
    created = stored.events[0].event.data or {}
    asking = {*created.get("requesters", ()), created["user_id"]} if "user_id" in created else frozenset()
    for row in stored.answers:
        answers.setdefault(row["interaction_id"], {})[row["answer_id"]] = row["answer"]
    for row in stored.prompts:
        prompt_id = row["interaction_id"]
        history, content = recorded.history.get(prompt_id, []), recorded.contents.get(prompt_id)
        for problem in verify_votes(row["votes"], history, answers.get(prompt_id, {})):
            yield Fault("hitl_interactions", prompt_id, problem)
        problems = [*verify_delegations(history, content)]
        if content is not None:
            problems += verify_decisions(history, content)
        for seq, problem in problems:
            yield Fault("job_events", f"{stored.job_id}, seq {seq}", problem)
        exclusion = content.exclusion if content is not None else None
        if exclusion is not None and exclusion.requester and not exclusion.users >= asking:
            yield Fault("hitl_interactions", prompt_id, "its exclusion does not name who asked")


def _verify_answers(stored: StoredJob, recorded: Recorded) -> Iterator[Fault]:
    resolutions = {row["interaction_id"]: row["response_data"] or "" for row in stored.prompts}
    left = dict(recorded.submitted)
    for row in sorted(stored.answers, key=lambda row: int(row["seq"])):
        key = f"{row['interaction_id']}, {row['answer_id']}"
        each = left.pop(row["seq"], None)
        if each is None:
            yield Fault("hitl_answers", key, f"no event with seq {row['seq']} records it")
            continue
        if each.hash is None:
            continue
        event, data = each.event, each.event.data or {}
        verdict = "ACCEPTED" if event.type is EventType.PROMPT_ANSWERED else data.get("status", row["status"])
        named = data.get("answer_id", row["answer_id"])  # of an erased event neither is known
        found = row["interaction_id"], row["answer_id"], row["status"]
        if found != (event.prompt_id, named, verdict):
            yield Fault("hitl_answers", key, f"event {event.seq} records another answer or verdict")
        elif verdict != "ACCEPTED":
            if not recorded.agrees(Document.ANSWER, str(event.seq), row["answer"]):
                yield Fault("hitl_answers", key, "it is not the answer that was recorded")
        elif not _is_of(resolutions.get(row["interaction_id"], ""), row["answer"]):
            yield Fault("hitl_answers", key, "it is not the answer of its prompt's resolution")
    for each in left.values() if not stored.is_being_deleted else ():
        if each.hash is not None and each.erased is None:
            yield Fault(
                "hitl_answers", str(each.event.prompt_id), f"the row of {row_of(each.event)} is missing"
            )


_OWN_KEYS = {"state", "actor", "reason", "resolved_at"}
"""The keys that a resolution has in addition to those of its answer, which comes first."""


def _is_of(resolution: str, answer: str) -> bool:
    """Whether an answer is that of a resolution: the whole of its first part, or both are erased."""
    if resolution == answer == ERASED:
        return True
    if not resolution.startswith(answer[:-1] + ","):
        return False
    try:
        return set(json.loads("{" + resolution[len(answer) :])) == _OWN_KEYS
    except ValueError:
        return False


def _verify_steps(stored: StoredJob, recorded: Recorded) -> Iterator[Fault]:
    rows = {row["key"]: row["value"] for row in stored.checkpoints}
    saved = {owner for document, owner in recorded.documents if document is Document.CHECKPOINT}
    for key in sorted(saved):
        if key not in rows and stored.is_being_deleted:
            continue
        if not recorded.agrees(Document.CHECKPOINT, key, rows.get(key)):
            problem = "it is not the value that was recorded" if key in rows else "the row is missing"
            yield Fault("job_checkpoints", f"{stored.job_id}, {key}", problem)


def _verify_row(stored: StoredJob, job: Mapping[str, Any], recorded: Recorded) -> Iterator[Fault]:
    last = stored.events[-1]
    if job["namespace"] != last.event.namespace:
        where = f"{job['namespace']}, and its events are in {last.event.namespace}"
        yield Fault("jobs", stored.job_id, f"it is in the namespace {where}")
    if job["version"] != last.event.seq:
        yield Fault(
            "jobs", stored.job_id, f"its version is {job['version']}, its newest event {last.event.seq}"
        )
    elif job["chain"] != last.hash:
        yield Fault("jobs", stored.job_id, "its chain is not the hash of its newest event")
    yield from _verify_requester(stored, job)
    if job["status"] != last.event.state:
        yield Fault("jobs", stored.job_id, f"it is {job['status']}, its newest event says {last.event.state}")
    if stored.events[0].hash is not None and not recorded.agrees(Document.INPUT, "", job["input"]):
        yield Fault("jobs", stored.job_id, "its input is not the one that was recorded")
    if last.hash is not None and not recorded.agrees(Document.RESULT, "", job["result"]):
        yield Fault("jobs", stored.job_id, "its result is not the one that was recorded")


def _verify_requester(stored: StoredJob, job: Mapping[str, Any]) -> Iterator[Fault]:
    """The faults of the columns that say who asked for a job."""
    created = stored.events[0].event.data or {}
    if "user_id" not in created:
        return  # it was erased, or an older version created the job
    requesters = json.loads(job["requesters"] or "[]")
    if (job["user_id"], requesters) != (created["user_id"], created.get("requesters", [])):
        yield Fault("jobs", stored.job_id, "it is not of the user and requesters that were recorded")
