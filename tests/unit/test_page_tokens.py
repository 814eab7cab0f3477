"""A page token is valid only for the query that it was issued for."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askback_server.domain.errors import BadPageToken
from askback_server.domain.jobs import JobState
from askback_server.domain.principals import Principal, Role
from askback_server.ports.queries import JobFilter, PromptFilter
from askback_server.transport.page_tokens import digest_query, seal, unseal

SECRET = b"s" * 32


@given(st.lists(st.none() | st.integers() | st.text(st.characters(exclude_categories=("Cs",)))))
def test_a_token_returns_its_cursor(cursor: list[Any]) -> None:
    token = seal(SECRET, "q", cursor)
    assert unseal(SECRET, "q", token) == cursor
    assert token.replace("-", "").replace("_", "").isalnum()


def test_a_token_of_another_query_or_service_is_refused() -> None:
    token = seal(SECRET, "q", [1, None, "x"])
    for secret, query in ((SECRET, "p"), (b"t" * 32, "q"), (SECRET, "")):
        with pytest.raises(BadPageToken):
            unseal(secret, query, token)


def test_a_changed_or_invented_token_is_refused() -> None:
    raw = bytearray(urlsafe_b64decode(seal(SECRET, "q", ["abcd"]) + "=="))
    for index in range(len(raw)):
        changed = bytearray(raw)
        changed[index] ^= 1
        with pytest.raises(BadPageToken):
            unseal(SECRET, "q", urlsafe_b64encode(changed).decode().rstrip("="))
    for invented in ("", "x", "A" * 64, "é", "!" * 40, "A" * 100_000, "\0", "AAAAA"):
        with pytest.raises(BadPageToken):
            unseal(SECRET, "q", invented)


def test_a_digest_ignores_the_order_of_a_query() -> None:
    def query(**given: Any) -> str:
        viewer = Principal("ada", frozenset({Role.CONSOLE, Role.CLIENT}), ("a",), frozenset("xyz"))
        return digest_query("ListPrompts", PromptFilter("a", viewer, **given))

    assert query(labels={"a": "1", "b": "2"}) == query(labels={"b": "2", "a": "1"})
    digests = {
        query(),
        query(labels={"a": "1"}),
        query(labels={"a": "2"}),
        query(kinds=("a", "b")),
        query(kinds=("b", "a")),
        query(kinds=("a,b",)),
        query(job_types=("a", "b")),
        digest_query("ListPrompts", PromptFilter("a")),
        digest_query("ListAnswers", PromptFilter("a")),
        digest_query("a", "b"),
        digest_query("ab"),
        digest_query(1),
        digest_query("1"),
    }
    assert len(digests) == 13
    moments = [
        JobFilter("a", (JobState.FAILED,), created_after=datetime(2026, 1, d, tzinfo=UTC)) for d in (1, 2)
    ]
    assert len({digest_query(f) for f in moments}) == 2
    with pytest.raises(TypeError):
        digest_query(object())
