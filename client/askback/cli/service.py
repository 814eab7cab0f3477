"""Commands that need no client: they run the service, prepare it, or look whether it is there."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click


def _server() -> Any:
    """The service's entrance, if it is installed."""
    try:
        return importlib.import_module("askback_server.__main__")
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"this needs the service (no module {error.name!r}): pip install 'askback[server]'"
        ) from None


@click.command()
@click.option("--listen", help="HOST:PORT. [default: 127.0.0.1:50051]")
@click.option("--db", help="Database URL. [default: sqlite+aiosqlite:///askback.db]")
@click.option("--auth", help="File of hashed tokens. Without it only loopback may be listened on.")
@click.option("--replica", help="This replica's name. [default: host and process]")
@click.option("--migrate", is_flag=True, default=None, help="Migrate PostgreSQL at start.")
@click.option("--test-mode", is_flag=True, default=None, help="Take scripted answers; loopback only.")
@click.option("--lease-ttl", type=float, help="Seconds until a silent worker loses its jobs. [default: 30]")
@click.option("--heartbeat", type=float, help="Seconds between heartbeats of consoles. [default: 15]")
@click.option("--sweep-interval", type=float, help="Seconds between two clean-ups. [default: 300]")
@click.option("--drain-wait", type=float, help="Seconds from not ready to asking streams to leave.")
@click.option("--drain-grace", type=float, help="Seconds that calls have to end. [default: 10]")
@click.option("--hot-jobs", type=int, help="Jobs kept in memory. [default: 50000]")
@click.option("--batch", type=int, help="Commands in one commit at the most. [default: 256]")
@click.option("--queue", type=int, help="Commands that may wait. [default: 8192]")
@click.option("--log-format", type=click.Choice(["text", "json"]))
@click.option("--log-level", type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"]))
def serve(**flags: Any) -> None:
    """Run the service. Every flag is also read from ASKBACK_<NAME> in the environment."""
    sys.exit(_server().serve(flags))


@click.command()
@click.option("--db", help="Database URL. [default: sqlite+aiosqlite:///askback.db]")
def migrate(db: str | None) -> None:
    """Bring the database to this version's schema."""
    sys.exit(_server().migrate({"db": db}))


@click.command("hash-token")
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
@click.option("--timeout", default=3.0, show_default=True, help="Seconds.")
def health(server: str, timeout: float) -> None:
    """Ask a server whether it is ready; exit 0 if it is."""
    import grpc

    with grpc.insecure_channel(server) as channel:
        check: Any = channel.unary_unary("/grpc.health.v1.Health/Check", bytes, bytes)
        try:
            answer: bytes = check(b"", timeout=timeout)
        except grpc.RpcError as error:
            raise click.ClickException(f"{server} does not answer: {error.code().name}") from None
    if answer != b"\x08\x01":
        raise click.ClickException(f"{server} is not ready")
    click.echo(f"{server} is ready")


@click.command()
@click.argument("example", type=click.Choice(["release", "understanding", "import"]), default="release")
@click.option("--human/--scripted", default=None, help="Who answers. [default: human at a terminal]")
@click.option("--db", help="Database URL. [default: a new SQLite file]")
def demo(example: str, human: bool | None, db: str | None) -> None:
    """Play an example from question to result, with the server killed in between."""
    from askback.demo import run_demo

    sys.exit(run_demo(example, human=sys.stdin.isatty() if human is None else human, db=db))
