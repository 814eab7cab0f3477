"""WhoAmI: each caller learns its own principal and nothing else."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest

from askback import Authentication, Client, Identity, Unauthenticated
from askback.v1 import access_service_pb2 as pb
from tests.support.authority import Authority
from tests.support.refusals import expect_refusal
from tests.support.service import Caller, ServiceWorld, serving

EXPIRES = datetime(2199, 1, 2, 3, 4, 5, tzinfo=UTC)


def entry(shown: str, subject: str, rest: str) -> str:
    return f'[[tokens]]\n{shown}\nsubject = "{subject}"\n{rest}\n'


def token_file(folder: Path, entries: list[str]) -> str:
    path = folder / "tokens.toml"
    path.write_text("\n".join(entries))
    return str(path)


def hash_line(token: str) -> str:
    return f'sha256 = "{hashlib.sha256(token.encode()).hexdigest()}"'


async def whoami(world: ServiceWorld, token: str) -> Identity:
    async with Client(f"127.0.0.1:{world.service.port}", token=token) as client:
        return await client.whoami()


async def test_every_caller_learns_its_own_principal(lite_url: str, tmp_path: Path) -> None:
    auth = token_file(
        tmp_path,
        [
            entry(
                hash_line("ana-token"),
                "ana",
                'roles = ["console"]\nnamespaces = ["blue", "red"]\ngroups = ["ops", "desk"]\n'
                f"expires = {EXPIRES.isoformat()}",
            ),
            entry(hash_line("root-token"), "root", 'roles = ["admin"]\nnamespaces = ["*"]'),
            entry(hash_line("bot-token"), "bot", 'roles = ["worker", "client"]\nnamespaces = ["red"]'),
            entry(
                hash_line("old-token"),
                "old",
                'roles = ["console"]\nnamespaces = ["red"]\nexpires = 2020-01-01T00:00:00Z',
            ),
        ],
    )
    async with serving(lite_url, auth=auth) as world:
        ana = await whoami(world, "ana-token")
        assert (ana.subject, ana.namespaces, ana.roles) == ("ana", ("blue", "red"), ("console",))
        assert (ana.groups, ana.admin, ana.expires) == (("desk", "ops"), False, EXPIRES)
        assert (ana.authentication, ana.namespace) == (Authentication.TOKEN, "blue")
        assert ana.server_time is not None
        assert abs(ana.server_time - datetime.now(UTC)) < timedelta(minutes=1)
        assert ana.may_use("")
        assert ana.may_use("red")
        assert not ana.may_use("green")
        assert ana.has("console")
        assert not ana.has("client")

        root = await whoami(world, "root-token")
        assert (root.namespaces, root.all_namespaces, root.may_use("green")) == (("default",), True, True)
        assert (root.admin, root.has("worker"), root.expires) == (True, True, None)
        assert (await whoami(world, "bot-token")).roles == ("client", "worker")
        for token in ("", "unknown", "old-token"):
            with pytest.raises(Unauthenticated):
                await whoami(world, token)


async def test_a_changed_token_file_changes_the_answer(lite_url: str, tmp_path: Path) -> None:
    def write(rest: str) -> str:
        return token_file(tmp_path, [entry(hash_line("t"), "ana", rest)])

    auth = write('roles = ["console"]\nnamespaces = ["default"]')
    async with serving(lite_url, auth=auth) as world:
        assert (await whoami(world, "t")).roles == ("console",)
        write('roles = ["client"]\nnamespaces = ["default"]\ngroups = ["desk"]')
        world.service._server.calls._authenticator._authenticator._refresh()  # type: ignore[union-attr]
        assert (await whoami(world, "t")).roles == ("client",)
        token_file(
            tmp_path, [entry(hash_line("other"), "bob", 'roles = ["console"]\nnamespaces = ["default"]')]
        )
        world.service._server.calls._authenticator._authenticator._refresh()  # type: ignore[union-attr]
        with pytest.raises(Unauthenticated):
            await whoami(world, "t")


async def test_without_authentication_the_named_user_is_trusted(lite: ServiceWorld) -> None:
    async with Client(f"127.0.0.1:{lite.service.port}", user="ada", groups=["law"]) as client:
        ada = await client.whoami()
    assert (ada.subject, ada.groups, ada.authentication) == ("ada", ("law",), Authentication.NONE)
    assert (ada.roles, ada.all_namespaces) == (("client", "console", "worker"), True)
    nameless = await Caller(lite.channel, ()).access.WhoAmI(pb.WhoAmIRequest())
    assert nameless.subject == "anonymous"
    await expect_refusal(
        Caller(lite.channel, (("askback-user", " "),)).access.WhoAmI(pb.WhoAmIRequest()),
        "UNAUTHENTICATED",
        "UNAUTHENTICATED",
    )


async def test_whoami_names_the_certificate(lite_url: str, tmp_path: Path) -> None:
    authority = Authority()
    authority.server().put(tmp_path)
    (tmp_path / "ca.crt").write_bytes(authority.pem)
    rest = 'roles = ["worker"]\nnamespaces = ["default"]'
    auth = token_file(
        tmp_path,
        [
            entry('certificate = "bob"', "bob", rest + f"\nexpires = {EXPIRES.isoformat()}"),
            entry(hash_line("t"), "ana", rest),
        ],
    )
    files = {"tls_cert": str(tmp_path / "tls.crt"), "tls_key": str(tmp_path / "tls.key")}
    async with serving(lite_url, auth=auth, tls_client_ca=str(tmp_path / "ca.crt"), **files) as world:
        pair = authority.client("bob")
        credentials = grpc.ssl_channel_credentials(authority.pem, pair.key, pair.certificate)
        async with grpc.aio.secure_channel(f"127.0.0.1:{world.service.port}", credentials) as channel:
            bob = await Caller(channel, ()).access.WhoAmI(pb.WhoAmIRequest())
            assert (bob.subject, bob.authentication) == ("bob", pb.AUTHENTICATION_CERTIFICATE)
            assert bob.expire_time.ToDatetime(tzinfo=UTC) == EXPIRES
            # A token takes precedence over the certificate.
            ana = await Caller(channel, (("authorization", "Bearer t"),)).access.WhoAmI(pb.WhoAmIRequest())
            assert (ana.subject, ana.authentication) == ("ana", pb.AUTHENTICATION_TOKEN)


async def test_whoami_reads_no_database(lite: ServiceWorld) -> None:
    lite.service.replica.queries = None  # type: ignore[assignment]
    assert (await lite.access.WhoAmI(pb.WhoAmIRequest())).subject == "ada"
