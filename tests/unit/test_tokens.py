"""Authentication: tokens from a file that changes while it is used, and trusted names."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from askback_server.domain.errors import Unauthenticated
from askback_server.domain.principals import Principal, Role
from askback_server.transport.tokens import BadTokenFile, NoAuthentication, TokenFile, hash_token

ADA, SHOP = "ada-s3cret", "shop-s3cret"
GOOD = f"""
[[tokens]]
sha256 = "{hash_token(ADA)}"
subject = "ada"
roles = ["console", "admin"]
namespaces = ["eu", "us"]
groups = ["ops"]
expires = 2027-01-01T00:00:00Z

[[tokens]]
sha256 = "{hash_token(SHOP).upper()}"
subject = "shop"
roles = ["client"]
namespaces = ["*"]
"""


class Time:
    """A clock that a test moves by hand."""

    def __init__(self) -> None:
        self.at = datetime(2026, 10, 10, tzinfo=UTC)
        self.seconds = 0.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "tokens.toml"
    file.write_text(GOOD, "utf-8")
    return file


def open_tokens(path: Path, clock: Time) -> TokenFile:
    return TokenFile(path, now=clock.now, monotonic=clock.monotonic)


def bearer(token: str) -> list[tuple[str, str | bytes]]:
    return [("user-agent", "x"), ("authorization", f"Bearer {token}")]


def test_a_token_authenticates_its_principal(path: Path, clock: Time) -> None:
    tokens = open_tokens(path, clock)
    assert tokens.authenticate(bearer(ADA)) == Principal(
        "ada", frozenset({Role.CONSOLE, Role.ADMIN}), ("eu", "us"), frozenset({"ops"})
    )
    shop = tokens.authenticate([("authorization", f"bearer  {SHOP} ")])
    assert shop == Principal("shop", frozenset({Role.CLIENT}), ("default", "*"))
    assert shop.namespace("") == "default"


@pytest.mark.parametrize(
    "metadata",
    [
        [],
        bearer("guess"),
        bearer(hash_token(ADA)),
        [("authorization", ADA)],
        [("authorization", "Bearer ")],
        [("authorization", f"Basic {ADA}")],
        [("askback-user", "ada")],
        [("authorization", b"Bearer " + ADA.encode())],
    ],
)
def test_other_credentials_are_unauthenticated(
    path: Path, clock: Time, metadata: list[tuple[str, str | bytes]]
) -> None:
    with pytest.raises(Unauthenticated):
        open_tokens(path, clock).authenticate(metadata)


def test_an_expired_token_is_refused(path: Path, clock: Time) -> None:
    tokens = open_tokens(path, clock)
    clock.at = datetime(2027, 1, 1, tzinfo=UTC)
    with pytest.raises(Unauthenticated, match="expired"):
        tokens.authenticate(bearer(ADA))
    tokens.authenticate(bearer(SHOP))


def test_a_changed_file_is_read_again(path: Path, clock: Time) -> None:
    tokens = open_tokens(path, clock)
    path.write_text(GOOD.replace(hash_token(ADA), hash_token("newer")), "utf-8")
    os.utime(path, ns=(1, 1))
    assert tokens.authenticate(bearer(ADA)).subject == "ada"  # checked once a second
    clock.seconds += 1
    assert tokens.authenticate(bearer("newer")).subject == "ada"
    with pytest.raises(Unauthenticated):
        tokens.authenticate(bearer(ADA))


@pytest.mark.parametrize("broken", ["not toml [", "", None])
def test_a_file_that_becomes_invalid_keeps_the_last_valid_tokens(
    path: Path, clock: Time, broken: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    tokens = open_tokens(path, clock)
    if broken is None:
        path.unlink()
    else:
        path.write_text(broken, "utf-8")
    for _ in range(3):
        clock.seconds += 1
        assert tokens.authenticate(bearer(ADA)).subject == "ada"
    assert len(caplog.records) == 1
    assert str(path) in caplog.text
    path.write_text(GOOD.replace('"ada"', '"eva"'), "utf-8")
    clock.seconds += 1
    assert tokens.authenticate(bearer(ADA)).subject == "eva"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (('subject = "ada"', ""), r"entry 1: subject"),
        (('subject = "ada"', 'subject = " "'), r"subject"),
        ((hash_token(ADA), "12ab"), r"entry 1 \(ada\): sha256 must be"),
        ((hash_token(ADA), "x" * 64), r"entry 1 \(ada\): sha256 must be"),
        ((hash_token(SHOP).upper(), hash_token(ADA)), r"entry 2 \(shop\): sha256 is that of an earlier"),
        (('"client"', '"boss"'), r"entry 2 \(shop\): roles has 'boss'; there are: client"),
        (('["client"]', "[]"), r"entry 2 \(shop\): roles must be a list"),
        (('namespaces = ["*"]', ""), r"entry 2 \(shop\): namespaces must be a list"),
        (('["ops"]', '"ops"'), r"entry 1 \(ada\): groups must be"),
        (("2027-01-01T00:00:00Z", '"soon"'), r"entry 1 \(ada\): expires is not an ISO time"),
        (("2027-01-01T00:00:00Z", "2027"), r"entry 1 \(ada\): expires must be a time"),
        (("groups", "grups"), r"entry 1 \(ada\): grups is not a field"),
        (
            ('roles = ["client"]', 'certificate = "x"\nroles = ["client"]'),
            r"either sha256, .* or certificate",
        ),
        ((f'sha256 = "{hash_token(SHOP).upper()}"', ""), r"entry 2 \(shop\): must have either sha256"),
        ((f'sha256 = "{hash_token(SHOP).upper()}"', "certificate = 3"), r"certificate must be a name"),
        ((f'sha256 = "{hash_token(SHOP).upper()}"', 'certificate = ""'), r"certificate must be a name"),
        (("[[tokens]]", "[[token]]"), r"must hold \[\[tokens\]\]"),
        (("[[tokens]]", "[tokens"), r"tokens.toml"),
        ((GOOD, "tokens = [3]"), r"entry 1: must be a table"),
    ],
)
def test_a_bad_file_is_refused_at_the_start(
    path: Path, clock: Time, change: tuple[str, str], reason: str
) -> None:
    assert change[0] in GOOD
    path.write_text(GOOD.replace(*change), "utf-8")
    with pytest.raises(BadTokenFile, match=reason):
        open_tokens(path, clock)


def test_a_missing_file_is_refused_at_the_start(tmp_path: Path, clock: Time) -> None:
    with pytest.raises(BadTokenFile, match=r"none\.toml"):
        open_tokens(tmp_path / "none.toml", clock)


CERTIFIED = (
    GOOD
    + """
