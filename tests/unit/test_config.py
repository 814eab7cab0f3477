"""Settings: flags override the environment, a file and defaults. Wrong ones are refused with a reason."""

import logging
import re
import sys
import threading
import tomllib
from pathlib import Path
from typing import Any

import pytest

from askback_server.__main__ import migrate, serve
from askback_server.addresses import address
from askback_server.config.options import serve_options
from askback_server.config.settings import SETTINGS, Config, ConfigError, mask_password
from askback_server.config.sources import OF_CLIENTS, OF_GATEWAYS, database_url, effective, load


def test_defaults_serve_sqlite_on_loopback() -> None:
    config = load({}, {})
    assert config == Config()
    assert config.listen == "127.0.0.1:50051"
    assert config.db.startswith("sqlite")
    assert config.name  # host and process
    assert load({"replica": "r7"}, {}).name == "r7"


def test_flags_override_the_environment_and_that_the_defaults() -> None:
    environment = {"ASKBACK_LEASE_TTL": "7.5", "ASKBACK_BATCH": "12", "ASKBACK_MIGRATE": "yes", "OTHER": "x"}
    config = load({"lease_ttl": 3.0, "queue": None}, environment)
    assert (config.lease_ttl, config.batch, config.migrate, config.queue) == (3.0, 12, True, 8192)


