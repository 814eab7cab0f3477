"""What the sessions of this replica want to know about the commits of others.

A view is counted by its filter. Equal filters of different people share one entry, which also counts the
people and their groups, so a decision does not depend on how many consoles are connected.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from askback_server.domain.principals import Principal
from askback_server.ports.announcements import EVERYONE, AnnouncedPrompt, Announcement, mark
from askback_server.ports.queries import JobFilter, PromptFilter

_Key = TypeVar("_Key", bound=Hashable)

_SEES_ALL = ""
"""Counted instead of marks for a viewer that no audience excludes."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """A filter of prompts without its viewer."""

    job_types: frozenset[str]
    wanted: tuple[frozenset[str], ...]
    """A prompt needs a mark of each set."""

    def may_match(self, prompt: AnnouncedPrompt) -> bool:
        marks = prompt.marks
        return marks is None or not any(wanted.isdisjoint(marks) for wanted in self.wanted)


class Interests:
    """The filters of the views and watchers connected to this replica."""

    def __init__(self) -> None:
        self._prompts: dict[tuple[str, str], dict[_Shape, Counter[str]]] = {}
        """By namespace and job id, empty for all jobs: the viewers' marks of each shape."""
        self._jobs: dict[str, Counter[frozenset[str]]] = {}
        """By namespace: sets of job types, empty for all."""

    def __bool__(self) -> bool:
        return bool(self._prompts or self._jobs)

    def add_view(self, filter: PromptFilter) -> Callable[[], None]:
        """Count a view. Returns a function that ends that."""
        shapes, shape = self._prompts.setdefault((filter.namespace, filter.job_id), {}), _shape_of(filter)
        viewers = shapes.get(shape)
        if viewers is None:
            viewers = shapes[shape] = Counter()
        for each in _viewer_marks(filter.viewer):  # `Counter.update` is slow for few
            viewers[each] += 1
        return partial(self._discard_view, filter)

    def _discard_view(self, filter: PromptFilter) -> None:
        key, shape = (filter.namespace, filter.job_id), _shape_of(filter)
        shapes = self._prompts[key]
        _subtract(shapes[shape], _viewer_marks(filter.viewer))
        if not shapes[shape]:
            del shapes[shape]
        if not shapes:
            del self._prompts[key]

    def add_watcher(self, filter: JobFilter) -> Callable[[], None]:
        """Count a watcher of jobs. Returns a function that ends that."""
        types = frozenset(filter.job_types)
        self._jobs.setdefault(filter.namespace, Counter())[types] += 1

        def discard() -> None:
            _subtract(self._jobs[filter.namespace], (types,))
            if not self._jobs[filter.namespace]:
                del self._jobs[filter.namespace]

        return discard

    def wants_job(self, announced: Announcement) -> bool:
        """Whether a watcher may show the job."""
        shown = self._jobs.get(announced.namespace)
        job_type = announced.job_type
        return shown is not None and any(not types or not job_type or job_type in types for types in shown)

    def wanted_prompts(self, announced: Announcement) -> list[str]:
        """The ids of the changed prompts that a view may show, or may have shown."""
        namespace, job_type = announced.namespace, announced.job_type
        if not announced.prompts:
            return []
        views = [
            (shape, viewers)
            for job_id in ("", announced.job_id)
            for shape, viewers in self._prompts.get((namespace, job_id), {}).items()
            if not shape.job_types or not job_type or job_type in shape.job_types
        ]
        return [
            prompt.prompt_id
            for prompt in announced.prompts
            if not prompt.silent
            and any(shape.may_match(prompt) and _can_see(viewers, prompt) for shape, viewers in views)
        ]


def _shape_of(filter: PromptFilter) -> _Shape:
    wanted = [frozenset(mark("kind", kind) for kind in filter.kinds)] if filter.kinds else []
    wanted += [frozenset({mark("label", f"{name}={value}")}) for name, value in filter.labels.items()]
    for name, values in filter.any_labels.items():
        wanted.append(frozenset(mark("label", f"{name}={value}") for value in values))
    if filter.groups:
        wanted.append(frozenset(mark("group", group) for group in filter.groups))
    return _Shape(frozenset(filter.job_types), tuple(wanted))


def _viewer_marks(viewer: Principal | None) -> frozenset[str]:
    if viewer is None or viewer.is_admin:
        return frozenset({_SEES_ALL})
    groups = (mark("group", group) for group in viewer.groups)
    return frozenset({EVERYONE, mark("user", viewer.subject), *groups})


def _can_see(viewers: Counter[str], prompt: AnnouncedPrompt) -> bool:
    return prompt.marks is None or _SEES_ALL in viewers or any(m in viewers for m in prompt.marks)


def _subtract(counts: Counter[_Key], keys: Iterable[_Key]) -> None:
    for key in keys:
        counts[key] -= 1
        if not counts[key]:
            del counts[key]
