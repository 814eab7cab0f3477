"""`askback web`: the page for people who answer, as a gateway in front of a service."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from askback.cli.command import Command
from askback.cli.time_types import Seconds

F = TypeVar("F", bound=Callable[..., Any])


def read_settings(ctx: click.Context, _: click.Parameter, path: str | None) -> None:
    """Make the file's settings the defaults of the options: flags win, and then the environment."""
    if path is None:
        return
    import tomllib

    from askback._text.files import read_file

    try:
        found = tomllib.loads(read_file(path).decode())
    except OSError as error:
        raise click.UsageError(f"--config {error}") from None
    except ValueError as error:
        raise click.UsageError(f"--config {path} is not TOML: {error}") from None
    known = {parameter.name for parameter in ctx.command.params} - {"config"}
    if unknown := sorted(found.keys() - known):
        raise click.UsageError(f"{path}: {unknown[0]} is not a setting; there are {', '.join(sorted(known))}")
    ctx.default_map = {**(ctx.default_map or {}), **found}


def _own(flag: str, text: str, **settings: Any) -> Callable[[F], F]:
    """An option whose environment variable is ASKBACK_WEB_<FLAG>."""
    variable = f"ASKBACK_WEB_{flag.upper().replace('-', '_')}"
    return click.option(f"--{flag}", envvar=variable, help=text, **settings)


@click.command(cls=Command)
@click.option(
    "--server",
    envvar="ASKBACK_SERVER",
    default="127.0.0.1:50051",
    show_default=True,
    metavar="HOST[:PORT]",
    help="The service.",
)
@click.option("--tls", envvar="ASKBACK_TLS", is_flag=True, help="Speak TLS to the service.")
@click.option("--ca", envvar="ASKBACK_CA", metavar="FILE", help="Trust these roots (PEM). Implies --tls.")
@click.option(
    "--cert",
    envvar="ASKBACK_CERT",
    metavar="FILE",
    help="The gateway's certificate (PEM), where the service wants one. It stands for no person.",
)
@click.option("--key", envvar="ASKBACK_KEY", metavar="FILE", help="Its private key (PEM).")
@_own("listen", "The address of the page.", default="127.0.0.1:8080", show_default=True, metavar="HOST:PORT")
@_own(
    "public-origin",
    "Where browsers see the page, such as https://askback.example; several times for several names. "
    "[default: the address to listen on, for this machine only]",
    multiple=True,
    metavar="ORIGIN",
)
@_own(
    "names",
    "Let people sign in with a name, for a service without authentication. On loopback only.",
    is_flag=True,
)
@_own(
    "session-keys",
    "Keys that seal session cookies: lines of 32 random bytes in base64, the newest first. The same on all "
    "gateways. [default: a key that ends with the process]",
    metavar="FILE",
)
@_own(
    "metrics-listen",
    "An address for Prometheus, over plain HTTP. Metrics are disabled unless set.",
    default="",
    metavar="HOST:PORT",
)
@_own("tls-cert", "Certificate chain of the page (PEM), unless a proxy speaks TLS.", metavar="FILE")
@_own("tls-key", "Its private key (PEM), not encrypted.", metavar="FILE")
@_own(
    "drain-wait",
    "From not being ready to asking pages to leave; 5s to 10s behind a load balancer. [default: 0s]",
    type=Seconds(),
    default=0.0,
    metavar="SPAN",
)
@_own(
    "drain-spread",
    "Time over which pages are asked to leave. [default: 5s]",
    type=Seconds(),
    default=5.0,
    metavar="SPAN",
)
@_own(
    "drain-grace",
    "Time that pages and calls have to finish. [default: 10s]",
    type=Seconds(),
    default=10.0,
    metavar="SPAN",
)
@click.option(
    "--config",
    envvar="ASKBACK_WEB_CONFIG",
    metavar="FILE",
    is_eager=True,
    expose_value=False,
    callback=read_settings,
    help="TOML file of settings, named as here.",
)
def web(server: str, tls: bool, ca: str | None, cert: str | None, key: str | None, **own: Any) -> None:
    """Serve the web page for a service, to people with browsers.

    The page, and the service's calls over HTTP for programs. Any number of gateways may run beside each
    other, behind any load balancer.
    """
    # grpc reads this when it is imported. Its own log lines fit no format, and repeat while a fault lasts.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        from askback.web.serve import run
        from askback.web.settings import WebSettings
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"this needs the gateway (no module {error.name!r}): pip install 'askback[web]'"
        ) from None
    from askback.cli.connection import Connection

    given = {name.replace("public_origin", "public_origins"): v for name, v in own.items() if v is not None}
    endpoint = Connection(server, tls=tls, ca=ca, cert=cert, key=key).endpoint()
    try:
        settings = WebSettings(**given)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    try:
        code = run(settings, endpoint)
    except OSError as error:
        raise click.ClickException(f"cannot listen on {settings.listen}: {error}") from None
    except (RuntimeError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    sys.exit(code)
