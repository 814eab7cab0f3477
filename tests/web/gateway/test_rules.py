"""The calls about rules over plain POST, in the name of the person who has signed in."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.browsers import Browser
from tests.support.service import serving
from tests.support.token_files import TokenFile
from tests.support.web import WebWorld, gateway_for

pytestmark = pytest.mark.asyncio(loop_scope="module")

CALLS = ("CreateRule", "UpdateRule", "DeleteRule", "ListRules", "PreviewRule", "SuggestRules")
FOREIGN = {"origin": "https://evil.test"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def web(shared_lite_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WebWorld]:
    """A gateway in front of a service where pia may write rules."""
    tokens: Path = tmp_path_factory.mktemp("people") / "tokens.toml"
    people = TokenFile(tokens, pia={"roles": ["console", "policy"]}, ana={})
    async with (
        serving(shared_lite_url, auth=str(people.path)) as running,
        gateway_for(running, names=False) as gateway,
    ):
        yield gateway


async def browser_of(web: WebWorld, user: str) -> Browser:
    browser = Browser(web)
    assert (await browser.sign_in(f"{user}-token")).status == 200
    return browser


def spec(**fields: Any) -> dict[str, Any]:
    """A rule as the page sends it."""
    content = {"kind": "confirm", "title": "Run ls?", "labels": {"tool": "ls"}}
    return {
        "name": "ls",
        "reason": "it only reads",
        "match": {"labels": {"tool": "ls"}},
        "answer": {"decision": "DECISION_ACCEPT"},
        "matching": [{"content": content}],
        "notMatching": [{"content": content | {"labels": {"tool": "rm"}}}],
        "maxUses": "20",
    } | fields


async def test_the_six_calls_act_in_the_name_of_the_person(web: WebWorld) -> None:
    pia = await browser_of(web, "pia")
    request = {"spec": spec(), "requestId": "once"}
    created = await pia.call("PolicyService/CreateRule", request)
    assert created.status == 200, created.body
    rule = created.json["rule"]
    assert (rule["author"], rule["state"], rule["revision"]) == ("pia", "RULE_STATE_ACTIVE", "1")
    assert (await pia.call("PolicyService/CreateRule", request)).json["rule"] == rule, (
        "a retry makes no second"
    )
    assert (await pia.call("PolicyService/PreviewRule", {"spec": spec()})).status == 200
    assert (await pia.call("PolicyService/SuggestRules", {})).status == 200
    change = {"ruleId": rule["ruleId"], "spec": spec(name="files"), "expectedRevision": "1"}
    assert (await pia.call("PolicyService/UpdateRule", change)).json["rule"]["revision"] == "2"
    stale = await pia.call("PolicyService/UpdateRule", change)
    assert (stale.status, stale.reason) == (409, "ERROR_REASON_RULE_CHANGED")
    wrong = await pia.call("PolicyService/CreateRule", {"spec": spec(name="", matching=[])})
    [found] = [d["debug"] for d in wrong.json["details"] if d["type"] == "google.rpc.BadRequest"]
    assert {each["field"] for each in found["fieldViolations"]} == {"spec.name", "spec.matching"}
    assert (await pia.call("PolicyService/DeleteRule", {"ruleId": rule["ruleId"]})).status == 200
    listed = await pia.call("PolicyService/ListRules", {"includeDeleted": True})
    assert [each["state"] for each in listed.json["rules"]] == ["RULE_STATE_DELETED"]


@pytest.mark.parametrize("call", CALLS)
async def test_other_people_and_other_pages_cannot_call_them(web: WebWorld, call: str) -> None:
    pia, ana = await browser_of(web, "pia"), await browser_of(web, "ana")
    body = {"spec": spec()} if call in ("CreateRule", "PreviewRule") else {}
    refused = await ana.call(f"PolicyService/{call}", body)
    assert (refused.status, refused.json["code"]) == (403, "permission_denied")
    forged = await pia.call(f"PolicyService/{call}", body, **FOREIGN)
    assert forged.status == 403
    assert "policy" not in forged.body.decode()
    listed = await pia.call("PolicyService/ListRules", {})
    assert not [each for each in listed.json.get("rules", []) if each["state"] == "RULE_STATE_ACTIVE"]


async def test_the_largest_rule_passes_and_one_that_is_too_deep_does_not(web: WebWorld) -> None:
    """A rule with all its examples is far below the limits of the gateway: the service's own limits count."""
    pia = await browser_of(web, "pia")
    labels = {f"label-{n}": "x" * 60 for n in range(19)} | {"tool": "ls"}
    content = {"kind": "confirm", "title": "Run ls?", "body": "b" * 4000, "labels": labels}
    largest = spec(
        matching=[{"content": content}] * 20,
        notMatching=[{"content": content | {"labels": {"tool": "rm"}}}] * 20,
        unless=f"prompt.title == '{'x' * 4000}'",
    )
    assert len(json.dumps(largest)) > 150_000
    checked = await pia.call("PolicyService/CreateRule", {"spec": largest, "validateOnly": True})
    assert checked.status == 200, checked.body
    deep: dict[str, Any] = {}
    for _ in range(100):
        deep = {"spec": deep}
    assert (await pia.call("PolicyService/CreateRule", deep)).status == 400
