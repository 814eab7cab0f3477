"""Skip a test that needs a program this machine lacks, or fail it where the program is required."""

import os
from typing import NoReturn

import pytest


def absent(name: str, reason: str) -> NoReturn:
    """Skip the test because `name` is missing; fail it if `ASKBACK_REQUIRE` (comma-separated) lists it."""
    if name in os.environ.get("ASKBACK_REQUIRE", "").split(","):
        pytest.fail(f"ASKBACK_REQUIRE wants {name}: {reason}", pytrace=False)
    pytest.skip(reason)
