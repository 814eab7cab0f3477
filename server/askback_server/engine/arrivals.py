"""Views of consoles that came, and the unattended prompts that they may attend."""

from __future__ import annotations

from collections.abc import Sequence

from askback_server.domain.content import Audience
from askback_server.ports.queries import PromptFilter


class Arrivals:
    """The views that came since the last review, by namespace."""

    def __init__(self) -> None:
        self._views: dict[str, list[PromptFilter]] = {}

    def __bool__(self) -> bool:
        return bool(self._views)

    def add(self, view: PromptFilter) -> None:
        """Note a view of a kind that was not present."""
        self._views.setdefault(view.namespace, []).append(view)

    def pop(self) -> tuple[PromptFilter, Audience]:
        """Remove the views of one namespace. Returns a filter that covers them, and their people."""
        _, views = self._views.popitem()
        return cover(views)


def cover(views: Sequence[PromptFilter]) -> tuple[PromptFilter, Audience]:
    """A filter of unattended prompts that matches what any of the views matches, apart from audiences, and
    the people whose views they are. For a single view it is exact."""
    viewers = [view.viewer for view in views if view.viewer is not None]
    people = Audience(
        frozenset(viewer.subject for viewer in viewers),
        frozenset(group for viewer in viewers for group in viewer.groups),
    )
    first = views[0]
    labels = {k: v for k, v in first.labels.items() if all(view.labels.get(k) == v for view in views)}
    several = {
        name: _union([view.any_labels[name] for view in views])
        for name in first.any_labels
        if all(name in view.any_labels for view in views)
    }
    filter = PromptFilter(
        first.namespace,
        job_types=_union([view.job_types for view in views]),
        kinds=_union([view.kinds for view in views]),
        labels=labels,
        any_labels=several,
        groups=_union([view.groups for view in views]),
        job_id=first.job_id if all(view.job_id == first.job_id for view in views) else "",
        states=(),
        unattended=True,
    )
    return filter, people


def _union(lists: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The values of all lists; none, which stands for any, if one of them is empty."""
    return tuple(sorted({value for values in lists for value in values})) if all(lists) else ()
