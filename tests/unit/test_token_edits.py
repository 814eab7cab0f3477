"""A token file is edited entry by entry: all other lines stay, and a server accepts the result."""

import os
import threading
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from askback.cli import main
from askback_server.transport.token_edits import (
    NoSuchEntry,
    SeveralEntries,
    add_token,
    read_entries,
    revoke_token,
)
from askback_server.transport.tokens import BadTokenFile, TokenFile, hash_token

ANA, BOB, CLI = (hash_token(name) for name in ("ana", "bob", "cli"))
FILE = f"""# Who may call. Ask ops before you change it.
[[tokens]]   # the first
sha256 = "{ANA}"
subject = "ana"
roles = ["console"]     # no admin!
namespaces = ["default"]

# bob's laptop
# (since May)
[[tokens]]
sha256 = "{BOB}"
subject = "bob"
roles = ["worker"]
namespaces = [
    "default",
]

# of a newer version
[[tokens]]
oidc = "https://id.example"
subject = "carol"
[tokens.more]
deep = 1

# end of the list
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "tokens.toml"
    file.write_text(FILE)
    file.chmod(0o600)
    return file


def test_a_new_token_is_appended_and_only_its_hash_is_kept(path: Path) -> None:
    expires = datetime(2030, 1, 1, 12, 0, 0, 5, UTC)
    token = add_token(
        str(path),
        'Dä "d"',
        roles=["client", "console"],
        namespaces=["a", "b"],
        groups=["ops"],
        expires=expires,
    )
    text = path.read_text()
    assert text.startswith(FILE)
    assert token not in text
    assert len(token) >= 43
    *_, added = tomllib.loads(text)["tokens"]
    assert added == {
        "sha256": hash_token(token),
        "subject": 'Dä "d"',
        "roles": ["client", "console"],
        "namespaces": ["a", "b"],
        "groups": ["ops"],
        "expires": expires.replace(microsecond=0),
    }
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(path.parent) == [path.name]


def test_a_new_token_file_is_private_and_readable_by_a_server(tmp_path: Path) -> None:
    path = tmp_path / "new.toml"
    token = add_token(str(path), "ana", roles=["console"], namespaces=["default"])
    assert path.stat().st_mode & 0o777 == 0o600
    known = TokenFile(path).authenticate([("authorization", f"Bearer {token}")])
    assert known.subject == "ana"


def test_revoking_removes_an_entry_with_its_comment_only(path: Path) -> None:
    [gone] = revoke_token(str(path), "bob")
    assert gone.subject == "bob"
    before, _, rest = FILE.partition("# bob's laptop\n")
    assert path.read_text() == before + rest[rest.index("# of a newer version") :]
    revoke_token(str(path), ANA[:8].upper())
    assert path.read_text() == (
        "# Who may call. Ask ops before you change it.\n" + rest[rest.index("# of a newer version") :]
    )


def test_comments_after_the_last_entry_stay(path: Path) -> None:
    revoke_token(str(path), "carol")
    assert path.read_text() == FILE[: FILE.index("# of a newer version")] + "\n# end of the list\n"


def test_the_mode_and_a_link_to_the_file_are_kept(path: Path) -> None:
    path.chmod(0o640)
    link = path.parent / "link.toml"
    link.symlink_to(path.name)
    add_token(str(link), "dan", roles=["client"], namespaces=["*"])
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert [entry.subject for entry in read_entries(str(path))] == ["ana", "bob", "carol", "dan"]


@pytest.mark.parametrize(
    ("text", "name", "error"),
    [
        (FILE, "nobody", NoSuchEntry),
        (FILE, ANA[:5], NoSuchEntry),
        (FILE + f'[[tokens]]\nsha256 = "{CLI}"\nsubject = "bob"\n', "bob", SeveralEntries),
        (f'[[tokens]]\nsha256 = "{CLI}"\nsubject = "cli"\n', "cli", BadTokenFile),
        (f'tokens = [{{sha256 = "{ANA}", subject = "ana"}}, {{subject = "b"}}]\n', "ana", BadTokenFile),
        (FILE + '[[tokens]]\nsubject = """\n[[tokens]]\n"""\n', "ana", BadTokenFile),
        (FILE + "[other]\n", "carol", BadTokenFile),
        ("[[tokens", "ana", BadTokenFile),
    ],
)
def test_a_refused_revocation_changes_nothing(
    path: Path, text: str, name: str, error: type[Exception]
) -> None:
    path.write_text(text)
    with pytest.raises(error):
        revoke_token(str(path), name)
    assert path.read_text() == text


def test_all_tokens_of_a_subject_are_revoked(path: Path) -> None:
    path.write_text(FILE + f'[[tokens]]\nsha256 = "{CLI}"\nsubject = "bob"\n')
    assert [entry.name for entry in revoke_token(str(path), "bob", every=True)] == [BOB[:12], CLI[:12]]
    assert [entry.subject for entry in read_entries(str(path))] == ["ana", "carol"]


@pytest.mark.parametrize(
    "wrong",
    [{"roles": ["boss"]}, {"roles": []}, {"namespaces": []}, {"subject": " "}, {"subject": "x" * 300}],
    ids=str,
)
def test_an_entry_that_a_server_would_refuse_is_not_added(path: Path, wrong: dict[str, object]) -> None:
    given = {"subject": "x", "roles": ["client"], "namespaces": ["default"], **wrong}
    with pytest.raises(ValueError, match=r"roles|namespaces|subject"):
        add_token(str(path), **given)  # type: ignore[arg-type]
    assert path.read_text() == FILE


def test_two_edits_at_once_are_both_kept(path: Path) -> None:
    def add(name: str) -> None:
        add_token(str(path), name, roles=["client"], namespaces=["default"])

    threads = [threading.Thread(target=add, args=(f"t{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {entry.subject for entry in read_entries(str(path))} >= {f"t{number}" for number in range(8)}


def run(*words: str, **environment: str) -> Result:
    """Run `askback token` with these arguments."""
    return CliRunner().invoke(main, ["token", *words], env=environment, prog_name="askback")


def test_token_commands_find_the_file_by_option_environment_or_settings(tmp_path: Path) -> None:
    """add, ls and revoke find the file by an option, the environment or the server's settings."""
    path, config = tmp_path / "tokens.toml", tmp_path / "askback.toml"
    config.write_text(f"auth = {str(path)!r}\n")
    made = run("add", "ana", "--role", "console", "--group", "ops", "--expires", "1d12h", "--auth", str(path))
    assert made.exit_code == 0
    [token] = made.stdout.splitlines()
    assert "the token is not shown again" in made.stderr
    assert hash_token(token) in path.read_text()
    again = run("add", "bob", "--role", "worker", "--json", ASKBACK_AUTH=str(path))
    assert '"subject": "bob"' in again.stdout
    listed = run("ls", "--config", str(config)).stdout
    assert hash_token(token)[:12] in listed
    assert token not in listed
    assert listed.splitlines()[0].split("\t")[1:5] == ["ana", "console", "default", "ops"]
    gone = run("revoke", "bob", "--auth", str(path))
    assert (gone.exit_code, gone.stdout[:8]) == (0, "revoked ")
    assert run("revoke", "bob", "--auth", str(path)).exit_code == 3
    assert run("ls").stderr.startswith("askback: no token file is named: give --auth FILE")
    last = run("revoke", "ana", "--auth", str(path))
    assert last.exit_code == 2
    assert "a running server would keep the old ones" in last.stderr
    path.write_text("")
    with pytest.raises(BadTokenFile, match="has no entries: make one with `askback token add`"):
        TokenFile(path)


INLINE = 'tokens = [\n {sha256 = "1", subject = "bob", roles = ["client"], namespaces = ["a"]},\n]\n'
LINES_IN_A_TEXT = """\
[["tokens"]]
subject = '''
[[tokens]]
bob'''
sha256 = "1"
[["tokens"]]
subject = "eve"
sha256 = "2"
"""


def test_toml_that_cannot_be_edited_line_by_line_is_refused(path: Path) -> None:
    path.write_text(INLINE)
    with pytest.raises(BadTokenFile, match="edit it by hand"):
        add_token(str(path), "x", roles=["client"], namespaces=["a"])
    assert path.read_text() == INLINE
    path.write_text(LINES_IN_A_TEXT)
    with pytest.raises(BadTokenFile, match="edit it by hand"):
        revoke_token(str(path), "eve")
    assert path.read_text() == LINES_IN_A_TEXT
