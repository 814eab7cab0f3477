"""The sealed cookie: only a gateway with its key can read or make one, and it ends in time."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from askback.web.session_cookie import (
    IDLE_SECONDS,
    RENEW_SECONDS,
    SESSION_SECONDS,
    SessionCookies,
    TooLarge,
)
from askback.web.session_keys import BadKeyFile, GeneratedKey, KeyFile
from tests.support.browsers import new_key

ANA = (("authorization", "Bearer secret-of-ana"),)


class Clock:
    """The one mock: seconds since 1970, and monotonic ones."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cookies(clock: Clock) -> SessionCookies:
    return SessionCookies(GeneratedKey(), secure=True, now=clock)


def value_of(set_cookie: str) -> str:
    return set_cookie.partition(";")[0].partition("=")[2]


def test_a_cookie_opens_to_its_session(cookies: SessionCookies, clock: Clock) -> None:
    session = cookies.start(ANA)
    found = cookies.open(value_of(cookies.seal(session)))
    assert found is not None
    assert (found.session_id, found.credential, found.ends_at) == (
        session.session_id,
        ANA,
        clock.now + SESSION_SECONDS,
    )


def test_ids_of_sessions_are_random_and_fit_into_metadata(cookies: SessionCookies) -> None:
    ids = {cookies.start(ANA).session_id for _ in range(100)}
    assert len(ids) == 100
    assert all(len(each) >= 22 and each.isascii() for each in ids)


def test_the_content_cannot_be_read(cookies: SessionCookies) -> None:
    session = cookies.start(ANA)
    value = value_of(cookies.seal(session))
    decoded = b"".join(base64.urlsafe_b64decode(part + "===") for part in value.split(".") if part)
    for secret in ("secret-of-ana", "authorization", session.session_id):
        assert secret.encode() not in decoded
        assert base64.b64encode(secret.encode())[:-4] not in value.encode()
    header = json.loads(base64.urlsafe_b64decode(value.partition(".")[0] + "==="))
    assert (header["alg"], header["enc"]) == ("dir", "A256GCM")


@pytest.mark.parametrize(
    ("secure", "name", "others"),
    [(True, "__Host-askback", {"Secure"}), (False, "askback-dev", set())],
)
def test_the_attributes_keep_scripts_and_other_sites_out(secure: bool, name: str, others: set[str]) -> None:
    cookies = SessionCookies(GeneratedKey(), secure=secure)
    for header, lasts in ((cookies.seal(cookies.start(ANA)), "900"), (cookies.removal(), "0")):
        pair, *attributes = header.split("; ")
        assert pair.startswith(f"{name}=")
        assert set(attributes) == {"Path=/", "HttpOnly", "SameSite=Strict", f"Max-Age={lasts}", *others}


def test_a_changed_cookie_is_refused(cookies: SessionCookies) -> None:
    value = value_of(cookies.seal(cookies.start(ANA)))
    head, key, nonce, text, tag = value.split(".")

    def flip(part: str) -> Iterator[str]:
        for at in range(0, max(len(part) - 1, 0), 7):
            yield part[:at] + ("A" if part[at] != "A" else "B") + part[at + 1 :]

    changed = [f"{h}.{key}.{nonce}.{text}.{tag}" for h in flip(head)]
    changed += [f"{head}.{key}.{n}.{text}.{tag}" for n in flip(nonce)]
    changed += [f"{head}.{key}.{nonce}.{t}.{tag}" for t in flip(text)]
    changed += [f"{head}.{key}.{nonce}.{text}.{t}" for t in flip(tag)]
    changed += ["", "x", "....", value[:-4], value + "AAAA", f"{head}.AAAA.{nonce}.{text}.{tag}", "é" * 50]
    assert len(changed) > 30
    assert [each for each in changed if cookies.open(each) is not None] == []
    assert cookies.open(value) is not None


def test_a_cookie_without_encryption_is_refused(cookies: SessionCookies) -> None:
    """Neither an unsigned one nor one of another algorithm."""
    value = value_of(cookies.seal(cookies.start(ANA)))
    kid = json.loads(base64.urlsafe_b64decode(value.partition(".")[0] + "==="))["kid"]
    for alg, enc in (("none", "A256GCM"), ("dir", "none"), ("A256KW", "A256GCM"), ("dir", "A128GCM")):
        head = json.dumps({"alg": alg, "enc": enc, "kid": kid}).encode()
        forged = base64.urlsafe_b64encode(head).decode().rstrip("=") + "." + value.partition(".")[2]
        assert cookies.open(forged) is None, alg


def test_a_cookie_of_another_key_is_refused(cookies: SessionCookies, clock: Clock) -> None:
    other = SessionCookies(GeneratedKey(), secure=True, now=clock)
    assert cookies.open(value_of(other.seal(other.start(ANA)))) is None


