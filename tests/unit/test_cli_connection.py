"""How commands find the server: flags override the environment, then a profile, then the default address."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from askback.cli.connection import Connection, flags_as_typed
from askback.cli.connection_options import connection_options
from askback.cli.profiles import config_file

PROFILES = """
profile = "work"

[profiles.work]
server = "work.example:443"
token = "secret"
tls = true
ca = "ca.pem"
groups = ["release", "ops"]
namespace = "payments"

[profiles.home]
user = "ana"
"""
Connect = Callable[..., Connection]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder, and no settings in the environment."""
    import os

    for name in [name for name in os.environ if name.startswith("ASKBACK_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("USER", raising=False)
    monkeypatch.delenv("LOGNAME", raising=False)
    (tmp_path / "askback").mkdir()
    return tmp_path / "askback"


def connect(*words: str, code: int = 0, **environment: str) -> Any:
    """The connection that these arguments configure, or the output if another exit code is expected."""
    found: list[Connection] = []

    @click.command()
    @connection_options
    def command(**options: Any) -> None:
        found.append(Connection.of(options, flags_as_typed(click.get_current_context())))

    done = CliRunner().invoke(command, words, env=environment)
    assert done.exit_code == code, done.output
    return found[0] if code == 0 else done.output


def test_the_default_server_is_this_machine(home: Path) -> None:
    assert connect() == Connection()


def test_the_chosen_profile_sets_the_connection(home: Path) -> None:
    (home / "config.toml").write_text(PROFILES)
    assert connect() == Connection(
        "work.example:443",
        "secret",
        None,
        ("release", "ops"),
        "payments",
        True,
        str(home / "ca.pem"),
        profile="work",
    )
    assert "secret" not in repr(connect())


def test_flags_override_the_environment_and_that_the_profile(home: Path) -> None:
    (home / "config.toml").write_text(PROFILES)
    named = connect(
        "--profile", "work", "--token", "t1", "--namespace", "a", ASKBACK_TOKEN="t2", ASKBACK_USER="u"
    )
    assert (named.token, named.namespace, named.user, named.server) == ("t1", "a", "u", "work.example:443")
    assert connect(ASKBACK_TOKEN="t2").token == "t2"
    assert connect("--group", "x", "--group", "y").groups == ("x", "y")
    assert connect(ASKBACK_GROUP="x y").groups == ("x", "y")
    assert connect("--profile", "home") == Connection(user="ana", profile="home", flags=" --profile home")
    assert connect(ASKBACK_PROFILE="home").user == "ana"


def test_the_default_profile_sends_its_token_to_its_own_server_only(home: Path) -> None:
    (home / "config.toml").write_text(PROFILES)
    assert connect("--server", "elsewhere:1").token is None
    assert connect(ASKBACK_SERVER="elsewhere:1").token is None
    assert connect("--server", "work.example:443").token == "secret"
    assert connect("--server", "elsewhere:1", "--profile", "work").token == "secret"


def test_a_wrong_configuration_file_is_refused_with_the_reason(home: Path) -> None:
    file = home / "config.toml"
    assert "there is no profile 'x'" in connect("--profile", "x", code=2)
    for text, words in {
        "[": "config.toml",
        "server = 'x'": "it may hold",
        "profile = 'x'": "there is no [profiles.x]",
        "[profiles.a]\nsevrer = 'x'": "sevrer does not belong there",
        "[profiles.a]\nserver = 1": "of another type",
        "[profiles.a]\ngroups = 'x'": "of another type",
        "[profiles.a]\ntls = 'yes'": "of another type",
        "profiles = 1": "it may hold",
        "[profiles]\na = 1": "does not belong there",
    }.items():
        file.write_text(text)
        assert words in " ".join(connect(code=2).split()), text
    file.write_text(PROFILES)
    assert "(it has: home, work)" in connect("--profile", "x", code=2)


def test_the_login_name_is_sent_to_this_machine_only(home: Path) -> None:
    """Only if neither a user, a token nor a certificate identifies the caller."""
    for server in (
        "127.0.0.1:1",
        "localhost",
        "[::1]:5",
        "http://127.0.0.2:1",
        "unix:/tmp/s",
        "dns:///localhost:1",
    ):
        assert connect("--server", server, USER="ana").user == "ana", server
    for server in ("askback.example", "10.0.0.1:1", "https://work.example", "127.example:1"):
        assert connect("--server", server, USER="ana").user is None, server
    assert connect(USER="ana").user == "ana"
    assert connect(LOGNAME="bob").user == "bob"
    assert connect("--user", "eve", USER="ana").user == "eve"
    assert connect(ASKBACK_USER="eve", USER="ana").user == "eve"
    assert connect("--token", "t", USER="ana").user is None
    assert connect(ASKBACK_TOKEN="t", USER="ana").user is None
    assert connect("--cert", "c", "--key", "k", USER="ana").user is None
    for name in ("", " ", "jürgen", "a\nb"):
        assert connect(USER=name).user is None, name
    assert connect(USER="ana").command("job ls") == "askback job ls"


def test_tls_options_choose_roots_key_and_certificate(home: Path, tmp_path: Path) -> None:
    assert connect().tls_files() is False
    found = connect("--tls").tls_files()
    assert (found.root_certificates, found.private_key, found.certificate_chain) == (None, None, None)
    for name in ("ca", "cert", "key"):
        (tmp_path / name).write_bytes(name.encode())
    files = [word for name in ("ca", "cert", "key") for word in (f"--{name}", str(tmp_path / name))]
    found = connect(*files).tls_files()
    assert (found.root_certificates, found.private_key, found.certificate_chain) == (b"ca", b"key", b"cert")
    with pytest.raises(click.UsageError, match="go together"):
        connect("--cert", "x").tls_files()
    with pytest.raises(click.UsageError, match="--ca nowhere"):
        connect("--ca", "nowhere").tls_files()


def test_a_suggested_command_reaches_the_same_server(home: Path) -> None:
    """The typed options are repeated and quoted, except the token and the timeout."""
    typed = connect(
        "--server", "a b:1", "--token", "t", "--group", "x", "--group", "y", "--tls", "--timeout", "3s"
    )
    assert typed.command("job show 1") == "askback job show 1 --server 'a b:1' --group x --group y --tls"
    assert connect(ASKBACK_SERVER="a:1").command("job ls") == "askback job ls"


def test_the_profile_file_is_in_the_configuration_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert config_file() == tmp_path / "askback" / "config.toml"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert config_file() == tmp_path / ".config" / "askback" / "config.toml"
