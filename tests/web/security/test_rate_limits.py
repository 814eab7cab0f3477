"""Limits on how often a client may ask, and on its open pages."""

from __future__ import annotations

import pytest

from askback.web import rate_limits
from askback.web.callers import Caller
from askback.web.rate_limits import AtOnce, Rate, RateLimit, SocketCounts
from askback.web.refused import Refused
from tests.support.browsers import Browser
from tests.web.security.test_session_cookie import Clock

ANA = Caller((("authorization", "Bearer a"), ("askback-session", "1")), "1")
ANA_AGAIN = Caller((("authorization", "Bearer a"), ("askback-session", "2")), "2")
BOB = Caller((("authorization", "Bearer b"),))


@pytest.fixture
def clock() -> Clock:
    return Clock()


def take(limit: RateLimit, client: str, times: int) -> int:
    """The number of attempts that are counted."""
    done = 0
    for _ in range(times):
        try:
            limit.count(client)
        except Refused:
            continue
        done += 1
    return done


def test_a_burst_passes_and_then_a_steady_rate(clock: Clock) -> None:
    limit = RateLimit(Rate(2.0, 5), "requests", monotonic=clock)
    assert take(limit, "a", 10) == 5
    clock.now += 1.0
    assert take(limit, "a", 10) == 2
    clock.now += 100.0
    assert take(limit, "a", 10) == 5


def test_clients_do_not_share_a_limit(clock: Clock) -> None:
    limit = RateLimit(Rate(1.0, 3), "requests", monotonic=clock)
    assert take(limit, "a", 10) == 3
    assert take(limit, "b", 10) == 3


def test_a_refusal_says_how_long_to_wait(clock: Clock) -> None:
    limit = RateLimit(Rate(0.1, 1), "attempts", monotonic=clock)
    limit.count("a")
    for _ in range(2):
        with pytest.raises(Refused, match="too many attempts; wait 10 s") as refused:
            limit.count("a")
        assert refused.value.retry_after == pytest.approx(10.0)
    clock.now += 10.0
    limit.count("a")


def test_what_is_given_back_can_be_taken_again_but_no_more(clock: Clock) -> None:
    limit = RateLimit(Rate(0.1, 2), "attempts", monotonic=clock)
    assert take(limit, "a", 3) == 2
    limit.give_back("a")
    assert take(limit, "a", 3) == 1
    for _ in range(5):
        limit.give_back("a")
    assert take(limit, "a", 9) == 2


def test_what_runs_at_the_same_time_is_limited_and_given_back() -> None:
    limit = AtOnce(2, "attempts")
    with limit.one(), limit.one():
        with pytest.raises(Refused, match="too many attempts at once") as refused, limit.one():
            pass
        assert refused.value.retry_after == 1.0
    with pytest.raises(KeyError), limit.one():
        raise KeyError
    with limit.one(), limit.one():
        pass


def test_many_clients_take_bounded_memory(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "MAX_CLIENTS", 3)
    limit = RateLimit(Rate(1.0, 1), "requests", monotonic=clock)
    limit.count("kept busy")
    for number in range(100):
        take(limit, "kept busy", 1)
        limit.count(str(number))
        limit.give_back("never counted")
    assert len(limit._buckets) == 3
    with pytest.raises(Refused):
        limit.count("kept busy")


def test_pages_are_counted_by_person_and_given_back() -> None:
    counts = SocketCounts(2)
    with counts.opened(ANA), counts.opened(ANA_AGAIN), counts.opened(BOB):
        with pytest.raises(Refused) as refused, counts.opened(ANA):
            pass
        assert refused.value.reason == "TOO_MANY_SOCKETS"
    with counts.opened(ANA), counts.opened(ANA):
        pass
    assert not counts._open


def test_the_key_of_a_caller_is_no_secret_and_no_session() -> None:
    assert ANA.key == ANA_AGAIN.key != BOB.key
    assert "Bearer" not in ANA.key


async def test_one_person_cannot_keep_the_gateway_from_others(ana: Browser) -> None:
    ana.web.gateway.requests._rate = Rate(0.001, 3)
    bob = Browser(ana.web)
    await bob.sign_in("bob-token")
    async with ana.socket():
        pass
    assert (await ana.get("/session")).status == 200
    statuses = [(await ana.call("HitlService/ListPrompts")).status for _ in range(3)]
    assert statuses == [200, 429, 429]
    for answer in (await ana.get("/session"), await ana.get("/events/prompts")):
        assert (answer.status, answer.reason) == (429, "RATE_LIMIT")
    assert (await bob.call("HitlService/ListPrompts")).status == 200