@pytest.mark.parametrize(
    ("text", "value"), [("1", True), ("TRUE", True), ("no", False), ("0", False), ("", False)]
)
def test_the_environment_sets_switches(text: str, value: bool) -> None:
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
        ({"hot_jobs_bytes": 1}, "--hot-jobs-bytes"),
        ({"batch": 0}, "--batch"),
        ({"queue": 15}, "--queue"),
        ({"log_format": "xml"}, "must be text or json"),
        ({"log_level": "LOUD"}, "must be DEBUG, INFO, WARNING or ERROR"),
        ({"colour": "red"}, "unknown settings: colour"),
        ({"health_listen": "8080"}, "--health-listen 8080 is not HOST:PORT"),
        ({"metrics_listen": "127.0.0.1:65536"}, "--metrics-listen 127.0.0.1:65536 is not HOST:PORT"),
        ({"tls_cert": __file__}, "needs --tls-key too"),
        ({"tls_key": __file__}, "needs --tls-cert too"),
        ({"tls_client_ca": __file__}, "needs --tls-cert and --tls-key too"),
        ({"tls_cert": "/no/such.pem", "tls_key": __file__}, "--tls-cert /no/such.pem: there is no such file"),
        ({"listen": "0.0.0.0:1", "tls_cert": __file__, "tls_key": __file__}, "--auth TOKENFILE"),
    ],
)
def test_a_wrong_setting_is_refused_with_the_reason(flags: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(flags, {})
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("ASKBACK_BATCH", "many", "ASKBACK_BATCH='many' must be a whole number between 1 and 2000"),
        ("ASKBACK_LEASE_TTL", "long", "ASKBACK_LEASE_TTL='long' must be a number between 0.5 and 3600"),
        ("ASKBACK_MIGRATE", "perhaps", "must be true or false"),
        ("ASKBACK_QUEUE", "1", "ASKBACK_QUEUE='1' must be between 16"),
        ("ASKBACK_LISTEN", "", "ASKBACK_LISTEN='' is not HOST:PORT"),
        ("ASKBACK_LOG_LEVEL", "LOUD", "ASKBACK_LOG_LEVEL='LOUD' must be DEBUG, INFO, WARNING or ERROR"),
        ("ASKBACK_CONFIG", "/no/such.toml", "/no/such.toml cannot be read: No such file"),
    ],
)
def test_a_wrong_environment_is_refused_with_its_name(name: str, text: str, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load({}, {name: text})
    assert says in str(refused.value)


@pytest.mark.parametrize("listen", ["localhost:1", "127.0.0.2:0", "[::1]:50051"])
def test_loopback_needs_no_authentication(listen: str) -> None:
    assert load({"listen": listen}, {}).listen == listen


def test_any_address_is_allowed_with_authentication(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.toml"
    tokens.write_text("")
    assert load({"listen": "0.0.0.0:1", "auth": str(tokens)}, {}).host == "0.0.0.0"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "askback.toml"


def test_the_environment_overrides_the_file_and_flags_override_both(file: Path) -> None:
    file.write_text('lease_ttl = 20\nbatch = 5\nqueue = 100\nmigrate = true\nreplica = "from the file"\n')
    environment = {"ASKBACK_CONFIG": str(file), "ASKBACK_BATCH": "6", "ASKBACK_QUEUE": "101"}
    found = effective({"queue": 102, "replica": None}, environment)
    config = found.config
    assert (config.lease_ttl, config.batch, config.queue, config.migrate) == (20.0, 6, 102, True)
    assert config.name == "from the file"
    assert type(config.lease_ttl) is float
    assert found.origins["lease_ttl"] == found.origins["replica"] == str(file)
    assert found.origins["batch"] == "ASKBACK_BATCH"
    assert found.origins["queue"] == "--queue"
    assert found.origins["listen"] == "default"


def test_the_config_flag_overrides_the_environment(file: Path) -> None:
    file.write_text("batch = 5")
    assert load({"config": str(file)}, {"ASKBACK_CONFIG": "/no/such.toml"}).batch == 5


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("lease-ttl = 3", "askback.toml: lease-ttl is not a setting; did you mean lease_ttl?"),
        ("zzz = 3", "askback.toml: zzz is not a setting; `askback serve --print-config` lists them all"),
        ("[tls]\ncert = 3", "askback.toml: tls is not a setting"),
        ("lease_ttl = 'x'", "askback.toml: lease_ttl = 'x' must be a number between 0.5 and 3600"),
        ("lease_ttl = true", "askback.toml: lease_ttl = True must be a number"),
        ("batch = 1.5", "askback.toml: batch = 1.5 must be a whole number between 1 and 2000"),
        ("batch = 0", "askback.toml: batch = 0 must be between 1 and 2000"),
        ("migrate = 'yes'", "askback.toml: migrate = 'yes' must be true or false"),
        ("auth = 3", "askback.toml: auth = 3 must be a text"),
        ("listen = 'x:y'", "askback.toml: listen = 'x:y' is not HOST:PORT"),
        ("listen = '0.0.0.0:1'", "askback.toml: listen = '0.0.0.0:1' can be reached from outside"),
        ("log_format = 'xml'", "askback.toml: log_format = 'xml' must be text or json"),
        ("lease_ttl = nan", "must be between 0.5 and 3600"),
        ("= 3", "askback.toml is not TOML: "),
    ],
)
def test_a_wrong_file_is_refused_with_its_name_the_key_and_the_expected_value(
    file: Path, text: str, says: str
) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError) as refused:
        load({"config": str(file)}, {})
    assert says in str(refused.value)