[[tokens]]
certificate = "spiffe://shop/worker"
subject = "worker"
roles = ["worker"]
namespaces = ["eu"]

[[tokens]]
certificate = "shop.example"
subject = "shop by certificate"
roles = ["client"]
namespaces = ["eu"]
expires = 2027-01-01T00:00:00Z
"""
)


def test_a_certificate_authenticates_its_owner_without_a_token(path: Path, clock: Time) -> None:
    path.write_text(CERTIFIED, "utf-8")
    tokens = open_tokens(path, clock)
    shows = {
        ("spiffe://shop/worker",): "worker",
        ("nobody", "spiffe://shop/worker", "shop.example"): "worker",  # the first entry
        ("shop.example", "spiffe://shop/worker"): "shop by certificate",
    }
    for names, subject in shows.items():
        assert tokens.authenticate([("askback-user", "eve")], lambda names=names: names).subject == subject
    assert tokens.authenticate(bearer(ADA), lambda: ("shop.example",)).subject == "ada"


@pytest.mark.parametrize("names", [(), ("nobody",), ("SHOP.example",), ("*",), (hash_token(ADA),), ("",)])
def test_certificates_with_other_names_are_unauthenticated(
    path: Path, clock: Time, names: tuple[str, ...]
) -> None:
    path.write_text(CERTIFIED, "utf-8")
    with pytest.raises(Unauthenticated) as refused:
        open_tokens(path, clock).authenticate([], lambda: names)
    assert all(name in refused.value.message for name in names)


@pytest.mark.parametrize("sent", ["Bearer guess", "Basic x", "Bearer ", "Bearer", "", b"Bearer x"])
def test_a_certificate_does_not_make_up_for_a_wrong_token(path: Path, clock: Time, sent: str | bytes) -> None:
    path.write_text(CERTIFIED, "utf-8")
    with pytest.raises(Unauthenticated):
        open_tokens(path, clock).authenticate([("authorization", sent)], lambda: ("shop.example",))


def test_a_certificate_is_refused_after_its_entry_expires_or_is_removed(path: Path, clock: Time) -> None:
    path.write_text(CERTIFIED, "utf-8")
    tokens = open_tokens(path, clock)
    clock.at = datetime(2027, 1, 1, tzinfo=UTC)
    with pytest.raises(Unauthenticated, match="expired"):
        tokens.authenticate([], lambda: ("shop.example",))
    assert tokens.authenticate([], lambda: ("spiffe://shop/worker",)).subject == "worker"
    path.write_text(GOOD, "utf-8")
    clock.seconds += 1
    with pytest.raises(Unauthenticated, match="no entry has"):
        tokens.authenticate([], lambda: ("spiffe://shop/worker",))


def test_two_entries_for_one_certificate_are_refused(path: Path, clock: Time) -> None:
    path.write_text(CERTIFIED.replace("spiffe://shop/worker", "shop.example"), "utf-8")
    with pytest.raises(BadTokenFile, match=r"entry 4 .*certificate is that of an earlier entry"):
        open_tokens(path, clock)


def test_an_expiry_may_be_text_or_without_a_zone_which_is_utc(path: Path, clock: Time) -> None:
    for written in ('"2026-10-10T02:00:00+02:00"', "2026-10-10T00:00:00"):
        path.write_text(GOOD.replace("2027-01-01T00:00:00Z", written), "utf-8")
        tokens = open_tokens(path, clock)
        with pytest.raises(Unauthenticated, match="expired"):
            tokens.authenticate(bearer(ADA))


def test_without_authentication_names_are_trusted() -> None:
    trust = NoAuthentication()
    assert trust.authenticate([]).subject == "anonymous"
    ada = trust.authenticate([("askback-user", " ada "), ("askback-groups", "ops, ,qa")])
    assert ada == Principal(
        "ada",
        frozenset({Role.CLIENT, Role.WORKER, Role.CONSOLE}),
        ("default", "*"),
        frozenset({"ops", "qa"}),
    )
    assert not ada.is_admin
    for wrong in ("", "  ", "x" * 201, "a\x00b"):
        with pytest.raises(Unauthenticated):
            trust.authenticate([("askback-user", wrong)])
