"""Reading certificate files that change meanwhile."""

from pathlib import Path
from typing import Any

import pytest

from askback_server.transport import certificates
from askback_server.transport.certificates import BadCertificates, Certificates
from tests.support.authority import Authority


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Authority().server().put(tmp_path)
    return tmp_path


def open_certificates(folder: Path) -> Certificates:
    return Certificates(folder / "tls.crt", folder / "tls.key")


def test_a_pair_swapped_between_two_reads_is_read_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate is never combined with the key of another version, although both files were readable."""
    given: list[tuple[bytes, bytes]] = []

    def configuration(pairs: Any, root_certificates: Any) -> str:
        given.extend(pairs)
        return "configuration"

    monkeypatch.setattr(certificates.grpc, "ssl_server_certificate_configuration", configuration)
    new, swaps = Authority().server(), [1]
    read = Path.read_bytes

    def reading(path: Path) -> bytes:
        found = read(path)
        if path.name == "tls.crt" and swaps:
            swaps.pop()
            new.put(folder)
        return found

    monkeypatch.setattr(Path, "read_bytes", reading)
    open_certificates(folder)
    assert given == [(new.key, new.certificate)]


def test_files_that_keep_changing_are_left_for_the_next_handshake(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    files = open_certificates(folder)
    look, stamps = Certificates._current_stamp, iter(range(1_000))
    monkeypatch.setattr(Certificates, "_current_stamp", lambda self: ((next(stamps), 0, 0, 0),))
    assert files._reload() is None
    assert "changes while it is read" in caplog.text
    monkeypatch.setattr(Certificates, "_current_stamp", look)
    assert files._reload() is not None
    assert files._reload() is None


def test_an_error_names_missing_certificate_files(tmp_path: Path) -> None:
    with pytest.raises(BadCertificates, match=r"tls\.crt"):
        open_certificates(tmp_path)
