"""TLS: the server's certificate, reloaded when its files change, and the names in client certificates."""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import grpc

from askback._text.files import read_file
from askback_server.transport.call_context import Context

CertificateNames = Callable[[], Sequence[str]]
"""Returns the names in the caller's verified certificate, none without one. Called only if needed."""

_MAX_ATTEMPTS = 3
_SUBJECT_NAMES = ("x509_subject_alternative_name", "x509_common_name")

_log = logging.getLogger("askback.server.tls")

_Stamp = tuple[tuple[int, int, int, int], ...]


class BadCertificates(ValueError):
    """The certificate files cannot be used. The message names the file and the problem."""


def no_certificate() -> Sequence[str]:
    """For calls without a client certificate."""
    return ()


def certificate_names(context: Context) -> Sequence[str]:
    """The names in the client certificate of a call: the alternative names, then the common name."""
    found = context.auth_context()
    return [name.decode(errors="replace") for key in _SUBJECT_NAMES for name in found.get(key, ())]


class Certificates:
    """A certificate, its key and the authorities of clients, read again when their files change.

    gRPC asks for the configuration at each handshake, so new connections get a new certificate at once and
    open ones keep theirs. A change is detected by the files' stamps, through symbolic links, because
    Kubernetes swaps those. Unusable files are an error at the start; later the last usable ones stay.
    """

    def __init__(self, certificate: str | Path, key: str | Path, client_ca: str | Path = "") -> None:
        """Read the files. With `client_ca` every client must present a certificate of these authorities.

        Raises BadCertificates.
        """
        self._certificate, self._key = Path(certificate), Path(key)
        self._client_ca = Path(client_ca) if client_ca else None
        self._stamp: _Stamp | None = None
        self._current = self._read()

    @property
    def from_clients(self) -> bool:
        """Whether every client must present a certificate."""
        return self._client_ca is not None

    def credentials(self) -> grpc.ServerCredentials:
        """The credentials to open a port with."""
        return grpc.dynamic_ssl_server_credentials(
            self._current, self._reload, require_client_authentication=self._client_ca is not None
        )

    def _reload(self) -> Any:  # or None, which grpc-stubs does not know
        """The configuration if the files have changed, else None.

        Does not raise, which would end the handshake: files that cannot be used are logged.
        """
        try:
            if self._stamp == self._current_stamp():
                return None
            self._current = self._read()
        except (BadCertificates, OSError) as error:
            _log.error("the new certificate cannot be used, the previous one stays in use: %s", error)
            return None
        _log.info("a new certificate is in use", extra={"tls_cert": str(self._certificate)})
        return self._current

    @property
    def _files(self) -> tuple[Path, ...]:
        return tuple(path for path in (self._certificate, self._key, self._client_ca) if path is not None)

    def _current_stamp(self) -> _Stamp:
        """The stamps of the files. They change with the files; a missing file has one too."""
        return tuple(_stamp(path) for path in self._files)

    def _read(self) -> grpc.ServerCertificateConfiguration:
        for _ in range(_MAX_ATTEMPTS):
            self._stamp = self._current_stamp()
            try:
                chain, key = read_file(self._certificate), read_file(self._key)
                roots = read_file(self._client_ca) if self._client_ca is not None else None
                self._check()
            except (OSError, BadCertificates) as error:
                if self._stamp != self._current_stamp():
                    continue
                raise BadCertificates(str(error)) from None
            if self._stamp == self._current_stamp():
                return grpc.ssl_server_certificate_configuration([(key, chain)], root_certificates=roots)
        self._stamp = None  # the files are being changed: read them again at the next handshake
        raise BadCertificates(f"{self._certificate} changes while it is read")

    def _check(self) -> None:
        """Raise BadCertificates if no handshake would succeed with these files."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            # With a password, because OpenSSL would prompt for one at the terminal.
            context.load_cert_chain(self._certificate, self._key, password="")
        except ssl.SSLError as error:
            what = f"{self._certificate} and {self._key} must be a certificate and its own key, both in PEM"
            why = self._pair_problem(str(error.reason or ""))
            raise BadCertificates(f"{what} and the key not encrypted: {why}") from None
        if self._client_ca is not None:
            try:
                context.load_verify_locations(self._client_ca)
            except ssl.SSLError as error:
                raise BadCertificates(f"{self._client_ca} must hold certificates in PEM") from error

    def _pair_problem(self, reason: str) -> str:
        """The problem with certificate and key in words. `reason` is that of OpenSSL."""
        if "MISMATCH" in reason:
            return "this key is another certificate's"
        certificate, key = read_file(self._certificate), read_file(self._key)
        if b"CERTIFICATE-----" not in certificate:
            return f"{self._certificate} has no certificate"
        if b"PRIVATE KEY-----" not in key:
            return f"{self._key} has no private key"
        if b"ENCRYPTED" in key:
            return "this key is encrypted"
        return f"OpenSSL cannot read them ({reason.replace('_', ' ').lower() or 'no reason given'})"


def _stamp(path: Path) -> tuple[int, int, int, int]:
    try:
        found = os.stat(path)
    except OSError:
        return (0, 0, 0, 0)
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev
