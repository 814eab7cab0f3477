"""Receipts from the server to an auditor without one: signed, kept, verified, and refused where changed."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from askback import AuditFailed, Client, InvalidReceipt, NotFound, Receipt, ReceiptUnavailable, verify_receipt
from askback.sync import Client as SyncClient
from askback.v1 import hitl_service_pb2 as pb
from askback.v1 import policy_service_pb2 as policy
from askback_server.signing import add_key, public_set, signer
from tests.support.refusals import expect_refusal
from tests.support.requests import answer, confirm
from tests.support.service import ServiceWorld, serving
from tests.support.shell import CommandResult, Shell

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "signing-keys.json"
    add_key(str(path))
    return path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(shared_lite_url: str, keys: Path) -> AsyncIterator[ServiceWorld]:
    async with serving(shared_lite_url, signing_keys=str(keys)) as running:
        yield running


@pytest.fixture
async def client(world: ServiceWorld) -> AsyncIterator[Client]:
    async with Client(f"127.0.0.1:{world.service.port}", user="ann") as client:
        yield client


@pytest.fixture
def run(world: ServiceWorld, tmp_path: Path) -> Iterator[Any]:
    """Runs `askback`; returns the result."""
    shell = Shell(tmp_path, f"127.0.0.1:{world.service.port}")

    async def run(*words: str, **more: str) -> CommandResult:
        return await shell.run(*words, **more)

    yield run
    shell.end()


async def decided(world: ServiceWorld, **fields: Any) -> Any:
    """A prompt that `ann` has accepted."""
    prompt = await world.create_prompt(confirm("Deploy 1.4?", **fields))
    await world.as_user("ann").hitl.AnswerPrompt(answer(prompt, comment="go"))
    return prompt


def with_payload(receipt: Receipt, **changed: Any) -> str:
    """The statement with another payload and the same signature."""
    header, _, signature = receipt.statement.split(".")
    text = json.dumps({**receipt.payload, **changed}).encode()
    return f"{header}.{base64.urlsafe_b64encode(text).decode().rstrip('=')}.{signature}"


async def test_a_receipt_verifies_with_the_keys_of_the_server_alone(
    world: ServiceWorld, client: Client
) -> None:
    prompt = await decided(world)
    receipt = await client.receipt(prompt.prompt_id)
    keys = await client.receipt_keys()
    found = verify_receipt(receipt.statement, keys)
    assert found == receipt
    assert (found.decision, found.decided_by, found.state) == ("ACCEPT", "ann", "ANSWERED")
    assert found.shown_digest == prompt.shown_digest
    assert found.differences(await client.prompt(prompt.prompt_id)) == []
    by_key = await client.receipt(job_id=prompt.job_id, key=prompt.key)
    assert by_key == receipt, "the same text, as long as the same key signs"

    def blocking() -> tuple[Receipt, str]:
        with SyncClient(f"127.0.0.1:{world.service.port}") as plain:
            return plain.receipt(prompt.prompt_id), plain.receipt_keys()

    assert await asyncio.to_thread(blocking) == (receipt, keys)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"decided_by": "eve"}, "signature is wrong"),
        ({"type": "askback.checkpoint.v1"}, "not a receipt that this version knows"),
        ({"decision": None, "answer": {"decision": "MAYBE"}}, "missing or wrong"),
    ],
)
async def test_a_changed_receipt_is_refused(
    world: ServiceWorld, client: Client, changed: dict[str, Any], problem: str
) -> None:
    receipt = await client.receipt((await decided(world)).prompt_id)
    with pytest.raises(InvalidReceipt, match=problem):
        verify_receipt(with_payload(receipt, **changed), await client.receipt_keys())


async def test_no_other_statement_of_the_key_counts_as_a_receipt(
    world: ServiceWorld, client: Client, keys: Path
) -> None:
    """A checkpoint is signed by the same key. A payload that looks like a receipt is not enough."""
    receipt = await client.receipt((await decided(world)).prompt_id)
    forged = signer(str(keys))(json.dumps(dict(receipt.payload)))
    with pytest.raises(InvalidReceipt, match="something else"):
        verify_receipt(forged, public_set(str(keys)))


async def test_keys_rotate_and_a_stranger_s_key_is_refused(
    world: ServiceWorld, client: Client, keys: Path, tmp_path: Path
) -> None:
    prompt = await decided(world)
    old = await client.receipt(prompt.prompt_id)
    for _ in range(2):
        add_key(str(keys))
    new = await client.receipt(prompt.prompt_id)
    published = await client.receipt_keys()
    listed = [each["kid"] for each in json.loads(published)["keys"]]
    assert (listed[0], listed[2]) == (new.kid, old.kid)
    assert not any("d" in each for each in json.loads(published)["keys"]), "no private key leaves the server"
    assert (
        verify_receipt(old.statement, published).payload == verify_receipt(new.statement, published).payload
    )
    with pytest.raises(InvalidReceipt, match="have no such"):
        verify_receipt(new.statement, published, thumbprint=old.kid)
    other = tmp_path / "other.json"
    add_key(str(other))
    with pytest.raises(InvalidReceipt, match="have no such"):
        verify_receipt(new.statement, public_set(str(other)))
    renamed = json.loads(public_set(str(other)))
    renamed["keys"][0]["kid"] = new.kid
    with pytest.raises(InvalidReceipt, match="signature is wrong"):
        verify_receipt(new.statement, renamed)
    with pytest.raises(InvalidReceipt, match="thumbprint"):
        verify_receipt(new.statement, renamed, thumbprint=new.kid)


async def test_a_file_of_keys_that_cannot_be_read_any_more_signs_nothing(
    world: ServiceWorld, client: Client, keys: Path
) -> None:
    prompt, kept = await decided(world), keys.read_bytes()
    keys.write_text("{}")
    try:
        with pytest.raises(ReceiptUnavailable) as refused:
            await client.receipt(prompt.prompt_id)
        assert refused.value.because == "NO_KEY"
        assert json.loads(await client.receipt_keys()) == {"keys": []}
    finally:
        keys.write_bytes(kept)
    assert (await client.receipt(prompt.prompt_id)).kid


async def test_who_may_not_read_the_prompt_gets_no_receipt(world: ServiceWorld) -> None:
    prompt = await decided(world, audience={"users": ["ann"]})
    request = pb.GetReceiptRequest(prompt_id=prompt.prompt_id)
    assert (await world.as_user("ann").hitl.GetReceipt(request)).receipt
    missing = pb.GetReceiptRequest(job_id=prompt.job_id, key="none")
    await expect_refusal(world.hitl.GetReceipt(missing), "NOT_FOUND", "PROMPT_NOT_FOUND")
    for wrong in (pb.GetReceiptRequest(), pb.GetReceiptRequest(prompt_id=prompt.prompt_id, key="k")):
        await expect_refusal(world.hitl.GetReceipt(wrong), "INVALID_ARGUMENT", "INVALID_FIELD")


async def test_errors_say_why_there_is_none(world: ServiceWorld, client: Client, lite_url: str) -> None:
    prompt = await world.create_prompt()
    with pytest.raises(ReceiptUnavailable, match="open") as refused:
        await client.receipt(prompt.prompt_id)
    assert refused.value.because == "OPEN"
    with pytest.raises(NotFound):
        await client.receipt("0199c1de-0000-7000-8000-000000000000")
    closed = await decided(world)
    sql = "UPDATE hitl_interactions SET priority = 7 WHERE interaction_id = ?"
    await world.service.replica.queries._store._dialect.run(  # type: ignore[attr-defined]
        lambda connection: connection.exec_driver_sql(sql, (closed.prompt_id,))
    )
    with pytest.raises(AuditFailed, match="priority") as damaged:
        await client.receipt(closed.prompt_id)
    assert damaged.value.code == "DATA_LOSS"
    async with serving(lite_url) as other:
        prompt = await decided(other)
        request = pb.GetReceiptRequest(prompt_id=prompt.prompt_id)
        found = await expect_refusal(
            other.hitl.GetReceipt(request), "FAILED_PRECONDITION", "RECEIPT_UNAVAILABLE"
        )
        assert found.metadata["because"] == "NO_KEY"
        listed = await other.policies.ListReceiptKeys(policy.ListReceiptKeysRequest())
        assert json.loads(listed.jwks_json) == {"keys": []}


async def test_an_auditor_verifies_a_file_without_a_server(
    world: ServiceWorld, run: Any, tmp_path: Path
) -> None:
    prompt = await decided(world)
    kept, file = tmp_path / "keys.json", tmp_path / "receipt.json"
    kept.write_text((await run("receipt", "keys")).out, encoding="utf-8")
    file.write_text((await run("receipt", "get", prompt.prompt_id)).out, encoding="utf-8")
    away = {"ASKBACK_SERVER": "127.0.0.1:1"}
    good = await run("receipt", "verify", str(file), "--keys", str(kept), "-o", "table", **away)
    assert (good.code, good.err) == (0, "")
    assert "ACCEPT" in good.out
    assert "Deploy 1.4?" in good.out
    assert "key comes from the file" in (await run("receipt", "verify", str(file), **away)).err
    shown = json.loads((await run("receipt", "verify", str(file), "--json", **away)).out)
    assert (shown["valid"], shown["trusted"]) == (True, False)
    document = json.loads(file.read_text("utf-8"))
    thumbprint = json.loads(kept.read_text("utf-8"))["keys"][0]["kid"]
    pinned = await run("receipt", "verify", str(file), "--thumbprint", thumbprint, "--json", **away)
    assert json.loads(pinned.out)["trusted"]
    alone = tmp_path / "alone.jws"
    alone.write_text(document["receipt"], encoding="utf-8")
    assert (await run("receipt", "verify", str(alone), "--keys", str(kept), **away)).code == 0
    assert (await run("receipt", "verify", str(alone), **away)).code == 2
    assert (await run("receipt", "verify", str(kept), **away)).code == 2
    assert (await run("receipt", "verify", str(file), "--keys", str(alone), **away)).code == 2
    several = json.loads(kept.read_text("utf-8"))
    several["keys"].insert(0, {"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "for something else"})
    kept.write_text(json.dumps(several), encoding="utf-8")
    assert (await run("receipt", "verify", str(file), "--keys", str(kept), **away)).code == 0


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("content", "title"), "Deploy 1.5?", "content"),
        (("resolution", "answer", "comment"), "no", "answer.comment"),
        (("resolution", "answer", "decision"), "DECISION_REJECT", "answer.decision"),
        (("resolution", "answer", "userId"), "eve", "answer.user_id"),
        (("resolution", "actor"), "eve", "decided_by"),
        (("state",), "PROMPT_STATE_CANCELLED", "state"),
        (("namespace",), "other", "namespace"),
        (("requestedBy",), "eve", "requested_by"),
        (("resolution", "reason"), "not needed", "reason"),
        (("resolution", "answer", "batchId"), "b", "answer.batch_id"),
        (("resolution", "answer", "createTime"), "2026-01-01T00:00:00Z", "answer.at"),
    ],
)
async def test_a_changed_prompt_in_the_file_is_named(
    world: ServiceWorld, run: Any, tmp_path: Path, path: tuple[str, ...], value: str, named: str
) -> None:
    document = json.loads((await run("receipt", "get", (await decided(world)).prompt_id)).out)
    inner = document["prompt"]
    for name in path[:-1]:
        inner = inner[name]
    assert inner.get(path[-1]) != value
    inner[path[-1]] = value
    file = tmp_path / "changed.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    found = await run("receipt", "verify", str(file), "--json")
    assert found.code == 5
    assert json.loads(found.out)["differences"] == [named]
