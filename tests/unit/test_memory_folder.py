"""The tests' own temporary files: in memory where that is possible, and where the caller says."""

import os
import tempfile
from pathlib import Path

import pytest

from tests.support import memory_folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for the folder in memory; `TMPDIR` is not set."""
    monkeypatch.setattr(memory_folder, "FOLDER", tmp_path)
    monkeypatch.setattr(memory_folder, "ROOM_BYTES", 1)
    monkeypatch.setattr(tempfile, "tempdir", "/unchanged")
    monkeypatch.setenv("TMPDIR", "")  # so that the original value comes back after the test
    monkeypatch.delenv("TMPDIR")
    return tmp_path


def test_temporary_files_go_to_the_folder_in_memory(folder: Path) -> None:
    memory_folder.use_folder_in_memory()
    assert tempfile.gettempdir() == os.environ["TMPDIR"] == str(folder)


def test_a_given_folder_for_temporary_files_is_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/given")
    memory_folder.use_folder_in_memory()
    assert (os.environ["TMPDIR"], tempfile.tempdir) == ("/given", "/unchanged")


@pytest.mark.parametrize(("name", "room"), [("", 1 << 62), ("absent", 1)], ids=["small", "absent"])
def test_a_folder_that_cannot_be_used_is_not(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, room: int
) -> None:
    monkeypatch.setattr(memory_folder, "FOLDER", folder / name)
    monkeypatch.setattr(memory_folder, "ROOM_BYTES", room)
    memory_folder.use_folder_in_memory()
    assert "TMPDIR" not in os.environ
    assert tempfile.tempdir == "/unchanged"
