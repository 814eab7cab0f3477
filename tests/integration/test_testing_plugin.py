"""The plugin in a separate pytest, as in a user's project: it is found, quiet, and fails tests clearly."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

Run = Callable[..., pytest.RunResult]

SETTINGS = """[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
filterwarnings = error
addopts = -p no:cacheprovider -p no:randomly
"""

WORKER = """
from datetime import timedelta
from enum import StrEnum

from pydantic import BaseModel, Field

from askback import Job, Worker


class Policy(StrEnum):
    STANDARD = "standard"
    GOODWILL = "goodwill"
    LEGAL = "legal"


class Ruling(BaseModel):
    policy: Policy = Field(title="Which policy applies?")
    amount: float = Field(ge=0, title="Refund in EUR")
    rationale: str = ""


worker = Worker("dns:///askback:50051")


@worker.job("refund")
async def refund(job: Job, order: str, days: int) -> float:
    await job.progress(1, 3, "order loaded")
    ruling = await job.ask(
        "How should we rule on this refund?", Ruling,
        key="ruling", body=f"Returned after **{days} days**.",
        to=["group:refund-desk"], deadline=timedelta(hours=4),
    )
    if ok := await job.confirm(f"Pay {ruling.amount:.2f} EUR for {order}?", key="pay"):
        await job.progress(3, 3, f"approved by {ok.by}")
        return ruling.amount
    return 0.0
"""

EXAMPLES = """
import pytest

from askback import PromptExpired, JobFailed
from refunds import refund


async def test_goodwill_is_paid(human):
    human.on("how should we rule").answers({"policy": "goodwill", "amount": 12.5})
    human.on(kind="confirm").approves("fine")
    run = await refund.start(order="A-17", days=41)
    assert await run.result() == 12.5
    assert human.seen == ["ruling", "pay"]

async def test_unexpected_prompt_fails_loudly(human):
    with pytest.raises(AssertionError, match="no fake-human rule"):
        await (await refund.start(order="x", days=1)).result()

async def test_nobody_rules(human, clock):
    human.on("how should we rule").never()
    run = await refund.start(order="A-17", days=41)
    await clock.advance(hours=4)
    with pytest.raises(JobFailed) as failed:
        await run.result()
    assert failed.value.failure_code == PromptExpired.__name__
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with a worker and the plugin only."""
    pytester.makepyfile(refunds=WORKER)
    pytester.makeini(SETTINGS)
    return pytester


@pytest.fixture
def run_forked(project: pytest.Pytester, forked_commands: Path) -> Run:
    """Runs the project's tests in a process that has imported pytest and the service already."""
    return partial(project.run, forked_commands / "pytest")


@pytest.mark.long
def test_the_examples_of_the_docs_run(project: pytest.Pytester) -> None:
    project.makepyfile(EXAMPLES)
    result = project.runpytest_subprocess()
    result.assert_outcomes(passed=3)
    result.stderr.no_fnmatch_line("*Traceback*")


def test_the_plugin_ignores_credentials_of_a_real_server(
    project: pytest.Pytester, run_forked: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("SERVER", "prod:1"), ("TOKEN", "real"), ("NAMESPACE", "prod"), ("TLS", "1")):
        monkeypatch.setenv(f"ASKBACK_{name}", value)
    project.makepyfile(EXAMPLES)
    run_forked("--timeout=30").assert_outcomes(passed=3)


def test_pytest_finds_the_plugin_and_lists_its_fixtures(project: pytest.Pytester) -> None:
    result = project.runpytest_subprocess("--fixtures")
    for name in ("human", "clock", "askback_server"):
        result.stdout.fnmatch_lines(f"{name} -- *askback/testing/plugin.py:*")


def test_the_plugin_loads_nothing_when_no_test_uses_it(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import sys

        def test_nothing_is_loaded():
            assert "askback.testing.plugin" in sys.modules
            heavy = "grpc google.protobuf pydantic sqlalchemy askback._client askback_server".split()
            assert not [name for name in heavy if name in sys.modules]
        """
    )
    project.runpytest_subprocess("-p", "no:hypothesispytest").assert_outcomes(passed=1)


def test_an_unexpected_prompt_fails_the_test_with_details(project: pytest.Pytester, run_forked: Run) -> None:
    project.makepyfile(
        """
        from refunds import refund

        async def test_pays(human):
            human.on(kind="confirm").approves("fine")
            run = await refund.start(order="A-17", days=41)
            assert await run.result() == 12.5
        """
    )
    result = run_forked()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*assert await run.result() == 12.5",
            "E *AssertionError: no fake-human rule for the prompt 'How should we rule on this refund?'",
            "E *[[]clarify[]] How should we rule on this refund?",
            "E *key 'ruling', job type 'refund', to group:refund-desk, until * UTC",
            "E *Returned after [*][*]41 days[*][*].",
            "E *[*] policy: Which policy applies? (one of standard, goodwill, legal)",
            "E *the rules, newest first:",
            "E *human.on(kind='confirm').approves('fine')  (matched 0)",
            "E *human.on(key='ruling').answers({'policy': ..., 'amount': ..., 'rationale': ...})",
        ]
    )
    # The last line of the trace is the test's own; no frame of the plugin comes before the message.
    result.stdout.no_fnmatch_line("*askback/testing/*.py:*: AssertionError")


def test_an_unexpected_prompt_fails_the_test_even_if_the_error_is_swallowed(
    project: pytest.Pytester, run_forked: Run
) -> None:
    project.makepyfile(
        """
        import asyncio
        from askback import AskbackError, Client
        from refunds import refund, worker

        async def test_swallowed(human, askback_server):
            await askback_server.work(worker)
            async with Client() as client:
                try:
                    await (await client.start("refund", {"order": "x", "days": 1})).result()
                except AskbackError:
                    pass

        async def test_caused(human, askback_server):
            await askback_server.work(worker)
            async with Client() as client:
                await (await client.start("refund", {"order": "x", "days": 1})).result()
        """
    )
    result = run_forked()
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "* test_swallowed *",
            "E *AssertionError: no fake-human rule for the prompt 'How should we rule on this refund?'",
            "* test_caused *",
            "E *askback.errors.JobFailed: *",
            "The above exception was the direct cause of the following exception:",
            "E *AssertionError: no fake-human rule for the prompt 'How should we rule on this refund?'",
        ]
    )


def test_the_plugin_works_with_sync_tests_and_own_loops(project: pytest.Pytester, run_forked: Run) -> None:
    project.makepyfile(
        """
        import asyncio
        from refunds import refund

        async def pays():
            return await (await refund.start(order="A-17", days=41)).result()

        def test_plain(human):
            human.on("how should we rule").answers({"policy": "goodwill", "amount": 12.5})
            human.on(kind="confirm").approves("fine")
            assert asyncio.run(pays()) == 12.5
            assert asyncio.run(pays()) == 12.5
        """
    )
    run_forked().assert_outcomes(passed=1)


def test_the_plugin_works_with_one_loop_for_all_tests(project: pytest.Pytester, run_forked: Run) -> None:
    project.makeini(SETTINGS.replace("function", "session") + "asyncio_default_test_loop_scope = session\n")
    project.makepyfile(EXAMPLES)
    result = run_forked()
    result.assert_outcomes(passed=3)
    result.stderr.no_fnmatch_line("*Traceback*")


def test_without_the_server_package_the_plugin_says_what_to_install(project: pytest.Pytester) -> None:
    project.makeconftest("import sys\nsys.modules['askback_server.in_process'] = None\n")
    project.makepyfile("def test_it(human): ...")
    result = project.runpytest_subprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        "*RuntimeError: a test server needs the service*pip install 'askback*testing*"
    )


def test_a_test_that_hangs_on_a_job_ends_with_the_loop(project: pytest.Pytester, run_forked: Run) -> None:
    project.makepyfile(
        """
        import asyncio
        import pytest
        from refunds import refund, worker

        @worker.job("endless")
        async def endless(job) -> None:
            await asyncio.Event().wait()

        async def test_gives_up(human):
            run = await endless.start()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await run.result()
        """
    )
    result = run_forked("--timeout=20")
    result.assert_outcomes(passed=1)
    result.stderr.no_fnmatch_line("*Traceback*")


def test_a_rule_that_matched_nothing_fails_the_test(project: pytest.Pytester, run_forked: Run) -> None:
    project.makepyfile(
        """
        def test_unused(human):
            human.on(key="typo").approves()

        def test_optional(human):
            human.on(key="maybe", optional=True).approves()

        def test_allowed(human):
            human.allow_unused = True
            human.on(key="maybe").approves()

        def test_fails_by_itself(human):
            human.on(key="maybe").approves()
            assert False, "the reason"
        """
    )
    result = run_forked()
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(
        [
            "* test_unused *",
            "E *AssertionError: rules that no prompt matched:",
            "*human.on(key='typo').approves()",
            "*prompts that were seen:",
            "*none",
            "*optional=True*",
            "* test_fails_by_itself *",
            "E *AssertionError: the reason",
        ]
    )
    result.stdout.no_fnmatch_line("*key='maybe'*matched*")


def test_the_output_of_a_failing_test_has_no_lines_of_the_plugin(
    project: pytest.Pytester, run_forked: Run
) -> None:
    """No output of gRPC, and no warning of the server about test mode."""
    project.makepyfile(
        """
        from refunds import refund

        async def test_fails(human):
            human.on("how should we rule").answers({"policy": "goodwill", "amount": 12.5})
            human.on(kind="confirm").approves()
            assert await (await refund.start(order="A", days=1)).result() == 13
        """
    )
    result = run_forked()
    result.assert_outcomes(failed=1)
    for noise in ("*goaway*", "*test mode*", "*Captured log*", "*Captured stderr*"):
        result.stdout.no_fnmatch_line(noise)
    assert str(result.stderr) == ""
