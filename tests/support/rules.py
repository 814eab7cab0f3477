"""Questions and rules for tests."""

from __future__ import annotations

from typing import Any

from askback_server.domain.checks import normalise
from askback_server.domain.content import PromptContent
from askback_server.domain.limits import Limits


def question(**fields: Any) -> PromptContent:
    """A normalised content; of the kind `confirm` unless another is given."""
    return normalise(PromptContent(**{"kind": "confirm", "title": "Deploy?"} | fields), Limits(), None)
