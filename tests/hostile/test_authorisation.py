"""Nothing outside a caller's audience through any door, and no way to tell what exists."""

from tests.hostile.authorisation import answers_of, search, twins
from tests.hostile.scene import PEOPLE, staged
from tests.support.service import World


async def test_no_secret_reaches_one_who_may_not_see_it(guarded: World) -> None:
    """The small form of `make chaos`."""
    assert await search(guarded, 400, seed=1) == []


async def test_what_one_may_not_see_and_what_is_not_there_get_the_same_answer(guarded: World) -> None:
    stage = await staged(guarded.with_token("owner-token"))
    for name in ("eve", "ana", "lawyer", "nothing", "bluefolk"):
        person = next(p for p in PEOPLE if p.name == name)
        pairs = twins(person, stage)
        assert pairs
        seen = set()
        for pair in pairs:
            if (pair[1], name) in seen:
                continue  # one job and its prompt for each call are enough
            seen.add((pair[1], name))
            there, nowhere = await answers_of(guarded, person, pair)
            assert there == nowhere, (name, pair[1])
