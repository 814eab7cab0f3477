"""The scripted human: a console that answers by rules, and fails the test for an unexpected prompt."""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Callable

from askback._client.client import Client
from askback._console.console_prompt import ConsolePrompt
from askback._model.answers import answer_request
from askback._model.prompts import PromptInfo
from askback.errors import PromptClosed, PromptStale
from askback.testing.rendering import render, suggestion
from askback.testing.rules import Reply, Rule
from askback.testing.voters import NAME as NAME
from askback.testing.voters import needs_others, vote, voters_for

_MAX_REASON_CHARS = 200


class Human:
    """Answers every prompt by the rules of the test.

    A prompt that no rule expects, or an answer that the server refuses, fails the test: `result()` of the
    run raises AssertionError that shows the prompt, or the plugin does at the end of the test. The prompt is
    withdrawn, so that no job waits for it.

    Where a prompt needs several people, or excludes the user `human`, it answers as other people: the users
    of the audience, or invented members of its groups, as many as are needed. `by` of a rule's methods names
    the people instead: `human.on("Release").approves(by=["amy"])` casts this one vote.

    A rule that matched nothing fails a test that would pass: `human.on(..., optional=True)` allows it for
    one rule, `human.allow_unused = True` for all rules of the test.
    """

    def __init__(self) -> None:
        self.allow_unused = False
        """Whether the test passes with rules that matched nothing."""
        self.rules: list[Rule] = []
        self.prompts: list[PromptInfo] = []
        """The prompts seen so far, in order."""
        self._failure: AssertionError | None = None
        self._use_checked = False
        self._raised = False
        self._shown: dict[str, tuple[int, int]] = {}
        self._left: set[str] = set()

    def on(
        self, title: str = "", *, kind: str = "", key: str = "", job_type: str = "", optional: bool = False
    ) -> Rule:
        """Add a rule for prompts whose title contains `title` (ignoring case) and that have the given kind,
        key and job type. The rule's methods define the answer. If several rules match, the newest counts. An
        `optional` rule may match nothing."""
        rule = Rule(title, kind, key, job_type, optional=optional)
        self.rules.append(rule)
        return rule

    @property
    def seen(self) -> list[str]:
        """The keys of the prompts seen so far, in order."""
        return [prompt.key for prompt in self.prompts]

    @property
    def unused(self) -> list[Rule]:
        """The rules that have matched no prompt yet."""
        return [rule for rule in self.rules if not rule.prompts]

    def assert_all_used(self) -> None:
        """Raise AssertionError if a rule that is not optional has matched no prompt.

        The plugin calls this at the end of a test that passed, unless the test has called it.
        """
        __tracebackhide__ = True
        self._use_checked = True
        if (error := self._error_of_unused_rules()) is not None:
            raise error

    def _error_of_unused_rules(self) -> AssertionError | None:
        unused = [rule for rule in self.unused if not rule.optional]
        if not unused:
            return None
        rules = "\n".join(f"    {rule!r}" for rule in unused)
        saw = "\n".join(f"    [{p.kind}] {p.title} (key {p.key!r})" for p in self.prompts) or "    none"
        return AssertionError(
            f"rules that no prompt matched:\n{rules}\nprompts that were seen:\n{saw}\n"
            "human.on(..., optional=True) allows it for a rule, human.allow_unused = True for all"
        )

    @property
    def unused_failure(self) -> AssertionError | None:
        """The error for unused rules at the end of a test, unless the test allows them, has checked them
        itself, or has failed already."""
        if self.allow_unused or self._use_checked or self._failure is not None:
            return None
        return self._error_of_unused_rules()

    def leaves(self, prompt_id: str) -> bool:
        """Whether the prompt was seen, and its rule leaves it unanswered."""
        return prompt_id in self._left

    def fail(self, failure: AssertionError) -> None:
        """Fail the test. The first call counts."""
        self._failure = self._failure or failure

    def check(self) -> None:
        """Raise the AssertionError of `fail`, if there is one."""
        __tracebackhide__ = True
        if self._failure is not None:
            self._raised = True
            raise self._failure.with_traceback(None) from None

    @property
    def pending_failure(self) -> AssertionError | None:
        """The failure, if it has not been raised yet."""
        return None if self._raised else self._failure

    async def answer_all(self, client: Client, ready: Callable[[], None] = lambda: None) -> None:
        """Answer at a console of this client until cancelled; call `ready` once the console is open.

        Raises FailedPrecondition (ERROR_REASON_NOT_TEST_MODE), without answering anything, if the server
        is not in test mode.
        """
        async with client.console(test=True, credit=0) as console:
            ready()
            async for prompt in console:
                await self._handle(prompt, client)

    async def _handle(self, prompt: ConsolePrompt, client: Client) -> None:
        # People see a prompt again after an escalation step and after new content, but not after a claim.
        shown = (prompt.revision, prompt.escalation_step)
        if self._shown.get(prompt.prompt_id) == shown:
            return
        self._shown[prompt.prompt_id] = shown
        self.prompts.append(prompt)
        rule = next((rule for rule in reversed(self.rules) if rule.matches(prompt)), None)
        try:
            reply = rule.reply_to(prompt) if rule is not None else None
            if rule is None or reply is None:
                reason = self._describe_unexpected(prompt, rule)
            elif reply.decision is None and not reply.without_end and await _is_endless(prompt, rule, client):
                reason = (
                    f"{rule!r} leaves {prompt.title!r} alone, and it has no deadline: nothing would end it. "
                    "Give the question one, or say .never(without_deadline=True) if the test ends it itself"
                    f"\n\n{_indent(render(prompt))}"
                )
            else:
                await self._do(reply, prompt, client)
                return
        except (PromptClosed, PromptStale):
            return  # it expired, or it changed and will be shown again
        except Exception as error:
            reason = f"{rule!r} was refused: {str(error) or repr(error)}\n\n{_indent(render(prompt))}"
        self.fail(AssertionError(reason))
        with contextlib.suppress(PromptClosed):
            await client.cancel_prompt(prompt.prompt_id, reason.splitlines()[0][:_MAX_REASON_CHARS])

    async def _do(self, reply: Reply, prompt: ConsolePrompt, client: Client) -> None:
        if reply.decision is None:
            self._left.add(prompt.prompt_id)
            return
        self._left.discard(prompt.prompt_id)
        decision, values = reply.decision(prompt), reply.values_for(prompt)
        if not (reply.by or needs_others(prompt)):
            await prompt.decide(decision, values=values, edits=reply.edits, comment=reply.comment)
            return
        request = answer_request(prompt, decision, values=values, edits=reply.edits, comment=reply.comment)
        request.test = True
        if await vote(client, request, voters_for(prompt, reply.by)):
            return
        if not reply.by:
            raise ValueError("the people who may answer are too few")
        self._left.add(prompt.prompt_id)  # further votes are up to the test

    def _describe_unexpected(self, prompt: PromptInfo, unfinished: Rule | None) -> str:
        if unfinished is not None:
            return f"{unfinished!r} says nothing: add .answers(...), .approves() or another verb"
        rules = (
            "\n".join(f"    {rule!r}  (matched {len(rule.prompts)})" for rule in reversed(self.rules))
            or "    none"
        )
        return (
            f"no fake-human rule for the prompt {prompt.title!r}\n\n{_indent(render(prompt))}\n\n"
            f"the rules, newest first:\n{rules}\n"
            f"one that would do:\n    {suggestion(prompt)}"
        )


def _indent(text: str) -> str:
    return textwrap.indent(text, "    ")


async def _is_endless(prompt: PromptInfo, rule: Rule, client: Client) -> bool:
    """Whether the job would wait without limit for a prompt that is left unanswered."""
    if not prompt.blocking or prompt.expires_at is not None:
        return False
    if prompt.escalates_at is not None and rule.has_more:
        return False  # it will be shown again and answered then
    return (await client.get(prompt.job_id)).expires_at is None
