"""No call returns anything outside the caller's audience, or reveals whether an object exists."""

from tests.hostile.authorisation import answers_of, request_pairs, search
from tests.hostile.secret_store import USERS, store_secrets
from tests.support.service import ServiceWorld


async def test_random_calls_never_return_a_secret_to_an_unauthorised_caller(
    service_with_tokens: ServiceWorld,
) -> None:
    """A short run of `python -m tests.hostile authorisation`."""
    assert await search(service_with_tokens, 400, seed=1) == []


async def test_hidden_and_absent_objects_get_the_same_reply(service_with_tokens: ServiceWorld) -> None:
    stored = await store_secrets(service_with_tokens.with_token("owner-token"))
    for name in ("eve", "ana", "lawyer", "nothing", "bluefolk"):
        user = next(p for p in USERS if p.name == name)
        pairs = request_pairs(user, stored)
        assert pairs
        seen = set()
        for pair in pairs:
            if (pair[1], name) in seen:
                continue  # one hidden job per method is enough
            seen.add((pair[1], name))
            hidden_answers, absent_answers = await answers_of(service_with_tokens, user, pair)
            assert hidden_answers == absent_answers, (name, pair[1])
