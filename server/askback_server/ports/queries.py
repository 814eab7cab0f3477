"""Filters and pages of lists of jobs and prompts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from askback_server.domain.jobs import Job, JobState
from askback_server.domain.principals import Principal
from askback_server.domain.prompts import Prompt, PromptState


def labels_match(
    labels: Mapping[str, str], each: Mapping[str, str], several: Mapping[str, tuple[str, ...]]
) -> bool:
    """Whether labels have each value of `each`, and one of the values for each name in `several`."""
    # Without conditions, as mostly, no generators: this runs for each view of each changed prompt.
    return (not each or all(labels.get(k) == v for k, v in each.items())) and (
        not several or all(labels.get(k) in values for k, values in several.items())
    )


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Conditions on jobs. Different fields must all match; values of one field are alternatives."""

    namespace: str
    states: tuple[JobState, ...] = ()
    job_types: tuple[str, ...] = ()
    user_ids: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    created_after: datetime | None = None
    created_before: datetime | None = None
    id_suffix: str = ""
    """The end of the job's id; see `is_suffix`."""
    any_labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Labels that have one of several values; besides `labels`."""

    def matches(self, job: Job) -> bool:
        """Whether a job matches, regardless of its state."""
        return (
            job.namespace == self.namespace
            and (not self.job_types or job.job_type in self.job_types)
            and (not self.user_ids or job.user_id in self.user_ids)
            and labels_match(job.labels, self.labels, self.any_labels)
            and (self.created_after is None or job.created_at >= self.created_after)
            and (self.created_before is None or job.created_at < self.created_before)
            and job.job_id.endswith(self.id_suffix)
        )

    def lists(self, job: Job) -> bool:
        """Whether a job matches, in its state."""
        return (not self.states or job.state in self.states) and self.matches(job)


class PromptOrder(StrEnum):
    """The order of a list of prompts."""

    URGENCY = "URGENCY"
    """By priority, deadline and age."""
    CLOSE_TIME = "CLOSE_TIME"
    """Closed prompts only, the latest end first."""


@dataclass(frozen=True, slots=True)
class PromptFilter:
    """Conditions on prompts. `viewer` limits them to those that a console of this principal may see.

    `viewer` None is for the side that asked: every prompt of `job_id`.
    """

    namespace: str
    viewer: Principal | None = None
    job_types: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    job_id: str = ""
    states: tuple[PromptState, ...] = (PromptState.PENDING,)
    unattended: bool = False
    """Only prompts without a present reviewer; for lists, not for views."""
    id_suffix: str = ""
    """The end of the prompt's id; for lists, not for views."""
    job_id_suffix: str = ""
    """The end of the job's id; for lists, not for views."""
    person: str = ""
    """Only prompts that this subject has claimed, or that name it in their audience; for lists, not for
    views."""
    overdue: bool = False
    """Only prompts that have escalated, or whose deadline has passed; for lists, not for views."""
    any_labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Labels that have one of several values; besides `labels`."""
    answered_by: str = ""
    """Only prompts whose accepted answer is from this subject; for lists, not for views."""
    expires_before: datetime | None = None
    """Only open prompts whose deadline is before; for lists, not for views."""
    order: PromptOrder = PromptOrder.URGENCY
    """For lists, not for views."""

    @property
    def is_history(self) -> bool:
        """Whether the list is as long as the history of the namespace: closed prompts, not of one job, of an
        id, or of one person's answers."""
        return self.order is PromptOrder.CLOSE_TIME and not (self.is_narrow or self.answered_by)

    @property
    def is_narrow(self) -> bool:
        """Whether few prompts match, which are found without reading the list in its order."""
        return bool(self.job_id or self.id_suffix or self.job_id_suffix or self.expires_before)

    def for_principal(self, principal: Principal) -> PromptFilter:
        """The same filter after the principal's access has changed. Raises PermissionDenied if the principal
        may not use the namespace any more."""
        principal.namespace(self.namespace)
        return replace(self, viewer=None if self.viewer is None else principal)

    def concerns(self, prompt: Prompt) -> bool:
        """Whether prompts of the prompt's job can match at all; this never changes for a job."""
        return (
            prompt.namespace == self.namespace
            and (not self.job_id or prompt.job_id == self.job_id)
            and (not self.job_types or prompt.job_type in self.job_types)
        )

    def matches(self, prompt: Prompt) -> bool:
        """Whether a prompt matches, regardless of its state."""
        content = prompt.content
        return (
            prompt.namespace == self.namespace
            and (not self.job_id or prompt.job_id == self.job_id)
            and (not self.job_types or prompt.job_type in self.job_types)
            and (not self.kinds or content.kind in self.kinds)
            and labels_match(content.labels, self.labels, self.any_labels)
            and (not self.groups or not content.reach.groups.isdisjoint(self.groups))
            and (self.viewer is None or prompt.is_for(self.viewer))
        )

    def lists(self, prompt: Prompt) -> bool:
        """Whether a prompt matches, in its state. The conditions that are not for views count as met."""
        return (not self.states or prompt.state in self.states) and self.matches(prompt)


@dataclass(frozen=True, slots=True)
class JobsPage:
    """A page of jobs, newest first. `next` is the id to continue after, None at the end."""

    jobs: tuple[Job, ...]
    next: str | None


PromptPosition = tuple[int, str | None, str] | tuple[str, str]
"""The position of a prompt in a list: priority, deadline, id; or the time of its end, id."""


@dataclass(frozen=True, slots=True)
class PromptsPage:
    """A page of prompts in the order of the list. `next` is the position to continue after, None at the
    end. Of a history a page may be short, or empty, although more follow."""

    prompts: tuple[Prompt, ...]
    next: PromptPosition | None
