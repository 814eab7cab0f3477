"""What a test needs from the machine: without it the test is skipped, or fails where it is required."""

import os
from typing import NoReturn

import pytest


def absent(name: str, reason: str) -> NoReturn:
    """End the test, because what `ASKBACK_REQUIRE` calls `name` is not there: skipped, or failed if the
    variable, a list with commas, contains the name."""
    if name in os.environ.get("ASKBACK_REQUIRE", "").split(","):
        pytest.fail(f"ASKBACK_REQUIRE wants {name}: {reason}", pytrace=False)
    pytest.skip(reason)
