"""What is in the wheel and in the sdist, and what they say of themselves."""

import tarfile
import zipfile
from email.parser import Parser

import pytest

from tests.install.wheelhouse import EXTRAS, Wheelhouse
from tests.support.processes import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
NEEDED = (
    "askback/py.typed",
    "askback/service_config.json",
    "askback/v1/job_service_pb2.py",
    "askback/v1/job_service_pb2.pyi",
    "askback/v1/job_service_pb2_grpc.py",
    "askback_server/py.typed",
    "askback_server/storage/migrations/env.py",
    "askback_server/storage/migrations/versions/v0001_initial.py",
)


@pytest.fixture(scope="module")
def names(wheelhouse: Wheelhouse) -> set[str]:
    """The wheel's files."""
    return set(zipfile.ZipFile(wheelhouse.wheel).namelist())


def test_the_wheel_has_what_it_runs_by(names: set[str]) -> None:
    """Both packages, their types, the service config, every migration."""
    assert names >= set(NEEDED)
    for package, folder in (("askback", "client"), ("askback_server", "server")):
        files = (ROOT / folder / package).rglob("*")
        source = {path.relative_to(ROOT / folder).as_posix() for path in files if path.suffix == ".py"}
        assert source <= names


def test_the_wheel_has_nothing_else(names: set[str]) -> None:
    """No tests, no scripts, no caches, nothing at the top that is not a package of ours."""
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"askback", "askback_server"}
    # Only what is for people's own tests may say test in its name.
    ours = ("askback/testing/", "askback_server/in_process.py")
    assert not [name for name in names if "/test" in name and not name.startswith(ours)]
    assert not [name for name in names if name.endswith((".pyc", ".db"))]
    assert {name.rpartition("/")[2] for name in names if name.endswith(".toml")} == {"story.toml"}


def test_the_sdist_builds_and_tests(wheelhouse: Wheelhouse) -> None:
    """The wheel was built from it; it has the contract, the tests, and what the tests read, too."""
    with tarfile.open(wheelhouse.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names >= {
        "protos/askback/v1/job.proto",
        "tests/conftest.py",
        "LICENSE",
        "Makefile",
        "Dockerfile",
        "requirements/server.lock",
        "deploy/kubernetes/base/deployment.yaml",
    }
    assert not [
        name for name in names if name.startswith((".venv", ".git/")) or name.endswith((".pyc", ".db"))
    ]


def test_the_metadata_is_what_an_index_shows(wheelhouse: Wheelhouse) -> None:
    """Name, licence, Pythons, readme, extras, entry point."""
    archive = zipfile.ZipFile(wheelhouse.wheel)
    (info,) = {name.partition("/")[0] for name in archive.namelist() if ".dist-info/" in name}
    said = Parser().parsestr(archive.read(f"{info}/METADATA").decode())
    assert said["Name"] == "askback"
    assert said["License-Expression"] == "Apache-2.0"
    assert said["Requires-Python"] == ">=3.11"
    assert said["Description-Content-Type"] == "text/markdown"
    assert str(said.get_payload()).startswith("# Askback")
    assert set(said.get_all("Provides-Extra") or ()) == {*EXTRAS, "dev"}
    classifiers = said.get_all("Classifier") or []
    assert {f"Programming Language :: Python :: 3.{minor}" for minor in (11, 12, 13)} <= set(classifiers)
    assert "askback = askback.cli:main" in archive.read(f"{info}/entry_points.txt").decode()
    assert any(name.startswith(f"{info}/licenses/") for name in archive.namelist())
