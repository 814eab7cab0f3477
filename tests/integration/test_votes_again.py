"""An approval whose votes all count again must resolve when its voters approve again."""

from __future__ import annotations

from typing import Any

from askback import AnswerStatus, Client
from tests.support.service import serving
from tests.support.token_files import TokenFile


async def test_the_same_vote_again_is_counted_again(lite_url: str, tmp_path: Any) -> None:
    people = TokenFile(tmp_path / "tokens.toml", amy={}, ben={}, root={"roles": ["admin", "client"]})
    async with serving(lite_url, auth=str(people.path)) as running:

        def client(name: str) -> Client:
            return Client(f"127.0.0.1:{running.service.port}", token=f"{name}-token")

        async with (
            client("root") as root,
            client("amy") as amy,
            client("ben") as ben,
            amy.console() as desk,
            ben.console() as seat,
        ):
            await root.ask("Release?", approval=2)
            shown = await anext(aiter(desk.prompts()))
            await shown.approve()
            await root.set_person("amy", active=False)
            theirs = await anext(aiter(seat.prompts()))
            assert (await theirs.approve()).status is AnswerStatus.RECORDED
            await root.set_person("amy", active=True)
            shown = await anext(p async for p in desk.prompts() if [v.by for v in p.votes] == ["ben"])
            assert (await shown.approve()).status is AnswerStatus.ACCEPTED