def test_the_printed_configuration_can_be_loaded_again(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text('replica = "a \\"b\\" # ü"\nlease_ttl = 20\n')
    flags = {"config": str(file), "migrate": True, "log_level": "DEBUG"}
    assert serve({**flags, "print_config": True, "batch": None}) == 0
    printed = capsys.readouterr().out
    again = file.with_name("again.toml")
    again.write_text(printed)
    assert load({"config": str(again)}, {}) == load(flags, {})
    assert set(tomllib.loads(printed)) == set(SETTINGS)
    origins = {line.partition(" = ")[0]: line.rpartition("  # ")[2] for line in printed.splitlines()}
    assert origins["lease_ttl"] == str(file)
    assert origins["migrate"] == "--migrate"
    assert origins["batch"] == "default"


def test_print_config_refuses_a_wrong_setting(capsys: pytest.CaptureFixture[str]) -> None:
    assert serve({"print_config": True, "batch": 0}) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+asyncpg://me:pass@host/a", "postgresql+asyncpg://me:***@host/a"),
        ("postgresql+asyncpg://me:pa@ss@host/a", "postgresql+asyncpg://me:***@host/a"),
        ("postgresql+asyncpg://me:pa/ss:x@host:5/a?ssl=1", "postgresql+asyncpg://me:***@host:5/a?ssl=1"),
        ("postgresql+asyncpg://me@host/a", "postgresql+asyncpg://me@host/a"),
        (
            "postgresql+asyncpg://me@host:5/a?password=p@ss&x=1",
            "postgresql+asyncpg://me@host:5/a?password=***&x=1",
        ),
        ("postgresql+asyncpg://:pass@host/a", "postgresql+asyncpg://:***@host/a"),
        ("sqlite+aiosqlite:////data/a:b@c.db", "sqlite+aiosqlite:////data/a:b@c.db"),
    ],
)
def test_no_password_is_shown(url: str, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert mask_password(url) == shown
    assert serve({"print_config": True, "db": url}) == 0
    assert tomllib.loads(capsys.readouterr().out)["db"] == shown


@pytest.mark.parametrize("source", ["flag", "environment", "file"])
def test_no_error_shows_a_password(source: str, file: Path) -> None:
    url = "mysql://me:swordfish@host/a"
    file.write_text(f'db = "{url}"')
    flags = {"flag": {"db": url}, "environment": {}, "file": {"config": str(file)}}[source]
    with pytest.raises(ConfigError) as refused:
        load(flags, {"ASKBACK_DB": url} if source == "environment" else {})
    assert "me:***@host" in str(refused.value)
    assert "swordfish" not in str(refused.value)


def test_each_setting_has_an_option_with_help_and_default() -> None:
    options = {option.name: option for option in serve_options()}
    assert set(options) == {*SETTINGS, "config", "print_config"}
    for name, setting in SETTINGS.items():
        assert setting.allows(setting.default), name
        assert setting.help.endswith("."), name
        assert options[name].default is None or not options[name].required
    assert Config().validate() == Config()


def test_migrate_reads_only_the_database_setting(file: Path) -> None:
    file.write_text('db = "sqlite+aiosqlite:///x.db"\nlisten = "0.0.0.0:1"\nauth = "/no/such"\n')
    assert database_url({"config": str(file), "db": None}, {}) == "sqlite+aiosqlite:///x.db"
    with pytest.raises(ConfigError, match="use sqlite"):
        database_url({"db": "x"}, {})


def test_addresses_are_split_into_host_and_port() -> None:
    assert address("[::1]:80") == ("::1", 80)
    assert address("localhost:0") == ("localhost", 0)


def test_serve_exits_with_the_reason_on_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    for place, hook in ((sys, "excepthook"), (sys, "unraisablehook"), (threading, "excepthook")):
        monkeypatch.setattr(place, hook, getattr(place, hook))
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
        logging.captureWarnings(False)
        root.handlers[:] = handlers
        root.setLevel(level)


def test_migrate_is_a_separate_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert migrate({"db": f"sqlite+aiosqlite:///{tmp_path}/a.db"}) == 0
    out = capsys.readouterr().out
    assert re.match(r"schema: version none → \w+\nthe schema is up to date\n", out), out
    assert migrate({"db": f"sqlite+aiosqlite:///{tmp_path}/a.db"}) == 0
    assert re.match(r"schema: version \w+\nthe schema is up to date\n", capsys.readouterr().out)
    assert migrate({"db": "nonsense"}) == 2  # as `serve` says of a wrong setting
    assert "sqlite+aiosqlite:///FILE" in capsys.readouterr().err
    assert migrate({"db": f"sqlite+aiosqlite:///{tmp_path}/no/such/a.db"}) == 1


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("localhost", "localhost:50051"),
        ("127.0.0.1", "127.0.0.1:50051"),
        ("::1", "[::1]:50051"),
        ("[::1]", "[::1]:50051"),
        ("127.0.0.1:1", "127.0.0.1:1"),
    ],
)
def test_a_host_alone_listens_on_the_default_port(given: str, used: str) -> None:
    assert load({"listen": given}, {}).listen == used
    assert load({"listen": given}, {}).host == used.rpartition(":")[0].strip("[]")


