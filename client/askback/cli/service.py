"""Commands that need no client: they run the service, prepare its database, or check its health."""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from askback.cli.command import Command
from askback.cli.time_types import Seconds

if TYPE_CHECKING:
    from askback._wire.channel import Tls


def service_module(module: str = "__main__") -> Any:
    """Import a module of the service, by default its entry point.

    Raises click.ClickException if the service is not installed.
    """
    try:
        return importlib.import_module(f"askback_server.{module}")
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"this needs the service (no module {error.name!r}): pip install 'askback[server]'"
        ) from None


class _Serve(click.Command):
    """A command whose options are the service's settings, read from the service's table when needed."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The settings' options, and --help."""
        return [*service_module("config.options").serve_options(), *super().get_params(ctx)]


@click.command(cls=_Serve)
def serve(**flags: Any) -> None:
    """Run the service. Every setting is also read from ASKBACK_<NAME> in the environment, and from the
    file that --config names; flags win over the environment, and that over the file."""
    # grpc reads this when it is imported. Its own log lines fit no format, and repeat while a fault lasts.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    sys.exit(service_module().serve(flags))


@click.command()
@click.option("--db", help="Database URL. [default: sqlite+aiosqlite:///askback.db]")
@click.option("--config", metavar="FILE", help="TOML file of settings, as of `askback serve`.")
@click.option(
    "--wait",
    type=Seconds(),
    metavar="SPAN",
    help="How long to wait for another migration, or for a table that is in use. [default: 1m]",
)
@click.option(
    "--after-restore",
    is_flag=True,
    help="The database was restored to an earlier state: have consoles read all open prompts again.",
)
def migrate(**flags: Any) -> None:
    """Bring the database to this version's schema."""
    sys.exit(service_module().migrate(flags))


@click.command("hash-token", cls=Command)
@click.argument("token", required=False)
def hash_token(token: str | None) -> None:
    """Print the hash of a token, as a token file wants it.

    Without TOKEN a new one is made.
    """
    import hashlib
    import secrets

    if token is None:
        token = secrets.token_urlsafe(32)
        click.echo(f"token  {token}")
    click.echo(f"sha256 {hashlib.sha256(token.encode()).hexdigest()}")


@click.command()
@click.option("--server", envvar="ASKBACK_SERVER", default="127.0.0.1:50051", show_default=True)
@click.option(
    "--timeout",
    type=Seconds(),
    default=3.0,
    metavar="SPAN",
    help="How long to wait: 500ms, 3s. [default: 3s]",
)
@click.option("--wait", type=Seconds(), metavar="SPAN", help="Ask again until it is ready, for so long: 30s.")
@click.option("--tls", is_flag=True, help="Speak TLS. The options below imply it.")
@click.option("--ca", type=click.File("rb"), help="Trust these authorities (PEM).")
@click.option("--cert", type=click.File("rb"), help="A client's certificate (PEM), where one is wanted.")
@click.option("--key", type=click.File("rb"), help="Its private key (PEM).")
def health(server: str, timeout: float, wait: float | None, tls: bool, **files: Any) -> None:
    """Ask a server whether it is ready; exit 0 if it is, 1 if not, 7 if it cannot be reached."""
    import time

    from askback._wire.address import parse_address
    from askback._wire.channel import Tls

    ca, cert, key = (file.read() if file else None for file in (files["ca"], files["cert"], files["key"]))
    try:
        address = parse_address(server)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    secure = Tls(ca, key, cert) if tls or address.tls or ca or cert or key else None
    ends = time.monotonic() + (wait or 0.0)
    while (problem := _health_problem(server, address.target, secure, timeout)) is not None:
        if time.monotonic() >= ends:
            raise problem
        time.sleep(_RETRY_SECONDS)
    click.echo(f"{server} is ready")


_RETRY_SECONDS = 0.1
"""Seconds between two checks of `health --wait`."""


def _health_problem(
    server: str, target: str, secure: Tls | None, timeout: float
) -> click.ClickException | None:
    """The error for a server that is not ready; None if it is ready. `timeout` is in seconds."""
    import grpc

    from askback.cli.exits import Exit

    if secure is not None:
        opened = grpc.secure_channel(
            target,
            grpc.ssl_channel_credentials(
                secure.root_certificates, secure.private_key, secure.certificate_chain
            ),
        )
    else:
        opened = grpc.insecure_channel(target)
    with opened as channel:
        check: Any = channel.unary_unary("/grpc.health.v1.Health/Check", bytes, bytes)
        try:
            answer: bytes = check(b"", timeout=timeout)
        except grpc.RpcError as error:
            import asyncio

            from askback._wire.channel import Endpoint
            from askback._wire.diagnosis import diagnose

            problem = asyncio.run(diagnose(Endpoint(target, tls=secure)))
            failure = click.ClickException(
                problem.message if problem else f"{server} {_silence_message(error, timeout)}"
            )
            failure.exit_code = Exit.UNAVAILABLE  # type: ignore[misc]
            return failure
    if answer != b"\x08\x01":
        return click.ClickException(f"{server} is not ready: it is starting or draining")
    return None


def _silence_message(error: Any, timeout: float) -> str:
    """The message for a server that accepts the connection but does not report its health."""
    import grpc

    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"does not answer within {timeout:g} s"
    if error.code() is grpc.StatusCode.UNIMPLEMENTED:
        return "has no health checks: it is no Askback"
    return f"does not say whether it is ready ({error.code().name})"


@click.command()
@click.argument("example", type=click.Choice(["release", "understanding", "import"]), default="release")
@click.option("--human/--scripted", default=None, help="Who answers. [default: human at a terminal]")
@click.option("--db", help="Database URL. [default: a new SQLite file]")
def demo(example: str, human: bool | None, db: str | None) -> None:
    """Play an example from question to result, with the server killed in between."""
    from askback.demo import run_demo

    sys.exit(
        run_demo(example, human=sys.stdin.isatty() and sys.stdout.isatty() if human is None else human, db=db)
    )
