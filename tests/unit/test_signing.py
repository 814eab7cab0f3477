"""Signing keys: a file that cannot sign is refused when the server starts."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from askback_server.domain.checkpoints import BadSigningKeys
from askback_server.signing import add_key, open_statement, public_set, read_keys, signer


def test_keys_rotate_and_older_ones_still_verify(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    link = tmp_path / "link.json"
    first = add_key(str(path))
    link.symlink_to(path)
    old = signer(str(link))("payload")
    second = add_key(str(link))
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    keys = read_keys(str(path))
    assert [key.kid for key in keys] == [second, first]
    assert open_statement(old, keys) == ("payload", first)
    assert open_statement(signer(str(path))("payload"), keys) == ("payload", second)
    with pytest.raises(ValueError, match="not in the file"):
        open_statement(old, keys[:1])
    changed = old.rpartition(".")[0] + "." + "A" * 86
    with pytest.raises(ValueError, match="signature"):
        open_statement(changed, keys)
    assert [each.name for each in sorted(tmp_path.iterdir())] == ["keys.json", "link.json"]


@pytest.mark.parametrize("content", ["", "{}", '{"keys": []}', '{"keys": [{"kty": "oct", "k": "AA"}]}', "[]"])
def test_a_file_that_is_no_set_of_keys_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(content)
    with pytest.raises(BadSigningKeys):
        signer(str(path))


def test_a_key_whose_parts_do_not_belong_together_signs_nothing(tmp_path: Path) -> None:
    path, other = tmp_path / "keys.json", tmp_path / "other.json"
    for each in (path, other):
        add_key(str(each))
    [key], [stranger] = (json.loads(each.read_text())["keys"] for each in (path, other))
    path.write_text(json.dumps({"keys": [{**key, "x": stranger["x"]}]}))
    with pytest.raises(BadSigningKeys, match="does not verify"):
        signer(str(path))


def test_public_keys_verify_and_cannot_sign(tmp_path: Path) -> None:
    path, public = tmp_path / "keys.json", tmp_path / "public.json"
    kid = add_key(str(path))
    public.write_text(public_set(str(path)))
    assert open_statement(signer(str(path))("payload"), read_keys(str(public))) == ("payload", kid)
    with pytest.raises(BadSigningKeys, match="private"):
        signer(str(public))
