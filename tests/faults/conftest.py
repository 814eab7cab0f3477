"""Fixtures for the tests of the fault injection itself."""

import pytest

from tests.support.postgres_binaries import PostgresUnavailable, find_binaries
from tests.support.requirements import absent


@pytest.fixture(scope="session")
def postgres_programs() -> None:
    """PostgreSQL's programs, which the cluster starts itself; without them the test is skipped, or fails."""
    try:
        find_binaries("auto")
    except PostgresUnavailable as reason:
        absent("postgres", str(reason))
