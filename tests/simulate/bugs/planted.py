"""What a planted bug is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Bug:
    """A function that installs the bug, and part of the expected verdict."""

    plant: Callable[[Patch], None]
    verdict: str
