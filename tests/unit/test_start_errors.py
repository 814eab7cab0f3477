"""Errors that prevent a start, in one line: addresses, files and database URLs."""

from __future__ import annotations

import errno
import os
import re
import socket
from pathlib import Path

import pytest

from askback import Tls
from askback._text.files import file_problem, read_file, unreadable, why
from askback_server.config.settings import Config, ConfigError
from askback_server.database_urls import driver_url
from askback_server.listening import CannotListen, check_listen
from askback_server.storage.sqlite_files import database_problem
from askback_server.transport.certificates import BadCertificates, Certificates
from askback_server.transport.tokens import BadTokenFile, TokenFile


@pytest.fixture
def paths_without_access(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths without access, even for root."""
    paths: list[str] = []
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) not in paths and real(path, mode))
    return paths


def test_a_permission_error_names_owner_and_mode(tmp_path: Path, paths_without_access: list[str]) -> None:
    path = tmp_path / "secret.pem"
    path.write_text("x")
    path.chmod(0o640)
    paths_without_access.append(str(path))
    said = file_problem(path, PermissionError(errno.EACCES, "Permission denied"))
    assert re.fullmatch(
        rf"{path} cannot be read: Permission denied; it belongs to \S+ \(uid {os.getuid()}\), mode 0640, "
        rf"and this process runs as \S+ \(uid {os.geteuid()}\)",
        said,
    )
    assert unreadable(path).startswith("Permission denied; it belongs to")


def test_a_permission_error_names_the_folder_at_fault(
    tmp_path: Path, paths_without_access: list[str]
) -> None:
    folder = tmp_path / "private"
    folder.mkdir(0o700)
    paths_without_access.append(str(folder))
    said = why(folder / "deep" / "a.pem", PermissionError(errno.EACCES, "Permission denied"))
    assert said.startswith(f"Permission denied at the folder {folder}; it belongs to")
    assert "mode 0700" in said


def test_file_errors_name_their_reason(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    for path, says in (
        (tmp_path / "none", "No such file or directory"),
        (tmp_path / "no" / "none", f"there is no folder {tmp_path / 'no'}"),
        (tmp_path, "Is a directory"),
        (file / "x", f"{file} is a file"),
    ):
        with pytest.raises(OSError, match=re.escape(says)) as refused:
            read_file(path)
        assert str(refused.value).startswith(f"{path} cannot be read: ")
        assert refused.value.errno
        with pytest.raises(OSError, match=re.escape(says)):
            Tls.from_files(path)
        with pytest.raises(BadTokenFile, match=re.escape(says)):
            TokenFile(path)
        with pytest.raises(BadCertificates, match=re.escape(says)):
            Certificates(path, file)
    assert "Read-only file system" in file_problem(file, OSError(errno.EROFS, "Read-only file system"))
    for name in ("auth", "tls_client_ca"):
        more = {"tls_cert": str(file), "tls_key": str(file)} if name == "tls_client_ca" else {}
        with pytest.raises(ConfigError, match="Is a directory"):
            Config(**{name: str(tmp_path)}, **more).validate()  # type: ignore[arg-type]


@pytest.mark.parametrize("which", ["", "-wal", "-shm", "-journal", ".lock", "folder"])
def test_a_database_error_names_the_file_at_fault(
    which: str, tmp_path: Path, paths_without_access: list[str]
) -> None:
    database = tmp_path / "a.db"
    for suffix in ("", "-wal", "-shm", "-journal", ".lock"):
        (tmp_path / f"a.db{suffix}").write_text("")
    at_fault = tmp_path if which == "folder" else tmp_path / f"a.db{which}"
    paths_without_access.append(str(at_fault))
    error = RuntimeError("attempt to write a readonly database")
    said = database_problem(f"sqlite+aiosqlite:///{database}", error)
    assert said.startswith(f"{at_fault} cannot be written: Permission denied")
    assert f"(uid {at_fault.stat().st_uid}), mode 0" in said
    paths_without_access.clear()
    assert database_problem(f"sqlite+aiosqlite:///{database}", error) == str(error)


def test_a_database_error_names_an_impossible_path(tmp_path: Path) -> None:
    error = RuntimeError("unable to open database file")
    (tmp_path / "file").write_text("")
    for path, says in (
        (tmp_path / "no" / "a.db", f"there is no folder {tmp_path / 'no'}"),
        (tmp_path / "file" / "a.db", f"{tmp_path / 'file'} is a file"),
        (tmp_path, "Is a directory"),
    ):
        assert says in database_problem(f"sqlite+aiosqlite:///{path}", error)


@pytest.mark.parametrize("flag", ["--listen", "--metrics-listen"])
def test_a_port_in_use_is_refused_with_the_flag_to_change(flag: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(CannotListen) as refused:
            check_listen(listen, flag)
        assert str(refused.value) == f"{listen} is in use: choose another with {flag}"
        with pytest.raises(CannotListen, match="is in use"):
            check_listen(f"0.0.0.0:{taken.getsockname()[1]}", flag)
        with pytest.raises(CannotListen, match="is in use"):
            check_listen(f"localhost:{taken.getsockname()[1]}", flag)
    check_listen(listen, flag)
    check_listen("127.0.0.1:0", flag)


def test_an_unusable_listen_address_is_refused_with_the_reason() -> None:
    with pytest.raises(CannotListen, match="is not an address of this machine: choose another with --listen"):
        check_listen("192.0.2.1:50051", "--listen")
    with pytest.raises(CannotListen, match=r"the name no-such\.invalid cannot be resolved"):
        check_listen("no-such.invalid:50051", "--listen")


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgres://u:p@h/n", "postgresql+asyncpg://u:p@h/n"),
        ("postgresql://u@h:1/n", "postgresql+asyncpg://u@h:1/n"),
        ("POSTGRES://h/n", "postgresql+asyncpg://h/n"),
        ("postgresql+asyncpg://h/n", "postgresql+asyncpg://h/n"),
        ("postgres://h/n?sslmode=require", "postgresql+asyncpg://h/n?ssl=require"),
        ("postgres://h/n?sslmode=require&channel_binding=prefer", "postgresql+asyncpg://h/n?ssl=require"),
        ("postgres://h/n?connect_timeout=5", "postgresql+asyncpg://h/n"),
        ("postgresql://u@/n?host=a:1&host=b:2", "postgresql+asyncpg://u@/n?host=a:1&host=b:2"),
        ("postgres://u:a%40b@h/n", "postgresql+asyncpg://u:a%40b@h/n"),
        ("sqlite:///a.db", "sqlite+aiosqlite:///a.db"),
        ("sqlite+aiosqlite:////x/a.db", "sqlite+aiosqlite:////x/a.db"),
    ],
)
def test_common_database_urls_are_normalised(given: str, used: str) -> None:
    assert driver_url(given) == used
    assert Config(db=given).validate().db == used


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("postgres://u:swordfish@h", "names no database"),
        ("postgres://u:swordfish@h/n?sslrootcert=x", "set PGSSLROOTCERT instead"),
        ("postgres://u:swordfish@h/n?channel_binding=require", "sslmode=verify-full"),
        ("mysql://u:swordfish@h/n", "use sqlite"),
        ("postgresql+psycopg2://u:swordfish@h/n", "use sqlite"),
    ],
)
def test_wrong_database_urls_are_refused_with_the_reason(given: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as refused:
        Config(db=given).validate()
    assert "swordfish" not in str(refused.value)
