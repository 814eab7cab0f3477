"""Lists of jobs and prompts: filters, pages without gaps or repeats, totals, size limits, audiences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from askback_server.domain.commands import PromptRef
from askback_server.domain.content import Audience, PromptContent
from askback_server.domain.jobs import Failure, Job, JobState
from askback_server.domain.nudges import Nudges
from askback_server.domain.principals import Principal, Role
from askback_server.domain.prompts import Prompt, PromptState, Resolution
from askback_server.ports.clock import uuid7
from askback_server.ports.queries import JobFilter, PromptFilter
from askback_server.storage.database import Database
from tests.support.aggregates import ADMIN, ANN, BOB
from tests.support.storage import as_closed, creation, new_job, new_prompt, now, submission

BIG = 1 << 30
NO_ID = "00000000-0000-7000-8000-000000000000"


async def put(database: Database, *jobs: Job) -> list[str]:
    """Store jobs. Returns their ids, newest first."""
    assert not (await database.jobs.write([creation(job) for job in jobs])).lost
    return sorted((job.job_id for job in jobs), reverse=True)


async def job_pages(database: Database, filter: JobFilter, limit: int, size: int = BIG) -> list[list[str]]:
    pages, after = [], None
    while True:
        page = await database.jobs.list_jobs(filter, limit, after, size)
        pages.append([job.job_id for job in page.jobs])
        after = page.next
        if after is None:
            return pages


async def prompt_pages(database: Database, filter: PromptFilter, limit: int, size: int = BIG) -> list[Any]:
    pages, after = [], None
    while True:
        page = await database.jobs.list_prompts(filter, limit, after, size)
        pages.append([prompt.prompt_id for prompt in page.prompts])
        after = page.next
        if after is None:
            return pages


# --- jobs ---


async def test_each_filter_finds_the_matching_jobs(database: Database) -> None:
    at = now()
    jobs = [
        new_job(
            job_type=f"t{i % 3}",
            user_id=f"u{i % 2}",
            state=list(JobState)[i % 6],
            created_at=at + timedelta(minutes=i),
            labels={"mod": str(i % 4), "all": "x"},
        )
        for i in range(24)
    ]
    await put(database, *jobs, new_job(namespace="other", labels={"all": "x"}))
    middle = at + timedelta(minutes=12)
    cases: list[tuple[dict[str, Any], Callable[[Job], bool]]] = [
        ({}, lambda j: True),
        ({"states": (JobState.PENDING,)}, lambda j: j.state is JobState.PENDING),
        (
            {"states": (JobState.FAILED, JobState.RUNNING)},
            lambda j: j.state in (JobState.FAILED, JobState.RUNNING),
        ),
        ({"job_types": ("t1", "t2")}, lambda j: j.job_type != "t0"),
        ({"user_ids": ("u1",)}, lambda j: j.user_id == "u1"),
        ({"labels": {"mod": "3"}}, lambda j: j.labels["mod"] == "3"),
        ({"labels": {"mod": "3", "all": "x"}}, lambda j: j.labels["mod"] == "3"),
        ({"labels": {"mod": "3", "none": "x"}}, lambda j: False),
        ({"labels": {"none": ""}}, lambda j: False),
        ({"created_after": middle}, lambda j: j.created_at >= middle),
        ({"created_before": middle}, lambda j: j.created_at < middle),
        ({"id_suffix": jobs[3].job_id[-6:]}, lambda j: j is jobs[3]),
        ({"id_suffix": jobs[4].job_id[-14:]}, lambda j: j is jobs[4]),
        ({"id_suffix": jobs[5].job_id}, lambda j: j is jobs[5]),
        ({"id_suffix": jobs[6].job_id[-6:], "job_types": ("none",)}, lambda j: False),
        (
            {"job_types": ("t1",), "user_ids": ("u0",), "states": (JobState.FAILED,)},
            lambda j: j.job_type == "t1" and j.user_id == "u0" and j.state is JobState.FAILED,
        ),
    ]
    for given, wanted in cases:
        filter = JobFilter("default", **given)
        expected = sorted((j.job_id for j in jobs if wanted(j)), reverse=True)
        assert await job_pages(database, filter, 100) == [expected], given
        # The filter in memory must agree with the database, except for states.
        if "states" not in given:
            assert [j.job_id for j in jobs if filter.matches(j)] == [j.job_id for j in jobs if wanted(j)]
    assert await job_pages(database, JobFilter("nowhere"), 5) == [[]]


def ending(job_id: str, end: str) -> str:
    """Replace the end of an id."""
    return job_id[: -len(end)] + end


async def test_a_longer_id_suffix_distinguishes_ids_that_end_alike(database: Database) -> None:
    ids = [ending(uuid7(), end) for end in ("1abcdef", "2abcdef", "2abcde0")]
    here = [new_job(job_id=i) for i in ids]
    await put(database, *here, new_job(job_id=ending(uuid7(), "abcdef"), namespace="other"))
    for suffix, wanted in (
        ("abcdef", ids[:2]),
        ("2abcdef", ids[1:2]),
        (ids[0][8:], ids[:1]),
        ("9abcdef", []),
    ):
        filter = JobFilter("default", id_suffix=suffix)
        assert await job_pages(database, filter, 10) == [sorted(wanted, reverse=True)], suffix
        assert await database.jobs.count_jobs(filter) == len(wanted)


async def test_an_id_suffix_finds_only_what_the_viewer_may_see(database: Database) -> None:
    job, elsewhere = new_job(), new_job(namespace="other")
    mine = new_prompt(job, PromptContent("confirm", "?", audience=Audience(frozenset({"ann"}))))
    closed_one = as_closed(new_prompt(job, PromptContent("confirm", "?")))
    await database.jobs.write([creation(job, mine, closed_one), creation(elsewhere, new_prompt(elsewhere))])
    every = PromptFilter("default", states=tuple(PromptState))
    for prompt in (mine, closed_one):
        by_id = replace(every, id_suffix=prompt.prompt_id[-6:])
        assert await prompt_pages(database, by_id, 10) == [[prompt.prompt_id]]
    hidden = replace(every, viewer=BOB, id_suffix=mine.prompt_id[-6:])
    assert await prompt_pages(database, hidden, 10) == [[]]
    by_job = replace(every, job_id_suffix=job.job_id[-6:])
    both = sorted([mine.prompt_id, closed_one.prompt_id])
    assert await prompt_pages(database, replace(by_job, viewer=ANN), 10) == [both]
    assert await prompt_pages(database, replace(by_job, viewer=BOB), 10) == [[closed_one.prompt_id]]
    other = replace(every, viewer=ANN, job_id_suffix=elsewhere.job_id[-6:])
    assert await prompt_pages(database, other, 10) == [[]]


async def test_filters_by_person_and_overdue_find_the_matching_prompts(database: Database) -> None:
    job, at = new_job(), now()
    later = at + timedelta(hours=1)
    named = new_prompt(job, PromptContent("confirm", "?", audience=Audience(frozenset({"ann", "x"}))))
    held = replace(new_prompt(job, PromptContent("confirm", "?")), claimed_by="ann", claimed_until=later)
    lapsed = replace(held, prompt_id=uuid7(), key="lapsed", claimed_until=at - timedelta(hours=1))
    others = replace(held, prompt_id=uuid7(), key="others", claimed_by="bob")
    stepped = replace(new_prompt(job, PromptContent("confirm", "?")), nudges=Nudges(steps=1, step_at=later))
    unstepped = replace(new_prompt(job, PromptContent("confirm", "?")), nudges=Nudges(step_at=later))
    over = replace(new_prompt(job, PromptContent("confirm", "?")), expires_at=at - timedelta(minutes=1))
    every = [named, held, lapsed, others, stepped, unstepped, over]
    await database.jobs.write([creation(job, *every)])

    async def found(**given: Any) -> set[str]:
        [ids] = await prompt_pages(database, PromptFilter("default", viewer=ADMIN, **given), 20)
        return set(ids)

    assert await found(person="ann") == {named.prompt_id, held.prompt_id}
    assert await found(person="x") == {named.prompt_id}
    assert await found(overdue=True) == {stepped.prompt_id, over.prompt_id}
    assert await found(person="bob", overdue=True) == set()


def answered(prompt: Prompt, who: str, minute: int) -> Prompt:
    answer = replace(submission(prompt).answer, user_id=who)
    resolution = Resolution(PromptState.ANSWERED, who, now() + timedelta(minutes=minute), "", answer)
    return replace(prompt, state=PromptState.ANSWERED, resolution=resolution)


async def test_a_list_by_answerer_has_their_answers_newest_first(database: Database) -> None:
    """Pages without gaps, whatever the priorities; closed prompts without an answer have no answerer; the
    viewer still sees only what is for them."""
    job = new_job()
    content = PromptContent("confirm", "?")
    hidden = replace(content, audience=Audience(frozenset({"ann"})))
    theirs = [
        answered(new_prompt(job, replace(content, priority=n % 3)), "ann", minute=n // 2) for n in range(9)
    ]
    secret = answered(new_prompt(job, hidden), "ann", minute=7)
    others = [answered(new_prompt(job, content), "bob", 1), answered(new_prompt(job, content), "", 1)]
    closed = as_closed(new_prompt(job, content))  # by ann, without an answer
    every = [*theirs, secret, *others, closed, new_prompt(job, content)]
    await database.jobs.write([creation(job, *every)])

    def order(prompt: Prompt) -> Any:
        assert prompt.resolution is not None
        return prompt.resolution.at, prompt.prompt_id

    newest = [p.prompt_id for p in sorted(theirs, key=order, reverse=True)]
    mine = PromptFilter("default", viewer=BOB, states=(), answered_by="ann")
    for limit in (1, 2, 4, 9, 20):
        pages = await prompt_pages(database, mine, limit)
        assert [i for page in pages for i in page] == newest, limit
    assert await database.jobs.count_prompts(mine) == 9
    [found] = await prompt_pages(database, replace(mine, viewer=ANN), 20)
    assert found == [secret.prompt_id, *newest]
    for changes in ({"answered_by": "nobody"}, {"namespace": "other"}, {"states": (PromptState.PENDING,)}):
        assert await prompt_pages(database, replace(mine, **changes), 20) == [[]], changes


async def test_labels_with_special_characters_are_found(database: Database) -> None:
    labels = {'a"b': "1", "a\\b": "2", "a.b": "3", "ü 🦊": "4", "$x[0]": "5", "": "6", "q": 'v"\\ü', "7": "n"}
    [job_id] = await put(database, job := new_job(labels=labels))
    await put(database, new_job(labels={"q": "other"}))
    prompt = new_prompt(job, PromptContent("confirm", "?", labels=labels))
    await database.jobs.write([creation(new_job(), replace(prompt, job_id=job_id))])
    for key, value in labels.items():
        assert await job_pages(database, JobFilter("default", labels={key: value}), 5) == [[job_id]], key
        assert await job_pages(database, JobFilter("default", labels={key: value + "x"}), 5) == [[]], key


async def test_any_labels_matches_one_of_several_values_per_label(database: Database) -> None:
    """Values of one label are alternatives; all labels must match, and `labels` too."""
    spelt: dict[str, dict[str, str]] = {
        "a": {"set": "odd", "stage": "p"},
        "b": {"set": "long", "stage": "p"},
        "c": {"set": "even", "stage": "q"},
        "d": {"stage": "p"},
        "e": {'s"\\t': "ü", "set": "odd "},
    }
    jobs = {name: new_job(labels=labels) for name, labels in spelt.items()}
    names = {}
    for name, job in jobs.items():
        prompt = new_prompt(job, PromptContent("confirm", "?", labels=spelt[name]))
        await database.jobs.write([creation(job, prompt)])
        names |= {job.job_id: name, prompt.prompt_id: name}
    for labels, any_labels, expected in (
        ({}, {"set": ("odd", "long")}, "ab"),
        ({}, {"set": ("odd", "long"), "stage": ("p",)}, "ab"),
        ({"stage": "p"}, {"set": ("even", "long")}, "b"),
        ({"stage": "p"}, {"stage": ("p", "q")}, "abd"),
        ({}, {"stage": ("q", "p")}, "abcd"),
        ({}, {"set": ()}, ""),
        ({}, {'s"\\t': ("u", "ü")}, "e"),
        ({}, {"missing": ("", "x")}, ""),
        ({}, {f"k{n}": ("x",) for n in range(20)}, ""),
    ):
        given: dict[str, Any] = {"labels": labels, "any_labels": any_labels}
        [found] = await job_pages(database, JobFilter("default", **given), 9)
        assert "".join(sorted(names[i] for i in found)) == expected, given
        [seen] = await prompt_pages(database, PromptFilter("default", viewer=ADMIN, **given), 9)
        assert "".join(sorted(names[i] for i in seen)) == expected, given
        # The filter in memory, used for live events, follows the same rule.
        matching = JobFilter("default", **given)
        assert "".join(n for n, job in jobs.items() if matching.matches(job)) == expected, given


async def test_pages_of_jobs_have_no_gaps_and_no_repeats(database: Database) -> None:
    ids = await put(database, *(new_job() for _ in range(23)))
    for limit in (1, 5, 22, 23, 24):
        pages = await job_pages(database, JobFilter("default"), limit)
        assert [i for page in pages for i in page] == ids
        assert all(len(page) == limit for page in pages[:-1])
        assert pages[-1]


async def test_new_jobs_do_not_shift_the_pages(database: Database) -> None:
    ids = await put(database, *(new_job() for _ in range(12)))
    seen: list[str] = []
    after = None
    while True:
        page = await database.jobs.list_jobs(JobFilter("default"), 5, after, BIG)
        seen += [job.job_id for job in page.jobs]
        after = page.next
        if after is None:
            break
        await put(database, new_job(), new_job())
    assert seen == ids


async def test_a_page_of_jobs_is_bounded_by_bytes_but_never_empty(database: Database) -> None:
    large = {
        "input": new_job(input_json='"' + "ü" * 5_000 + '"'),
        "result": new_job(result_json='"' + "x" * 10_000 + '"'),
        "failure": new_job(failure=Failure("E", "x" * 10_000)),
    }
    ids = await put(database, *large.values())
    assert await job_pages(database, JobFilter("default"), 10, 40_000) == [ids]
    assert await job_pages(database, JobFilter("default"), 10, 15_000) == [[i] for i in ids]
    assert await job_pages(database, JobFilter("default"), 10, 1) == [[i] for i in ids]


# --- prompts ---


def prompt_of(job: Job, **fields: Any) -> Prompt:
    own = {name: fields.pop(name) for name in ("expires_at", "state") if name in fields}
    prompt = new_prompt(job, PromptContent(fields.pop("kind", "confirm"), "?", **fields))
    state = own.pop("state", PromptState.PENDING)
    prompt = replace(prompt, **own)
    return prompt if state is PromptState.PENDING else as_closed(prompt, state)


async def ask(database: Database, job: Job, prompts: Sequence[Prompt]) -> None:
    assert not (await database.jobs.write([creation(job, *prompts)])).lost


def by_urgency(prompts: Sequence[Prompt]) -> list[str]:
    far = now() + timedelta(days=9999)
    ranked = sorted(prompts, key=lambda p: (-p.content.priority, p.expires_at or far, p.prompt_id))
    return [p.prompt_id for p in ranked]


async def test_each_filter_finds_the_matching_prompts(database: Database) -> None:
    jobs = [new_job(job_type="t0"), new_job(job_type="t1"), new_job(namespace="other")]
    prompts = [
        prompt_of(
            jobs[i % 2],
            kind=f"k{i % 3}",
            labels={"mod": str(i % 4)},
            priority=i % 5 - 2,
            state=list(PromptState)[i % 5],
            audience=Audience(groups=frozenset({f"g{i % 2}", "all"}) if i % 3 else frozenset()),
        )
        for i in range(60)
    ]
    foreign = prompt_of(jobs[2], labels={"mod": "1"})
    for job in jobs:
        await ask(database, job, [p for p in (*prompts, foreign) if p.job_id == job.job_id])
    pending = (PromptState.PENDING,)
    ended = (PromptState.ANSWERED, PromptState.EXPIRED)
    cases: list[tuple[dict[str, Any], Callable[[Prompt], bool]]] = [
        ({}, lambda p: True),
        ({"job_types": ("t1",)}, lambda p: p.job_type == "t1"),
        ({"job_id": jobs[0].job_id}, lambda p: p.job_id == jobs[0].job_id),
        ({"job_id": uuid7()}, lambda p: False),
        ({"kinds": ("k0", "k2")}, lambda p: p.content.kind != "k1"),
        ({"labels": {"mod": "2"}}, lambda p: p.content.labels["mod"] == "2"),
        ({"groups": ("g1", "none")}, lambda p: "g1" in p.content.audience.groups),
        ({"groups": ("none",)}, lambda p: False),
        ({"kinds": ("k0",), "job_types": ("t0",)}, lambda p: p.content.kind == "k0" and p.job_type == "t0"),
    ]
    for given, wanted in cases:
        for states in (pending, ended, tuple(PromptState)):
            filter = PromptFilter("default", states=states, **given)
            expected = by_urgency([p for p in prompts if wanted(p) and p.state in states])
            assert await prompt_pages(database, filter, 100) == [expected], (given, states)
            assert await database.jobs.count_prompts(filter) == len(expected)
            assert [p for p in prompts if filter.matches(p)] == [p for p in prompts if wanted(p)]


async def test_a_viewer_gets_the_prompts_of_its_audience_only(database: Database) -> None:
    """The condition in SQL agrees with the rule of the domain, which live views use."""
    job = new_job()
    audiences = [
        Audience(),
        Audience(users=frozenset({"ann"})),
        Audience(users=frozenset({"bob", "cid"})),
        Audience(groups=frozenset({"law"})),
        Audience(frozenset({"bob"}), frozenset({"law", "ops"})),
        Audience(users=frozenset({"law"})),
        Audience(groups=frozenset({"ann", 'o"p\\s'})),
    ]
    prompts = [prompt_of(job, audience=audience) for audience in audiences]
    await ask(database, job, prompts)
    console = frozenset({Role.CONSOLE})
    viewers = [
        ANN,
        BOB,
        ADMIN,
        Principal("dora", console),
        Principal("eve", console, groups=frozenset({"ops", "hr"})),
        Principal("fay", console, groups=frozenset({'o"p\\s'})),
        Principal("law", console),
    ]
    seen = []
    for viewer in viewers:
        filter = PromptFilter("default", viewer)
        expected = [p for p in prompts if p.is_for(viewer)]
        page = await database.jobs.list_prompts(filter, 100, None, BIG)
        assert [p.prompt_id for p in page.prompts] == by_urgency(expected), viewer
        assert await database.jobs.count_prompts(filter) == len(expected)
        assert [p for p in prompts if filter.matches(p)] == expected
        seen.append(len(expected))
    assert seen == [4, 3, 7, 1, 2, 2, 2]


async def test_prompts_are_ordered_by_priority_deadline_and_age(database: Database) -> None:
    job, at = new_job(), now()
    prompts = [
        prompt_of(job, priority=p, expires_at=at + timedelta(minutes=m) if m else None)
        for p in (0, 5, -5)
        for m in (None, 10, 1, 10, None)
    ]
    await ask(database, job, prompts)
    expected = by_urgency(prompts)
    for limit in (1, 2, 4, 14, 15, 16):
        pages = await prompt_pages(database, PromptFilter("default"), limit)
        assert [i for page in pages for i in page] == expected, limit
        assert all(len(page) == limit for page in pages[:-1])


async def test_pages_of_prompts_are_stable_while_prompts_are_added(database: Database) -> None:
    jobs = [new_job(), new_job()]
    prompts = [prompt_of(jobs[0], priority=i % 3) for i in range(20)]
    await ask(database, jobs[0], prompts)
    seen: list[str] = []
    after = None
    while True:
        page = await database.jobs.list_prompts(PromptFilter("default"), 6, after, BIG)
        seen += [p.prompt_id for p in page.prompts if p.job_id == jobs[0].job_id]
        after = page.next
        if after is None:
            break
        more = new_job()
        await ask(database, more, [prompt_of(more, priority=i) for i in range(3)])
    assert seen == by_urgency(prompts)


async def test_a_page_of_prompts_is_bounded_by_bytes_and_never_empty(database: Database) -> None:
    job = new_job()
    prompts = [prompt_of(job, body="界" * 3_000) for _ in range(5)]
    await ask(database, job, prompts)
    ids = by_urgency(prompts)
    # Each body has 3,000 characters of three bytes.
    assert await prompt_pages(database, PromptFilter("default"), 9, 20_500) == [ids[:2], ids[2:4], ids[4:]]
    assert await prompt_pages(database, PromptFilter("default"), 9, 1) == [[i] for i in ids]
    assert await prompt_pages(database, PromptFilter("default"), 9, BIG) == [ids]
    assert await database.jobs.count_prompts(PromptFilter("default")) == 5


# --- single objects ---


async def test_lookups_of_absent_ids_find_nothing(database: Database) -> None:
    ref = PromptRef(prompt_id=uuid7())
    assert await database.jobs.find_prompt(ref) is None
    assert await database.jobs.find_prompt(PromptRef(job_id=uuid7(), key="k")) is None
    assert await database.jobs.get_jobs([]) == []
    assert await database.jobs.get_jobs([uuid7()]) == []
    assert await database.jobs.get_prompts([]) == []
    assert await database.jobs.list_submissions(uuid7(), 5, 0) == []
    assert await database.jobs.list_checkpoints(uuid7(), 5, "") == []
    assert await database.jobs.list_events(uuid7(), 0, 5) == []


async def test_submissions_are_paged_by_sequence_number(database: Database) -> None:
    job = new_job()
    prompt = new_prompt(job)
    kept = [submission(prompt, f"a{9 - i}", seq=i) for i in range(1, 8)]
    await database.jobs.write([creation(job, prompt, submissions=list(reversed(kept)))])
    assert await database.jobs.list_submissions(prompt.prompt_id, 3, 0) == kept[:3]
    assert await database.jobs.list_submissions(prompt.prompt_id, 3, 3) == kept[3:6]
    assert await database.jobs.list_submissions(prompt.prompt_id, 3, 6) == kept[6:]


async def test_a_page_reads_no_more_bytes_than_its_limit(database: Database) -> None:
    """Otherwise a small page could read 500 large prompts: hundreds of megabytes."""
    text = '"' + "x" * 50_000 + '"'
    jobs = [new_job(input_json=text) for _ in range(12)]
    prompts = [new_prompt(job, PromptContent("confirm", "?", body=text)) for job in jobs]
    await database.jobs.write([creation(job, p) for job, p in zip(jobs, prompts, strict=True)])
    store: Any = database.jobs
    own, maximum = store._all, 0

    async def read(statement: Any, **values: Any) -> Any:
        nonlocal maximum
        found = await own(statement, **values)
        maximum = max(maximum, sum(len(str(value)) for row in found for value in row.values()))
        return found

    store._all = read
    ids = [p.prompt_id for p in prompts]
    for size in (120_000, 1):
        fit = max(1, size // 50_000)
        assert len((await store.list_jobs(JobFilter("default"), 500, None, size)).jobs) == fit
        assert len((await store.list_prompts(PromptFilter("default"), 500, None, size)).prompts) == fit
        found, count = await store.first_prompts([NO_ID, *ids], size)
        assert {p.prompt_id for p in found} == set(ids[: count - 1])
        assert len((await store.first_jobs([job.job_id for job in jobs], size))[0]) == fit
        assert maximum < max(size, 50_000) + 10_000
        maximum = 0
    assert await store.first_prompts([NO_ID] * 3, 10**6) == ([], 3)
