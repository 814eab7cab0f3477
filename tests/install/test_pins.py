"""The pinned versions of the image: each has a wheel for every platform."""

import sys
from pathlib import Path

import pytest

from tests.install.wheelhouse import run
from tests.support.processes import ROOT

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize("lock", ["server", "build"])
@pytest.mark.parametrize(
    ("python", "machine"), [("3.11", "x86_64"), ("3.12", "aarch64"), ("3.13", "x86_64"), ("3.13", "aarch64")]
)
def test_every_pinned_version_has_a_wheel_for_each_platform(
    lock: str, python: str, machine: str, tmp_path: Path
) -> None:
    """Names, versions and hashes are those of the index, and nothing has to be compiled."""
    platforms = [f"manylinux_2_28_{machine}", f"manylinux_2_17_{machine}", f"manylinux2014_{machine}"]
    run(
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--dry-run",
        "--ignore-installed",
        "--no-deps",
        "--target",
        str(tmp_path),
        "--only-binary",
        ":all:",
        "--implementation",
        "cp",
        "--python-version",
        python,
        *(word for name in platforms for word in ("--platform", name)),
        "--require-hashes",
        "--requirement",
        str(ROOT / "requirements" / f"{lock}.lock"),
    )