def test_the_cookie_of_loopback_is_none_of_https(clock: Clock) -> None:
    """Even with the same key, under the other name."""
    keys = GeneratedKey()
    here = SessionCookies(keys, secure=False, now=clock)
    there = SessionCookies(keys, secure=True, now=clock)
    assert there.open(value_of(here.seal(here.start(ANA)))) is None
    assert here.open(value_of(there.seal(there.start(ANA)))) is None


def test_an_idle_session_ends_after_15_minutes(cookies: SessionCookies, clock: Clock) -> None:
    value = value_of(cookies.seal(cookies.start(ANA)))
    clock.now += IDLE_SECONDS - 1
    assert cookies.open(value) is not None
    clock.now += 1
    assert cookies.open(value) is None


def test_a_session_in_use_ends_after_12_hours(cookies: SessionCookies, clock: Clock) -> None:
    session = cookies.start(ANA)
    began = clock.now
    value = value_of(cookies.seal(session))
    while found := cookies.open(value):
        last = clock.now
        header = cookies.seal(found)
        assert f"Max-Age={int(min(IDLE_SECONDS, began + SESSION_SECONDS - clock.now))}" in header
        value = value_of(header)
        clock.now += 600
    assert began + SESSION_SECONDS - 600 <= last < began + SESSION_SECONDS


def test_a_session_ends_with_its_token(cookies: SessionCookies, clock: Clock) -> None:
    session = cookies.start(ANA).ending_by(clock.now + 100)
    value = value_of(cookies.seal(session))
    clock.now += 100
    assert cookies.open(value) is None
    assert (
        cookies.start(ANA).ending_by(clock.now + 10 * SESSION_SECONDS).ends_at == clock.now + SESSION_SECONDS
    )


def test_clocks_of_gateways_may_differ_by_a_minute(cookies: SessionCookies, clock: Clock) -> None:
    value = value_of(cookies.seal(cookies.start(ANA)))
    clock.now -= 60
    assert cookies.open(value) is not None
    clock.now -= 1
    assert cookies.open(value) is None


def test_a_cookie_is_renewed_after_a_minute(cookies: SessionCookies, clock: Clock) -> None:
    found = cookies.open(value_of(cookies.seal(cookies.start(ANA))))
    assert found is not None
    assert not cookies.is_due(found)
    clock.now += RENEW_SECONDS
    assert cookies.is_due(found)


def test_a_token_that_fits_no_cookie_is_refused(cookies: SessionCookies) -> None:
    long = (("authorization", "Bearer " + "x" * 2_600),)
    assert cookies.open(value_of(cookies.seal(cookies.start(long)))) is not None
    with pytest.raises(TooLarge):
        cookies.seal(cookies.start((("authorization", "Bearer " + "x" * 3_100),)))


# --- key files ---


def test_keys_rotate_without_a_sign_out(tmp_path: Path, clock: Clock) -> None:
    path, old, new = tmp_path / "keys", new_key(), new_key()
    path.write_text(f"# session keys\n{old}\n")
    here = SessionCookies(KeyFile(path, monotonic=clock), secure=True, now=clock)
    value = value_of(here.seal(here.start(ANA)))
    path.write_text(f"{new}  # November\n{old}\n")
    clock.now += 2
    found = here.open(value)
    assert found is not None
    assert here.is_due(found), "a newer key seals: renew at once"
    renewed = value_of(here.seal(found))
    path.write_text(new)
    clock.now += 2
    assert here.open(value) is None
    assert here.open(renewed) is not None
    again = SessionCookies(KeyFile(path), secure=True, now=clock)
    assert again.open(renewed) is not None, "another gateway with the file"


def test_a_bad_new_file_leaves_the_keys_in_use(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    path, key = tmp_path / "keys", new_key()
    path.write_text(key)
    keys = KeyFile(path, monotonic=clock)
    before = keys.current()
    for text in (key[:-8], ""):
        path.write_text(text)
        clock.now += 2
        assert keys.current() == before
    path.unlink()
    clock.now += 2
    assert keys.current() == before
    assert caplog.text.count("cannot be used") == 3
    assert key[:12] not in caplog.text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "has no key"),
        ("# only a comment\n", "has no key"),
        ("c2hvcnQ=\n", "line 1 is not 32 random bytes"),
        (f"{'A' * 43}=\npass\u00f6rd\n", "line 2 is not 32 random bytes"),
        ("\x00\x01", "line 1 is not 32 random bytes"),
    ],
)
def test_a_bad_file_stops_the_start_and_shows_no_key(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "keys"
    path.write_text(text)
    with pytest.raises(BadKeyFile, match=problem) as error:
        KeyFile(path)
    assert not text.strip() or text.strip() not in str(error.value)


def test_a_missing_file_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(BadKeyFile, match="cannot be read: No such file"):
        KeyFile(tmp_path / "none")
