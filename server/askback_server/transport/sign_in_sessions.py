"""Refuses calls that carry the id of an ended sign-in session, whatever authenticates the caller."""

from __future__ import annotations

from askback_server.domain.errors import Unauthenticated
from askback_server.domain.principals import Principal
from askback_server.domain.sign_outs import MAX_ID_CHARS, SessionEnded, is_session_id
from askback_server.engine.sign_outs import SignOuts
from askback_server.transport.certificates import CertificateNames, no_certificate
from askback_server.transport.tokens import Authenticator, Credentials, Metadata

SESSION_METADATA = "askback-session"


class SessionCheck:
    """An Authenticator around another one. It is asked again for open calls, which end with their session."""

    def __init__(self, authenticator: Authenticator, sign_outs: SignOuts) -> None:
        self._authenticator = authenticator
        self._sign_outs = sign_outs
        self._generation: tuple[object, object] = (None, None)

    def authenticate(self, metadata: Metadata, certificate: CertificateNames = no_certificate) -> Principal:
        """The caller. Raises Unauthenticated, and SessionEnded if the session was ended."""
        principal = self._authenticator.authenticate(metadata, certificate)
        for key, value in metadata:
            if key == SESSION_METADATA:
                self._check(principal.subject, value)
        return principal

    def _check(self, subject: str, session_id: str | bytes) -> None:
        if not isinstance(session_id, str) or not is_session_id(session_id):
            # A session that cannot be ended must not begin.
            text = f"{SESSION_METADATA} must be 1 to {MAX_ID_CHARS} printable ASCII characters"
            raise Unauthenticated(text)
        if self._sign_outs.is_ended(subject, session_id):
            raise SessionEnded

    def credentials(self, metadata: Metadata, certificate: CertificateNames = no_certificate) -> Credentials:
        """The credentials of the caller. Raises Unauthenticated."""
        return self._authenticator.credentials(metadata, certificate)

    def generation(self) -> object:
        """An object that is replaced when credentials change, and when a session ends."""
        found = self._authenticator.generation(), self._sign_outs.generation
        if found[0] is not self._generation[0] or found[1] is not self._generation[1]:
            self._generation = found
        return self._generation
