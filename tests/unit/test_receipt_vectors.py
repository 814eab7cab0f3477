"""The vectors of receipts: what other programs compare their verification with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from askback import InvalidReceipt, verify_receipt
from askback_server.signing import FileSigner

VECTORS = Path(__file__).parents[1] / "vectors" / "receipts"


@pytest.fixture(scope="module")
def vector() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((VECTORS / "votes.json").read_text("utf-8"))
    return found


def test_the_signer_makes_the_statement_of_the_vector(vector: dict[str, Any], tmp_path: Path) -> None:
    """Ed25519 is deterministic, so key and payload give this text and no other."""
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": [vector["private_key"]]}))
    signer = FileSigner(str(keys))
    assert signer.sign(vector["payload"]) == vector["receipt"]
    assert json.loads(signer.public_keys()) == vector["keys"]


def test_the_statements_of_the_vector_are_judged_as_it_says(vector: dict[str, Any]) -> None:
    receipt = verify_receipt(vector["receipt"], vector["keys"])
    assert receipt.payload == json.loads(vector["payload"])
    accepted = [
        what for what, statement in vector["refused"].items() if is_accepted(statement, vector["keys"])
    ]
    assert accepted == []


def is_accepted(statement: str, keys: Any) -> bool:
    try:
        verify_receipt(statement, keys)
    except InvalidReceipt:
        return False
    return True
