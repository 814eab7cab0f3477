"""TLS: the server's certificate from files that may change, and what a client's certificate says."""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import grpc

from askback._text.files import read_file

CertificateNames = Callable[[], Sequence[str]]
"""The names in the caller's verified certificate; none without one. Asked only when it matters."""

_TRIES = 3
_SUBJECT_NAMES = ("x509_subject_alternative_name", "x509_common_name")

_log = logging.getLogger("askback.server.tls")

_Stamp = tuple[tuple[int, int, int, int], ...]


class BadCertificates(ValueError):
    """The files cannot be used; the message names them and says what is wrong."""


def no_certificate() -> Sequence[str]:
    """The caller has shown none."""
    return ()


def certificate_names(context: Any) -> Sequence[str]:
    """The names in the certificate of a call's peer: the alternative ones, then the common name."""
    found = context.auth_context()
    return [name.decode(errors="replace") for key in _SUBJECT_NAMES for name in found.get(key, ())]


class Certificates:
    """A certificate with its key, and the authorities of clients, from files that are read again when
    they change.

    gRPC asks at each handshake, so a new certificate serves new connections at once and open ones are
    left alone; what is asked is the files' stamps, through symbolic links, as Kubernetes swaps them. Files
    that cannot be used are refused at the start; later, the last good ones stay in force.
    """

    def __init__(self, certificate: str | Path, key: str | Path, client_ca: str | Path = "") -> None:
        """Read the files. `client_ca`: every client must show a certificate of these authorities.

        Raises BadCertificates.
        """
        self._certificate, self._key = Path(certificate), Path(key)
        self._client_ca = Path(client_ca) if client_ca else None
        self._stamp: _Stamp | None = None
        self._in_force = self._read()

    @property
    def of_clients(self) -> bool:
        """Whether every client must show a certificate."""
        return self._client_ca is not None

    def credentials(self) -> grpc.ServerCredentials:
        """What a port is opened with."""
        return grpc.dynamic_ssl_server_credentials(
            self._in_force, self._changed, require_client_authentication=self._client_ca is not None
        )

    def _changed(self) -> Any:
        """The configuration if it is a new one, else None. Raises nothing: that would end the handshake."""
        try:
            if self._stamp == self._look():
                return None
            self._in_force = self._read()
        except (BadCertificates, OSError) as error:
            _log.error("the certificate is not read again, the one of before stays: %s", error)
            return None
        _log.info("a new certificate is in force", extra={"tls_cert": str(self._certificate)})
        return self._in_force

    @property
    def _files(self) -> tuple[Path, ...]:
        return tuple(path for path in (self._certificate, self._key, self._client_ca) if path is not None)

    def _look(self) -> _Stamp:
        """What tells whether the files have changed; a missing one is a change too."""
        return tuple(_stamp(path) for path in self._files)

    def _read(self) -> grpc.ServerCertificateConfiguration:
        for _ in range(_TRIES):
            self._stamp = self._look()
            try:
                chain, key = read_file(self._certificate), read_file(self._key)
                roots = read_file(self._client_ca) if self._client_ca is not None else None
                self._check()
            except (OSError, BadCertificates) as error:
                if self._stamp != self._look():
                    continue
                raise BadCertificates(str(error)) from None
            if self._stamp == self._look():
                return grpc.ssl_server_certificate_configuration([(key, chain)], root_certificates=roots)
        self._stamp = None  # they change right now: the next handshake looks again
        raise BadCertificates(f"{self._certificate} changes while it is read")

    def _check(self) -> None:
        """Raises BadCertificates for what no handshake could be made with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            # A password, or OpenSSL would ask for one at the terminal.
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
        """What is wrong with certificate and key; `reason` is OpenSSL's."""
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
