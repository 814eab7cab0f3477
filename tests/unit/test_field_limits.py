"""Every text, list and map of every request has a limit, which is checked before the request is handled."""

from typing import Any

import pytest

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import worker_service_pb2 as workers
from askback_server.domain.errors import InvalidField
from askback_server.domain.field_limits import FIELD_LIMITS, FieldLimit, limit_value
from askback_server.domain.json_text import MAX_VIOLATIONS
from askback_server.domain.limits import Limits
from askback_server.transport.field_limits import check_fields, check_frame
from askback_server.transport.token_entries import MAX_NAME_CHARS
from tests.support.field_paths import TEXTS, FieldPath, entries, field_paths, is_map

LIMITS = Limits()
# A stream's message only limits the number of frames. Their content is tested by the unary calls and hellos.
PATHS = [p for p in field_paths() if p.fields[0].name != "frames" or len(p.fields) == 1]


def limit_of(path: FieldPath) -> FieldLimit:
    return FIELD_LIMITS[path.owner][path.field.name]


def refusal(message: Any, **where: str) -> dict[str, str]:
    with pytest.raises(InvalidField) as caught:
        check_fields(message, LIMITS, **where)
    return {v.field: v.description for v in caught.value.violations}


def test_every_field_of_the_contract_has_a_limit() -> None:
    missing = []
    for path in field_paths():
        limit = FIELD_LIMITS.get(path.owner, {}).get(path.field.name, FieldLimit())
        texts = is_map(path.field) or path.field.type in TEXTS
        if path.field.is_repeated and not limit.entries:
            missing.append(f"{path}: entries")
        if texts and not limit.text:
            missing.append(f"{path}: text")
        if is_map(path.field) and not limit.key:
            missing.append(f"{path}: key")
    assert not missing, f"add them to domain/field_limits.py: {missing}"


def test_each_field_of_a_person_takes_every_subject_that_can_sign_in() -> None:
    people = {"user", "users", "user_id", "user_ids", "subject", "substitute", "cancelled_by"}
    people |= {"answered_by", "requested_by", "query"}
    found = [path for path in field_paths() if path.field.name in people]
    assert {path.field.name for path in found} == people
    too_small = [
        f"{path}: {limit_of(path).text}"
        for path in found
        if limit_value(LIMITS, limit_of(path).text) < len(("\U0001d51e" * MAX_NAME_CHARS).encode())
    ]
    assert not too_small


def test_the_table_names_only_existing_fields() -> None:
    contract: dict[str, set[str]] = {}
    for path in field_paths():
        contract.setdefault(path.owner, set()).add(path.field.name)
    assert {message: set(fields) for message, fields in FIELD_LIMITS.items()} == contract
    for fields in FIELD_LIMITS.values():
        for limit in fields.values():
            assert all(limit_value(LIMITS, n) > 0 for n in (limit.entries, limit.text, limit.key) if n)


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_a_field_at_its_limit_passes_and_above_is_refused(path: FieldPath) -> None:
    limit, field = limit_of(path), path.field
    if field.is_repeated:
        maximum = limit_value(LIMITS, limit.entries)
        check_fields(path.message(entries(field, maximum)), LIMITS)
        found = refusal(path.message(entries(field, maximum + 1)))
        assert found == {
            path.at(): f"has {maximum + 1} entries; at most {maximum} are allowed ({limit.entries})"
        }
    for name, make, at in (
        (
            limit.text,
            lambda text: text if not field.is_repeated else entries(field, 1, text),
            path.at() + (("['k0']" if is_map(field) else "[0]") if field.is_repeated else ""),
        ),
        (limit.key, lambda text: {text: "x"}, f"{path.at()}[{'x' * 40!r}]"),
    ):
        if name:
            maximum = limit_value(LIMITS, name)
            check_fields(path.message(make("x" * maximum)), LIMITS)
            assert refusal(path.message(make("x" * (maximum + 1)))) == {
                at: f"is {maximum + 1} bytes long; at most {maximum} are allowed ({name})"
            }
            # Sizes are bytes: characters of two count twice.
            assert refusal(path.message(make("ü" * (maximum // 2 + 1))))


def test_frames_are_checked_one_by_one() -> None:
    long = "x" * 10_000
    answer = hitl.ConverseClientFrame(ref=1, answer_prompt=hitl.AnswerPromptRequest(answer_id=long))
    check_fields(hitl.ConverseRequest(frames=[answer]), LIMITS)
    for frame, at in (
        (answer, "answer_id"),
        (
            hitl.ConverseClientFrame(hello=hitl.ConverseHello(filter={"kinds": [long]})),
            "hello.filter.kinds[0]",
        ),
        (hitl.ConverseClientFrame(heartbeat=hitl.ConverseHeartbeat(resume_token=long)), "resume_token"),
        (workers.WorkClientFrame(hello=workers.WorkHello(job_types=["t"] * 20_000)), "hello.job_types"),
    ):
        with pytest.raises(InvalidField) as caught:
            check_frame(frame, LIMITS)
        assert [v.field for v in caught.value.violations] == [at]
    check_frame(hitl.ConverseClientFrame(), LIMITS)


def test_a_refusal_stays_small_with_many_violations() -> None:
    many = jobs.JobFilter(job_types=["x" * 300] * 100, user_ids=["x" * 300] * 100)
    assert len(refusal(jobs.ListJobsRequest(filter=many))) == MAX_VIOLATIONS
