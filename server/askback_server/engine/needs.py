"""Which parts of an aggregate a command needs, and whether an aggregate has them."""

from __future__ import annotations

from askback_server.domain import commands as c
from askback_server.domain.aggregate import Aggregate
from askback_server.domain.commands import PromptRef
from askback_server.domain.vote_commands import WithdrawAnswer
from askback_server.ports.storage import Wanted


def add_needs(wanted: Wanted, command: c.Command[object], prompt_id: str = "") -> None:
    """Add what a command needs; `prompt_id` is that of a command on a prompt."""
    if not isinstance(command, c.PurgeJob):
        wanted.is_head, wanted.head = False, None
    elif wanted.is_head:
        wanted.head = command.head
    if isinstance(command, c.AskPrompt):
        wanted.keys.add(command.key)
        wanted.keys.update(command.supersedes)
        if command.content.exclusion is not None:
            wanted.keys.update(command.content.exclusion.answerers_of)
    elif isinstance(command, c.AcknowledgePrompts):
        wanted.prompt_ids.update(command.prompt_ids)
    elif prompt_id:
        wanted.prompt_ids.add(prompt_id)
        if isinstance(command, c.AnswerPrompt | WithdrawAnswer):
            wanted.submissions.add((prompt_id, command.answer_id))


def covers(aggregate: Aggregate, wanted: Wanted) -> bool:
    """Whether the aggregate has everything wanted, or shows that it does not exist."""
    job = aggregate.job
    if job is None:
        return False
    state = aggregate.understanding
    if job.understanding_version and (state is None or state.version != job.understanding_version):
        return False
    if job.carried_answers and any(
        aggregate.find(PromptRef(job_id=job.job_id, key=key)) is None and key not in aggregate.carried
        for key in wanted.keys
    ):
        return False
    if not aggregate.knows_all_prompts:
        if any(prompt_id not in aggregate.prompts for prompt_id in wanted.prompt_ids):
            return False
        if any(aggregate.find(PromptRef(job_id=job.job_id, key=key)) is None for key in wanted.keys):
            return False
    for prompt_id, answer_id in wanted.submissions:
        if (prompt_id, answer_id) in aggregate.submissions:
            continue
        prompt = aggregate.prompts.get(prompt_id)
        if prompt is not None and not aggregate.knows_all_submissions(prompt):
            return False
    return True
