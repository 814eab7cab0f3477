"""Origins and hosts are compared whole and normalised."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from askback.web.origins import Origins, normal_origin
from askback.web.refused import Refused

PAGE = Origins(["https://inbox.example"])

LOOK_ALIKES = [
    "https://inbox.example.evil.test",
    "https://inbox.example@evil.test",
    "https://evil.test#https://inbox.example",
    "https://evil.test/https://inbox.example",
    "https://xinbox.example",
    "https://sub.inbox.example",
    "https://inbox.example.",
    "https://inbox.exampl",
    "https://inbox.example:8443",
    "https://inbox.example:443",
    "https://inbox.example/",
    "https://INBOX.example",
    "https://inb\u043ex.example",
    "https://xn--inbx-yqe.example",
    "http://inbox.example",
    "wss://inbox.example",
    "file://",
    "https://inbox.example https://evil.test",
    "null",
    "",
    "https://evil.test",
    "*",
]
"""Browsers send an origin in one way only, so any other text is foreign too."""


def headers(*pairs: tuple[str, str]) -> Headers:
    return Headers(raw=[(name.encode(), text.encode()) for name, text in pairs])


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("https://inbox.example", "https://inbox.example"),
        ("https://Inbox.Example/", "https://inbox.example"),
        ("https://inbox.example:443", "https://inbox.example"),
        ("https://inbox.example:8443", "https://inbox.example:8443"),
        ("http://localhost:80", "http://localhost"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[0:0::1]:8080", "http://[::1]:8080"),
        ("https://b\u00fccher.example", "https://xn--bcher-kva.example"),
    ],
)
def test_origins_are_normalised_as_browsers_write_them(text: str, normal: str) -> None:
    assert normal_origin(text) == normal


@pytest.mark.parametrize(
    "text",
    [
        "inbox.example",
        "https://",
        "https://inbox.example/page",
        "https://inbox.example?x",
        "https://user:secret@inbox.example",
        "https://inbox.example:99999",
        "ftp://inbox.example",
        "http://inbox.example",
        "http://localhost.evil.test",
        "http://127.0.0.1.evil.test",
        "",
        "null",
        "*",
    ],
)
def test_a_text_that_is_no_safe_origin_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not an origin|must begin with https"):
        normal_origin(text)


def test_https_and_http_do_not_mix() -> None:
    with pytest.raises(ValueError, match="all be https"):
        Origins(["https://inbox.example", "http://localhost:8080"])
    with pytest.raises(ValueError, match="at least one"):
        Origins([])


@pytest.mark.parametrize("text", LOOK_ALIKES)
def test_look_alikes_are_foreign(text: str) -> None:
    with pytest.raises(Refused) as refused:
        PAGE.require_origin(headers(("origin", text)))
    assert refused.value.reason == "ORIGIN"


@pytest.mark.parametrize(
    ("pairs", "allowed"),
    [
        ([("origin", "https://inbox.example")], True),
        ([("origin", "https://inbox.example"), ("sec-fetch-site", "same-origin")], True),
        ([("sec-fetch-site", "same-origin")], True),
        ([("origin", "https://inbox.example"), ("sec-fetch-site", "cross-site")], False),
        ([("origin", "https://inbox.example"), ("sec-fetch-site", "same-site")], False),
        ([("origin", "https://inbox.example"), ("origin", "https://evil.test")], False),
        ([("origin", "null"), ("sec-fetch-site", "same-origin")], False),
        ([("sec-fetch-site", "none")], False),
        ([], False),
        # A proxy may add these; none of them changes the result.
        ([("x-forwarded-host", "inbox.example"), ("referer", "https://inbox.example/")], False),
        ([("origin", "https://inbox.example"), ("x-forwarded-host", "evil.test")], True),
    ],
)
def test_the_origin_or_the_browsers_word_is_needed(pairs: list[tuple[str, str]], allowed: bool) -> None:
    if allowed:
        PAGE.require_origin(headers(*pairs))
    else:
        with pytest.raises(Refused):
            PAGE.require_origin(headers(*pairs))


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("inbox.example", True),
        ("INBOX.example", True),
        ("inbox.example:443", True),
        ("inbox.example:8443", False),
        ("inbox.example.evil.test", False),
        ("evil.test", False),
        ("127.0.0.1", False),
        ("inbox.example,evil.test", False),
        ("", False),
    ],
)
def test_only_the_pages_hosts_are_served(host: str, allowed: bool) -> None:
    if allowed:
        PAGE.require_host(headers(("host", host)))
    else:
        with pytest.raises(Refused) as refused:
            PAGE.require_host(headers(("host", host)))
        assert refused.value.reason == "HOST"
