"""The page's files: read from the package at start, and served from memory."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable

from starlette.requests import Request
from starlette.responses import Response

_NAMED = re.compile(r"[\"'(]/?assets/([\w.-]+)")
_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "ico": "image/x-icon",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "png": "image/png",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
    "webmanifest": "application/manifest+json",
}
_INDEX = "index.html"
_MANIFEST = "manifest.webmanifest"
"""What browsers read to install the page. It names the icons."""
_VERSION = re.compile(r'<meta name="askback-page" content="([0-9a-f]+)">')
"""Where the build of the page (client/web/build.mjs) wrote the hash of all its files."""
_FOREVER = "public, max-age=31536000, immutable"


class AssetsMissing(RuntimeError):
    """The package lacks files of the page. The message names them."""


@dataclass(frozen=True)
class Asset:
    """A file of the page."""

    content: bytes
    content_type: str

    @cached_property
    def compressed(self) -> bytes:
        """The content for clients that accept gzip; made at the first request, to start sooner."""
        return gzip.compress(self.content, 9, mtime=0)

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the content in hexadecimal digits."""
        return hashlib.sha256(self.content).hexdigest()


def _load(content: bytes, name: str) -> Asset:
    return Asset(content, _TYPES.get(name.rpartition(".")[2], "application/octet-stream"))


class Assets:
    """The files of the page by name."""

    def __init__(self, folder: Traversable | None = None) -> None:
        """Read them from the package, or from `folder`. Raises AssetsMissing."""
        folder = folder or files("askback.web").joinpath("static")
        if not folder.joinpath(_INDEX).is_file():
            raise AssetsMissing(
                f"this installation lacks the page ({_INDEX}): install askback[web] from a wheel"
            )
        self._files: Mapping[str, Asset] = {
            item.name: _load(item.read_bytes(), item.name) for item in folder.iterdir() if item.is_file()
        }
        self.index = self._files[_INDEX]
        named = {
            name
            for file in (_INDEX, _MANIFEST)
            if file in self._files
            for name in _NAMED.findall(self._files[file].content.decode())
        }
        if f'"/{_MANIFEST}"' in self.index.content.decode():
            named.add(_MANIFEST)
        if missing := sorted(named - self._files.keys()):
            raise AssetsMissing(f"this installation lacks files of the page: {', '.join(missing)}")
        found = _VERSION.search(self.index.content.decode())
        self.version = found[1] if found else ""
        """Names the build of the page: each reference to one of its files has it as `v`."""

    async def page(self, request: Request, status: int = 200) -> Response:
        """The page's shell, which is the same for every person and path: the page itself says what is at a
        path, or that nothing is."""
        return _respond(request, self.index, "no-store", status)

    async def manifest(self, request: Request) -> Response:
        """How the page is installed. It has no version, because an installed page asks for it for years."""
        found = self._files.get(_MANIFEST)
        return _missing() if found is None else _respond(request, found, "no-store")

    async def file(self, request: Request) -> Response:
        """A file of the page. With the page's version as `v` caches may store it for a year."""
        asset = self._files.get(request.path_params["name"])
        version = request.query_params.get("v")
        if asset is None or version not in (None, self.version):
            # A page of another build asks for it, and must not mix with this one: it says "reload". The
            # reply is not stored, because another gateway may have the file.
            return _missing()
        return _respond(request, asset, "no-cache" if version is None else _FOREVER)


def _missing() -> Response:
    return Response("there is no such file", 404, {"cache-control": "no-store"}, "text/plain")


def _respond(request: Request, asset: Asset, cache: str, status: int = 200) -> Response:
    headers = {"cache-control": cache, "vary": "accept-encoding"}
    if cache != "no-store":
        headers["etag"] = f'"{asset.digest[:32]}"'
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(None, 304, headers)
    accepted = [
        item.partition(";")[0].strip() for item in request.headers.get("accept-encoding", "").split(",")
    ]
    content = asset.content
    if "gzip" in accepted and len(asset.compressed) < len(asset.content):
        content, headers["content-encoding"] = asset.compressed, "gzip"
    return Response(content, status, headers, asset.content_type)
