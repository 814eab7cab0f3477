"""The server and the caller's identity: from options, else the environment, a profile, this machine."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from askback.cli.profiles import DEFAULT_SERVER, profile_settings

if TYPE_CHECKING:
    from askback._client.client import Client
    from askback._wire.calls import OnSilence
    from askback._wire.channel import Endpoint, Tls


CONNECTION_OPTIONS = (
    "server",
    "token",
    "user",
    "groups",
    "namespace",
    "tls",
    "ca",
    "cert",
    "key",
    "profile",
    "timeout",
)


@dataclass(frozen=True)
class Connection:
    """A server and the caller's identity, from options, environment and profile."""

    server: str = DEFAULT_SERVER
    token: str | None = field(default=None, repr=False)
    user: str | None = None
    groups: tuple[str, ...] = ()
    namespace: str = ""
    tls: bool = False
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    profile: str | None = None
    timeout: float = 10.0
    flags: str = ""
    """The connection options as they were typed, without the token; they are added to suggested commands."""

    @classmethod
    def of(cls, options: Mapping[str, Any], flags: str = "") -> Connection:
        """Build a connection from the values of `connection_options`. Raises click.UsageError."""
        given = {name: options[name] for name in CONNECTION_OPTIONS if options.get(name) not in (None, ())}
        found = {**profile_settings(given), **given, "flags": flags}
        if not any(found.get(name) for name in ("user", "token", "cert")):
            found["user"] = _login_name(found.get("server", DEFAULT_SERVER))
        return cls(**found)

    def tls_files(self) -> Tls | bool:
        """The value of the SDK's `tls` argument. Raises click.UsageError for a file that cannot be used."""
        if bool(self.cert) != bool(self.key):
            raise click.UsageError("--cert and --key go together")
        if not (self.tls or self.ca or self.cert):
            return False
        from askback._wire.channel import Tls

        return Tls(_read(self.ca, "--ca"), _read(self.key, "--key"), _read(self.cert, "--cert"))

    def endpoint(self) -> Endpoint:
        """The SDK's endpoint. Raises click.UsageError for an invalid address or token."""
        from askback._wire.channel import Endpoint

        # The scheme of an address can request TLS; an address without a scheme does not.
        tls = self.tls_files() or (None if "://" in self.server else False)
        try:
            return Endpoint.resolve(
                self.server, token=self.token, user=self.user, groups=self.groups, tls=tls
            )
        except ValueError as error:
            raise click.UsageError(str(error)) from None

    def client(self, on_silence: OnSilence | None = None) -> Client:
        """A client of the SDK, to be entered with `async with`. Raises what `endpoint` raises.

        `on_silence` is called while a call is retried without an answer, see `askback._wire.calls`.
        """
        from askback._client.client import Client
        from askback._wire.contact import COMMAND_CONNECT_SECONDS

        client = Client(
            self.endpoint(),
            namespace=self.namespace,
            deadline=self.timeout,
            connect_timeout=COMMAND_CONNECT_SECONDS,
        )
        client._calls.on_silence = on_silence  # not public: a program learns the same from its errors
        return client

    def command(self, words: str) -> str:
        """A command line for the person, with the options that reach the same server."""
        return f"askback {words}{self.flags}"

    @property
    def reaching_flags(self) -> str:
        """The options that reach this server from another shell, even if a profile or a variable set them."""
        words: list[str] = []
        for name, default in (("server", DEFAULT_SERVER), ("ca", None), ("namespace", "")):
            if (value := getattr(self, name)) != default:
                words += [f"--{name}", shlex.quote(value)]
        if self.tls and not self.ca:
            words.append("--tls")
        return "".join(f" {word}" for word in words)


def _login_name(server: str) -> str | None:
    """The login name, sent to a server on this machine so that its audit names a person.

    None for a server on another machine, where the person must give a name explicitly, and for a name that
    cannot be sent in metadata.
    """
    from askback._wire.address import parse_address

    name = os.environ.get("USER") or os.environ.get("LOGNAME") or ""
    try:
        here = parse_address(server).is_loopback
    except ValueError:  # `endpoint` reports it
        here = False
    return name if here and name.isascii() and name.isprintable() and name.strip() else None


def flags_as_typed(ctx: click.Context) -> str:
    """The connection options as they were typed, without the token and the timeout."""
    from click.core import ParameterSource

    words: list[str] = []
    for name in CONNECTION_OPTIONS:
        if name in ("token", "timeout") or ctx.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        value = ctx.params[name]
        flag = "--group" if name == "groups" else f"--{name}"
        for item in value if isinstance(value, tuple) else (value,):
            words += [flag] if item is True else [flag, shlex.quote(str(item))]
    return "".join(f" {word}" for word in words)


def _read(path: str | None, option: str) -> bytes | None:
    from askback._text.files import read_file

    if path is None:
        return None
    try:
        return read_file(path)
    except OSError as error:
        raise click.UsageError(f"{option} {error}") from None
