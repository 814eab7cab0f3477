"""Settings by name are read the same way from flags, the environment and the file. Wrong ones are refused."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from askback_server.config.by_name import job_retention, running_limits
from askback_server.config.settings import Config, ConfigError
from askback_server.config.sources import effective, load


def test_running_limits_are_set_by_type_and_namespace() -> None:
    assert running_limits("") == {}
    assert running_limits("refund=10, team-a:refund=3,") == {"refund": 10, "team-a:refund": 3}
    assert load({"concurrency": "a/b=1"}, {}).queue_limits == {"a/b": 1}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("refund", "'refund' is not NAME=VALUE"),
        ("refund=", "is not NAME=VALUE"),
        ("=3", "is not NAME=VALUE"),
        ("refund=1,refund=2", "refund is there twice"),
        ("refund=0", "refund must be a whole number from 1"),
        ("refund=1.5", "refund must be a whole number from 1"),
        ("a:b:c=1", "a:b:c is not TYPE or NAMESPACE:TYPE"),
        (":b=1", ":b is not TYPE or NAMESPACE:TYPE"),
    ],
)
def test_a_wrong_limit_is_refused(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load({}, {"ASKBACK_CONCURRENCY": text})
    assert str(refused.value).startswith(f"ASKBACK_CONCURRENCY={text!r}: ")
    assert says in str(refused.value)


def test_retention_is_set_by_state_and_namespace() -> None:
    found = job_retention("default=30d,FAILED=12h,team-a:default=1.5m,team-a:COMPLETED=1s,CANCELLED=1d12h")
    assert found == {
        "default": timedelta(days=30),
        "FAILED": timedelta(hours=12),
        "team-a:default": timedelta(seconds=90),
        "team-a:COMPLETED": timedelta(seconds=1),
        "CANCELLED": timedelta(hours=36),
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "RUNNING=1d",
            "RUNNING is not STATE or NAMESPACE:STATE; states: CANCELLED, COMPLETED, FAILED, default",
        ),
        ("a b:FAILED=1d", "is not STATE"),
        ("FAILED=soon", "FAILED=soon must be a time like 12h or 30d"),
        ("FAILED=-1d", "FAILED=-1d must be a time"),
        ("FAILED=0d", "FAILED=0d must be a time"),
        ("FAILED=nan", "must be a time"),
        ("FAILED=infd", "must be a time"),
        ("default=30", "default=30 has no unit: write default=30d"),
        ("default=1e9d", "must be a time"),
        ("FAILED=4000d", "up to 3660d"),
    ],
)
def test_a_wrong_time_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        job_retention(text)


def test_a_file_may_set_limits_in_a_table(tmp_path: Path) -> None:
    file = tmp_path / "askback.toml"
    file.write_text('[concurrency]\nrefund = 10\n"team-a:refund" = 3\n')
    found = effective({"config": str(file)}, {})
    assert found.config.queue_limits == {"refund": 10, "team-a:refund": 3}
    # The printed form can be loaded again.
    file.write_text(found.as_toml())
    assert load({"config": str(file)}, {}).queue_limits == found.config.queue_limits
    file.write_text("concurrency = { refund = true }\n")
    with pytest.raises(ConfigError, match="refund must be a number or a text"):
        load({"config": str(file)}, {})
    file.write_text("concurrency = { refund = 0 }\n")
    with pytest.raises(ConfigError, match="refund must be a whole number"):
        load({"config": str(file)}, {})


def test_nothing_is_limited_by_default() -> None:
    assert Config().queue_limits == {}
