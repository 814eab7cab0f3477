"""The contents and the metadata of the wheel and the sdist."""

import tarfile
import zipfile
from email.parser import Parser

import pytest

from tests.install.wheelhouse import EXTRAS, Wheelhouse
from tests.support.processes import ROOT

pytestmark = pytest.mark.timeout(300)
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
    """The names of the files in the wheel."""
    return set(zipfile.ZipFile(wheelhouse.wheel).namelist())


def test_the_wheel_has_all_modules_types_and_migrations(names: set[str]) -> None:
    """And the service config."""
    assert names >= set(NEEDED)
    for package, folder in (("askback", "client"), ("askback_server", "server")):
        files = (ROOT / folder / package).rglob("*")
        source = {path.relative_to(ROOT / folder).as_posix() for path in files if path.suffix == ".py"}
        assert source <= names


def test_the_wheel_has_no_tests_scripts_or_caches(names: set[str]) -> None:
    """Only our packages are at the top level."""
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"askback", "askback_server"}
    # Only modules for the tests of users may have "test" in their names.
    ours = ("askback/testing/", "askback_server/in_process.py")
    assert not [name for name in names if "/test" in name and not name.startswith(ours)]
    assert not [name for name in names if name.endswith((".pyc", ".db"))]
    assert {name.rpartition("/")[2] for name in names if name.endswith(".toml")} == {"story.toml"}


def test_the_sdist_has_what_is_needed_to_build_and_test(wheelhouse: Wheelhouse) -> None:
    """The wheel was built from it; it also has the protos, the tests, and the files that the tests read."""
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


def test_the_wheel_s_metadata_has_all_fields_that_an_index_shows(wheelhouse: Wheelhouse) -> None:
    """Name, licence, Python versions, readme, extras, entry point."""
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
