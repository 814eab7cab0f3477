"""The caller's identity as the server reports it, for people and for programs."""

from __future__ import annotations

from typing import Any

from askback._model.enums import Authentication
from askback._model.identity import Identity
from askback._model.times import timestamp
from askback._text.spans import Times
from askback._text.text import one_line

_KNOWN_BY = {
    Authentication.TOKEN: "a token",
    Authentication.CERTIFICATE: "a client certificate",
    Authentication.NONE: "its own word: this server does not authenticate",
}


def identity_rows(identity: Identity, times: Times) -> list[tuple[str, str]]:
    """Names and values, one pair for each line of `askback whoami`."""
    namespaces = list(identity.namespaces) + ["all others"] * identity.all_namespaces
    return [
        ("subject", one_line(identity.subject)),
        ("known by", _KNOWN_BY.get(identity.authentication, str(identity.authentication).lower())),
        ("namespaces", _names(namespaces)),
        ("roles", _names(identity.roles)),
        ("groups", _names(identity.groups)),
        ("admin", "yes" if identity.admin else "no"),
        ("expires", times.when(identity.expires) or "never"),
    ]


def identity_sentence(identity: Identity, times: Times) -> str:
    """The identity in one line, for `askback doctor`."""
    (_, subject), (_, known_by), *rest = identity_rows(identity, times)
    return f"{subject} (by {known_by}); " + "; ".join(f"{name} {value}" for name, value in rest)


def identity_record(identity: Identity) -> dict[str, Any]:
    """The identity as a JSON object, with the names of the contract's WhoAmIResponse."""
    found: dict[str, Any] = {
        "subject": identity.subject,
        "authentication": str(identity.authentication),
        "namespaces": list(identity.namespaces),
        "allNamespaces": identity.all_namespaces,
        "roles": list(identity.roles),
        "groups": list(identity.groups),
        "admin": identity.admin,
    }
    for name, moment in (("expireTime", identity.expires), ("serverTime", identity.server_time)):
        if moment is not None:
            found[name] = timestamp(moment).ToJsonString()
    return found


def _names(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(one_line(name) for name in names) or "none"
