"""The ASGI application: routes, and errors that no handler has caught."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

import grpc
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp

from askback.web.assets import Assets
from askback.web.connect_errors import HTTP_STATUS, ConnectError, from_refusal, from_rpc
from askback.web.converse_socket import converse
from askback.web.event_streams import EventStreams
from askback.web.gateway import Gateway
from askback.web.openapi import OpenApi
from askback.web.protection import protect
from askback.web.refused import Refused
from askback.web.sign_in import SignInMethod
from askback.web.unary import Unary

_log = logging.getLogger("askback.web")
PAGES = (
    "/",
    "/prompts/{id}",
    "/jobs",
    "/jobs/{id}",
    "/overview",
    "/people",
    "/rules",
    "/rules/{id}",
    "/settings",
    "/sign-in",
)
"""Paths of the page. All of them have its shell; the page itself reads the path."""
_FOR_PROGRAMS = frozenset({"assets", "converse", "events", "session", "healthz", "readyz", "openapi.json"})
"""Where everything that does not exist is an error for programs, whatever they accept."""
_ANY = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def create_app(gateway: Gateway, methods: Sequence[SignInMethod] = ()) -> ASGIApp:
    """The application of a gateway. `methods` are further ways to sign in."""
    unary, events, assets = Unary(gateway), EventStreams(gateway), gateway.assets

    async def healthy(_: Request) -> Response:
        return JSONResponse({"status": "ok"}, headers={"cache-control": "no-store"})

    async def ready(_: Request) -> Response:
        # The service's health is not part of it: a page that can say what is wrong is better than none.
        draining = gateway.streams.draining
        status = {"status": "draining" if draining else "ready"}
        return JSONResponse(status, 503 if draining else 200, headers={"cache-control": "no-store"})

    app = Starlette(
        routes=[
            *gateway.sign_in(methods).routes(),
            *(Route(path, assets.page, methods=["GET"]) for path in PAGES),
            *(Route(f"{path}/", assets.page, methods=["GET"]) for path in PAGES[1:]),
            Route("/manifest.webmanifest", assets.manifest, methods=["GET"]),
            Route("/assets/{name}", assets.file, methods=["GET"]),
            Route("/healthz", healthy, methods=["GET"]),
            Route("/readyz", ready, methods=["GET"]),
            Route("/openapi.json", OpenApi().handle, methods=["GET"]),
            Route("/events/prompts", events.prompts, methods=["GET"]),
            Route("/events/jobs", events.jobs, methods=["GET"]),
            Route("/events/jobs/{id}", events.job, methods=["GET"]),
            WebSocketRoute("/converse", partial(converse, gateway)),
            Route("/askback.v1.{service}/{method}", unary.handle, methods=_ANY),
        ],
        exception_handlers={
            HTTPException: partial(_refuse, assets),
            ClientDisconnect: _leave,
            Refused: _refuse_caller,
            grpc.aio.AioRpcError: _relay,
            Exception: _fail,
        },
    )
    # A redirect would name http behind a proxy that speaks TLS, and a token would follow it.
    app.router.redirect_slashes = False
    return protect(app, gateway.origins, gateway.cookies, gateway.counts)


async def _refuse(assets: Assets, request: Request, error: Exception) -> Response:
    """The reply to a path or method that does not exist, as Connect clients read it.

    For a browser's address bar it is the page, which says that there is no such page.
    """
    assert isinstance(error, HTTPException)
    if error.status_code == 404 and _is_for_a_person(request):
        return await assets.page(request, 404)
    code = next(
        (c for c, status in HTTP_STATUS.items() if status == error.status_code), grpc.StatusCode.UNKNOWN
    )
    if error.status_code in (404, 405):
        code = grpc.StatusCode.UNIMPLEMENTED
    text = {404: "there is nothing at this path", 405: "this path does not take this method"}.get(
        error.status_code, error.detail
    )
    return ConnectError(code, text, reason="HTTP", status=error.status_code, headers=error.headers).response()


def _is_for_a_person(request: Request) -> bool:
    """Whether a browser wants to show the reply, at a path that is not below one for programs."""
    below = request.url.path.strip("/").partition("/")[0]
    return (
        request.method in ("GET", "HEAD")
        and "text/html" in request.headers.get("accept", "")
        and below not in _FOR_PROGRAMS
        and not below.startswith("askback.")
    )


async def _refuse_caller(_: Request, error: Exception) -> Response:
    """The reply to a request that may not be made."""
    assert isinstance(error, Refused)
    return from_refusal(error).response()


async def _relay(_: Request, error: Exception) -> Response:
    """The reply to a request whose call the service has refused."""
    assert isinstance(error, grpc.aio.AioRpcError)
    return from_rpc(error).response()


async def _leave(_: Request, __: Exception) -> Response:
    """The reply that a client that has gone does not read."""
    return Response(status_code=499)


async def _fail(request: Request, error: Exception) -> Response:
    """The reply to a request that failed by a defect. Its text stays in the log, which the server writes."""
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return ConnectError(
        grpc.StatusCode.INTERNAL, "something went wrong in the gateway", reason="INTERNAL"
    ).response()
