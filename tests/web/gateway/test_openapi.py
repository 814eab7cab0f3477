"""The OpenAPI description and the gateway agree."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from askback.web.contract import METHODS
from askback.web.openapi import document
from tests.architecture.sources import ROOT
from tests.support.requests import confirm
from tests.support.service import ServiceWorld
from tests.support.web import WebWorld

COMMITTED: dict[str, Any] = json.loads((ROOT / "docs/reference/openapi.json").read_text(encoding="utf-8"))


def without_descriptions(value: Any) -> Any:
    """The values without the texts that only the committed description has."""
    if isinstance(value, dict):
        return {
            k: without_descriptions(v) for k, v in value.items() if k != "description" or isinstance(v, dict)
        }
    return [without_descriptions(item) for item in value] if isinstance(value, list) else value


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "$ref":
                yield item
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


async def test_the_gateway_serves_what_is_committed(web: WebWorld) -> None:
    served = await web.request("GET", "/openapi.json")
    assert without_descriptions(served.json) == without_descriptions(COMMITTED)


def test_each_unary_call_and_each_event_stream_is_described() -> None:
    posts = {path for path, item in COMMITTED["paths"].items() if "post" in item}
    assert posts == {path for path, method in METHODS.items() if not method.streaming}
    assert COMMITTED["paths"].keys() - posts == {"/events/prompts", "/events/jobs", "/events/jobs/{id}"}


def test_the_committed_description_has_the_comments_of_the_contract() -> None:
    undescribed = [
        f"{name}.{field}"
        for name, schema in COMMITTED["components"]["schemas"].items()
        for field, shown in schema.get("properties", {}).items()
        if name != "Error" and "description" not in shown
    ]
    assert undescribed == []


def test_each_reference_leads_somewhere() -> None:
    schemas = COMMITTED["components"]["schemas"]
    events = {"WatchPromptsResponse", "WatchJobsResponse", "WatchJobResponse"}  # named in a description
    found = {name.removeprefix("#/components/schemas/") for name in references(COMMITTED)}
    assert found | events == schemas.keys()


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("HitlService/ListPrompts", {}),
        ("JobService/ListJobs", {}),
        ("AccessService/WhoAmI", {}),
        ("HitlService/GetPrompt", {"promptId": "none"}),
    ],
)
async def test_replies_fit_their_schema(
    web: WebWorld, lite: ServiceWorld, method: str, body: dict[str, str]
) -> None:
    await lite.create_prompt(confirm("Deploy?"))
    reply = await web.call(method, body)
    described = document()
    name = "Error" if reply.status != 200 else f"{method.partition('/')[2]}Response"
    schema = {"$ref": f"#/components/schemas/{name}", "components": described["components"]}
    jsonschema_rs.validate(schema, reply.json)