@pytest.mark.parametrize(
    "given", ["50051", "host:", ":50051", "a b", "host:x", "http://host", "", "fe80::1::2"]
)
def test_an_invalid_address_is_refused(given: str) -> None:
    with pytest.raises(ConfigError, match="is not HOST:PORT, for example"):
        load({"listen": given, "auth": __file__}, {})


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("listen", "127.0.0.1:7"), ("health_listen", "127.0.0.1:7")),
        (("listen", "127.0.0.1"), ("health_listen", "localhost:50051")),
        (("listen", "127.0.0.1:7"), ("metrics_listen", "0.0.0.0:7")),
        (("health_listen", "[::]:7"), ("metrics_listen", "127.0.0.1:7")),
    ],
)
def test_two_equal_addresses_are_refused(first: tuple[str, str], second: tuple[str, str]) -> None:
    flags = ["--" + name.replace("_", "-") for name, _ in (first, second)]
    with pytest.raises(ConfigError) as refused:
        load(dict((first, second)), {})
    assert str(refused.value) == (
        f"{flags[1]} {second[1]} is where {flags[0]} listens too: choose another port"
    )


def test_two_different_addresses_are_accepted() -> None:
    for other in ("127.0.0.1:8", "192.0.2.1:7"):
        load({"listen": "127.0.0.1:7", "health_listen": other}, {})
    load({"listen": "127.0.0.1:0", "health_listen": "127.0.0.1:0"}, {})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("ASKBACK_LEASETTL", "ASKBACK_LEASE_TTL"),
        ("ASKBACK_LEASE_TLL", "ASKBACK_LEASE_TTL"),
        ("ASKBACK_HEARTBEATS", "ASKBACK_HEARTBEAT"),
        ("ASKBACK_RETENTON", "ASKBACK_RETENTION"),
        ("ASKBACK_LOGFORMAT", "ASKBACK_LOG_FORMAT"),
        ("ASKBACK_TLSCERT", "ASKBACK_TLS_CERT"),
        ("ASKBACK_METRIC_LISTEN", "ASKBACK_METRICS_LISTEN"),
    ],
)
def test_a_misspelt_variable_is_refused(name: str, meant: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load({}, {name: "1"})
    assert str(refused.value) == f"{name} in the environment is not a setting; did you mean {meant}?"


def test_variables_of_clients_and_kubernetes_are_ignored() -> None:
    """Variables of clients, and those that Kubernetes sets for a service named askback."""
    from askback._wire.channel import ENVIRONMENT
    from askback.cli.web import web

    assert set(ENVIRONMENT) | {"ASKBACK_PROFILE", "ASKBACK_TIMEOUT"} == OF_CLIENTS
    variables = {str(parameter.envvar) for parameter in web.params if parameter.envvar}
    own = {name for name in variables if name.startswith("ASKBACK_WEB_")}
    assert own - {setting.variable for setting in SETTINGS.values()} == OF_GATEWAYS
    kubernetes = (
        "ASKBACK_SERVICE_HOST",
        "ASKBACK_SERVICE_PORT",
        "ASKBACK_SERVICE_PORT_GRPC",
        "ASKBACK_PORT",
        "ASKBACK_PORT_50051_TCP",
        "ASKBACK_PORT_50051_TCP_ADDR",
        "ASKBACK_HEALTH_SERVICE_HOST",
        "ASKBACK_METRICS_PORT_9090_TCP_PROTO",
        "ASKBACK_METRICS_SERVICE_PORT",
    )
    load({}, dict.fromkeys((*OF_CLIENTS, *OF_GATEWAYS, *kubernetes, "ASKBACK_REQUIRE", "OTHER"), "x"))
