"""A certificate authority for tests: server and client certificates in PEM, valid for a day."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class KeyPair:
    """A certificate and its private key, in PEM."""

    certificate: bytes
    key: bytes

    def put(self, folder: Path, name: str = "tls") -> KeyPair:
        """Write `NAME.crt` and `NAME.key`, each by an atomic rename."""
        for suffix, text in ((".crt", self.certificate), (".key", self.key)):
            fresh = folder / f"{name}{suffix}.new"
            fresh.write_bytes(text)
            os.replace(fresh, folder / f"{name}{suffix}")
        return self


class Authority:
    """Issues certificates. `pem` is the CA certificate that clients and servers must trust."""

    def __init__(self, name: str = "test authority") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._certificate = self._sign(self._name, self._key.public_key(), authority=True)
        self.pem = self._certificate.public_bytes(serialization.Encoding.PEM)

    def server(self, *, name: str = "", expired: bool = False) -> KeyPair:
        """A server certificate for the loopback address, or for `name`."""
        loopback = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
        return self._pair("server", [x509.DNSName(name)] if name else loopback, expired=expired)

    def client(self, common_name: str, *uris: str) -> KeyPair:
        """A client certificate; `uris` are its subject alternative names."""
        return self._pair(common_name, [x509.UniformResourceIdentifier(uri) for uri in uris])

    def _pair(self, common_name: str, names: list[x509.GeneralName], *, expired: bool = False) -> KeyPair:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        certificate = self._sign(subject, key.public_key(), names, expired=expired)
        text = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return KeyPair(certificate.public_bytes(serialization.Encoding.PEM), text)

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        names: list[x509.GeneralName] | None = None,
        *,
        authority: bool = False,
        expired: bool = False,
    ) -> x509.Certificate:
        now = datetime.now(UTC) - timedelta(days=2 if expired else 0)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256())
