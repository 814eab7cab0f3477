"""Settings: flags over the environment over defaults; wrong ones are refused with what would be right."""

import logging
from pathlib import Path
from typing import Any

import pytest

from askback_server.__main__ import migrate, serve
from askback_server.config import Config, ConfigError, load


def test_defaults_make_sense() -> None:
    config = load({}, {})
    assert config == Config()
    assert config.listen == "127.0.0.1:50051"
    assert config.db.startswith("sqlite")
    assert config.name  # host and process
    assert load({"replica": "r7"}, {}).name == "r7"


def test_flags_win_over_the_environment_and_that_over_defaults() -> None:
    environment = {"ASKBACK_LEASE_TTL": "7.5", "ASKBACK_BATCH": "12", "ASKBACK_MIGRATE": "yes", "OTHER": "x"}
    config = load({"lease_ttl": 3.0, "queue": None}, environment)
    assert (config.lease_ttl, config.batch, config.migrate, config.queue) == (3.0, 12, True, 8192)


@pytest.mark.parametrize(
    ("text", "value"), [("1", True), ("TRUE", True), ("no", False), ("0", False), ("", False)]
)
def test_switches_in_the_environment(text: str, value: bool) -> None:
    assert load({}, {"ASKBACK_MIGRATE": text}).migrate is value


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"listen": "50051"}, "HOST:PORT"),
        ({"listen": "127.0.0.1:x"}, "HOST:PORT"),
        ({"listen": "127.0.0.1:70000"}, "HOST:PORT"),
        ({"listen": ":50051"}, "HOST:PORT"),
        ({"listen": "0.0.0.0:50051"}, "--auth TOKENFILE"),
        ({"listen": "[::]:50051"}, "--auth TOKENFILE"),
        ({"listen": "example.com:50051"}, "--auth TOKENFILE"),
        ({"auth": "/no/such/file"}, "there is no such file"),
        ({"test_mode": True, "auth": "t", "listen": "0.0.0.0:50051"}, "leave test mode"),
        ({"db": "mysql://x"}, "sqlite+aiosqlite:///FILE or postgresql"),
        ({"db": "postgresql://x"}, "postgresql+asyncpg"),
        ({"db": "askback.db"}, "sqlite+aiosqlite:///FILE"),
        ({"lease_ttl": 0.4}, "--lease-ttl 0.4 must be between 0.5 and 3600"),
        ({"lease_ttl": float("nan")}, "--lease-ttl nan must be between"),
        ({"heartbeat": 301}, "--heartbeat"),
        ({"sweep_interval": 0}, "--sweep-interval"),
        ({"drain_wait": -1}, "--drain-wait"),
        ({"drain_grace": 601}, "--drain-grace"),
        ({"hot_jobs": 1}, "--hot-jobs"),
        ({"batch": 0}, "--batch"),
        ({"queue": 15}, "--queue"),
        ({"log_format": "xml"}, "must be text or json"),
        ({"log_level": "LOUD"}, "must be DEBUG, INFO, WARNING or ERROR"),
        ({"colour": "red"}, "unknown settings: colour"),
    ],
)
def test_a_wrong_setting_is_refused_with_the_reason(flags: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(flags, {})
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("ASKBACK_BATCH", "many", "ASKBACK_BATCH='many' is not a int"),
        ("ASKBACK_LEASE_TTL", "long", "is not a float"),
        ("ASKBACK_MIGRATE", "perhaps", "is not a bool"),
        ("ASKBACK_QUEUE", "1", "--queue 1 must be between"),
    ],
)
def test_a_wrong_environment_is_refused_with_its_name(name: str, text: str, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load({}, {name: text})
    assert says in str(refused.value)


@pytest.mark.parametrize("listen", ["localhost:1", "127.0.0.2:0", "[::1]:50051"])
def test_loopback_needs_no_authentication(listen: str) -> None:
    assert load({"listen": listen}, {}).listen == listen


def test_with_tokens_any_address_is_fine(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.toml"
    tokens.write_text("")
    assert load({"listen": "0.0.0.0:1", "auth": str(tokens)}, {}).host == "0.0.0.0"


def test_serve_says_on_stderr_what_is_wrong_and_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        assert serve({"listen": "0.0.0.0:1"}) == 2
        assert "--auth TOKENFILE" in capsys.readouterr().err
        tokens = tmp_path / "tokens.toml"
        tokens.write_text("nonsense")
        assert serve({"auth": str(tokens), "listen": "127.0.0.1:0"}) == 1
        assert "tokens.toml" in capsys.readouterr().err
        assert serve({"db": "sqlite+aiosqlite:///no/such/folder/x.db", "listen": "127.0.0.1:0"}) == 1
        assert "cannot start" in capsys.readouterr().err
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


def test_migrate_is_a_command_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert migrate({"db": f"sqlite+aiosqlite:///{tmp_path}/a.db"}) == 0
    assert "up to date" in capsys.readouterr().out
    assert migrate({"db": "nonsense"}) == 1
    assert "sqlite+aiosqlite:///FILE" in capsys.readouterr().err
    assert migrate({"db": f"sqlite+aiosqlite:///{tmp_path}/no/such/a.db"}) == 1
