"""The packages of the page's source, which its builds and its tests need."""

from pathlib import Path

from scripts.web_build import SOURCE, install_packages, missing_programs
from tests.support.requirements import absent


def page_source() -> Path:
    """client/web with its packages installed. Skips the test where Node or npm is missing."""
    if missing := missing_programs():
        absent("node", f"{' and '.join(missing)} not installed")
    install_packages()
    return SOURCE
