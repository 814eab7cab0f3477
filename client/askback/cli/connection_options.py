"""The command line options for the server and the caller's identity."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from askback.cli.candidates import audience_groups, namespaces, profiles
from askback.cli.command import SharedOption
from askback.cli.time_types import Seconds


def connection_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options for the server and the caller's identity."""
    options = [
        _option(
            "server", "The port is 50051 if none is given. [default: 127.0.0.1:50051]", metavar="HOST[:PORT]"
        ),
        _option("token", "Bearer token; better in ASKBACK_TOKEN or a profile."),
        _option(
            "user",
            "Your name for a server without authentication. [default: on this machine, $USER]",
        ),
        _option(
            "group",
            "One of your groups, for a server without authentication.",
            name="groups",
            multiple=True,
            shell_complete=audience_groups,
        ),
        _option("namespace", "The tenant. [default: yours]", shell_complete=namespaces),
        _option("tls", "Speak TLS.", is_flag=True, default=None),
        _option("ca", "Trust these roots (PEM). Implies --tls.", metavar="FILE"),
        _option("cert", "Client certificate (PEM), for mTLS.", metavar="FILE"),
        _option("key", "Its private key (PEM).", metavar="FILE"),
        _option("profile", "A profile of ~/.config/askback/config.toml.", shell_complete=profiles),
        _option(
            "timeout",
            "How long one call may take, retries included: 500ms, 30s. [default: 10s]",
            type=Seconds(),
            default=10.0,
            metavar="SPAN",
        ),
    ]
    for option in reversed(options):
        function = option(function)
    return function


def _option(flag: str, text: str, *, name: str = "", **settings: Any) -> Callable[..., Any]:
    """An option whose environment variable is ASKBACK_<FLAG>."""
    names = (f"--{flag}", name or flag)
    return click.option(*names, cls=SharedOption, envvar=f"ASKBACK_{flag.upper()}", help=text, **settings)
