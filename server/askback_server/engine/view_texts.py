"""The views of consoles as texts, in which replicas exchange them."""

from __future__ import annotations

import json
from dataclasses import replace

from askback_server.domain.principals import Principal, Role
from askback_server.ports.queries import PromptFilter

_CONSOLE = frozenset({Role.CONSOLE})
"""One object for the views of all consoles."""


def encode_view(view: PromptFilter) -> str:
    """A view as text; equal views have equal texts."""
    viewer = view.viewer
    assert viewer is not None
    return json.dumps(
        [
            view.namespace,
            viewer.subject,
            sorted(viewer.groups),
            sorted(view.job_types),
            sorted(view.kinds),
            _label_pairs(view),
            sorted(view.groups),
            view.job_id,
        ]
    )


def decode_view(text: str) -> PromptFilter:
    """Parse the text of a view."""
    namespace, subject, groups, job_types, kinds, labels, asked, job_id = json.loads(text)
    viewer = Principal(subject, groups=frozenset(groups))
    each = {name: value for name, value in labels if isinstance(value, str)}
    several = {name: tuple(values) for name, values in labels if not isinstance(values, str)}
    return of_reviewer(
        PromptFilter(
            namespace, viewer, tuple(job_types), tuple(kinds), each, tuple(asked), job_id, any_labels=several
        )
    )


def of_reviewer(view: PromptFilter) -> PromptFilter:
    """A view with a viewer who has only the role CONSOLE: no other role may answer."""
    viewer = view.viewer
    assert viewer is not None
    return replace(view, viewer=Principal(viewer.subject, _CONSOLE, (view.namespace,), viewer.groups))


def _label_pairs(view: PromptFilter) -> list[tuple[str, str | list[str]]]:
    """The labels of a view: a string where one value is wanted, a list where one of several is.

    Both are in one list, so that a replica of the previous version can read the text too.
    """
    several = sorted((name, sorted(values)) for name, values in view.any_labels.items())
    return [*sorted(view.labels.items()), *several]
