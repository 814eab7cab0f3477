"""The entry point of the rules: (aggregate, command, facts) -> a reply and a change, or an error.

Rules are pure functions, and no other code decides what may happen to a job.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from askback_server.domain import (
    asking_rules,
    delegation_rules,
    deletion_rules,
    due,
    job_rules,
    lost_leases,
    presence,
    prompt_rules,
    rerouting_rules,
    voting_rules,
    worker_rules,
)
from askback_server.domain import commands as c
from askback_server.domain import routing_commands as r
from askback_server.domain import vote_commands as v
from askback_server.domain.aggregate import Aggregate, Facts, RuleResult

Rule = Callable[[Aggregate, Any, Facts], RuleResult[Any]]
"""Takes one class of command and decides the reply that the class declares. Python cannot relate a
dictionary's key to its value, hence `Any`: tests/unit/test_apply.py compares their annotations."""

RULES: dict[type[c.Command[object]], Rule] = {
    c.CreateJob: job_rules.create_job,
    c.UpdateJob: job_rules.update_job,
    c.CancelJob: job_rules.cancel_job,
    c.DeleteJob: deletion_rules.delete_job,
    c.PurgeJob: deletion_rules.purge_job,
    c.UpdateUnderstanding: job_rules.update_understanding,
    c.RunDue: job_rules.run_due,
    c.EndGrace: job_rules.end_grace,
    c.ReviewPresence: presence.review_presence,
    c.LoseSession: lost_leases.lose_session,
    c.DropLease: lost_leases.drop_lease,
    c.LeaseJob: worker_rules.lease_job,
    c.ReportProgress: worker_rules.report_progress,
    c.AskPrompt: asking_rules.ask_prompt,
    c.AcknowledgePrompts: worker_rules.acknowledge_prompts,
    c.SaveCheckpoint: worker_rules.save_checkpoint,
    c.CompleteJob: worker_rules.complete_job,
    c.FailJob: worker_rules.fail_job,
    c.ReleaseJob: worker_rules.release_job,
    c.AnswerPrompt: prompt_rules.answer_prompt,
    v.OverridePrompt: prompt_rules.override_prompt,
    v.WithdrawAnswer: voting_rules.withdraw_answer,
    c.ClaimPrompt: prompt_rules.claim_prompt,
    c.ReleasePrompt: prompt_rules.release_prompt,
    c.CancelPrompt: prompt_rules.cancel_prompt,
    r.DelegatePrompt: delegation_rules.delegate_prompt,
    r.ReturnPrompt: delegation_rules.return_prompt,
    r.ReroutePrompt: rerouting_rules.reroute_prompt,
    r.ReviewAbsences: due.review_absences,
}


def apply(aggregate: Aggregate, command: c.Command[c.R], facts: Facts) -> RuleResult[c.R]:
    """Decide a command.

    Raises a subclass of AskbackError if the command is refused, and Unjudged if an answer's values must be
    validated outside the event loop first.
    """
    return RULES[type(command)](aggregate, command, facts)
