"""The page's unit tests, which client/web has in TypeScript, run by node."""

import subprocess

import pytest

from tests.support.page_packages import page_source


# Node builds and runs hundreds of tests, some with thousands of random cases.
@pytest.mark.timeout(600)
def test_the_units_of_the_page() -> None:
    done = subprocess.run(
        ["node", "build.mjs", "--test"], cwd=page_source(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr[-10_000:]
    assert "# fail 0" in done.stdout
