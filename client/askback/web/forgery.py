"""Locks against forged requests: another web page must not make a person's browser act here.

A browser sends the cookie with each request, also with those that another page has made it send. So a POST
that uses a cookie needs each of four things, and each alone stops a forged request:

1. the content type JSON, which a form cannot send (the body is not parsed under another one);
2. a header of our own, which another page cannot add without asking first, and the gateway never agrees;
3. the origin of the page;
4. the cookie's attribute SameSite=Strict, which the browser enforces.
"""

from __future__ import annotations

import grpc
from starlette.requests import HTTPConnection

from askback.web.origins import Origins
from askback.web.refused import Refused

OWN_HEADERS = ("connect-protocol-version", "x-askback")
_SAFE = frozenset({"GET", "HEAD"})


def require_locks(connection: HTTPConnection, origins: Origins) -> None:
    """Refuse a request that another web page may have caused. Raises Refused."""
    headers = connection.headers
    if connection.scope.get("method") in _SAFE:
        origins.refuse_foreign(headers)
        return
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise _forged("send the body as JSON, with the header `content-type: application/json`")
    if not any(headers.get(name) == "1" for name in OWN_HEADERS):
        raise _forged("send the header `connect-protocol-version: 1`, or `x-askback: 1`")
    origins.require_origin(headers)


def _forged(text: str) -> Refused:
    return Refused(grpc.StatusCode.PERMISSION_DENIED, text, "CSRF")
