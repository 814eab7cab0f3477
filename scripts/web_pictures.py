"""Take docs/pictures/web-*.png: the web page in Chromium, in front of a real service.

`make screenshots` starts a service with its page on a free port, asks the same questions each time, opens the
page for ana, and takes each picture. The clock of the service stands still between the steps, so a rerun
changes a picture only where the page has changed. Needs Chromium. Names of pictures as arguments take only
those.
"""

from __future__ import annotations

import asyncio
import io
import json
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from PIL import Image, ImageChops
from playwright.async_api import Browser, Page, Route, async_playwright

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import (
    hitl_service_pb2_grpc,
    job_pb2,
    job_service_pb2_grpc,
    prompt_pb2,
    worker_service_pb2_grpc,
)
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import worker_service_pb2 as workers
from askback_server.config.settings import Config
from askback_server.lifecycle import Service
from askback_server.ports.clock import SystemClock
from askback_server.transport.tokens import hash_token
from scripts.chromium import find_chromium

PICTURES = Path(__file__).resolve().parents[1] / "docs" / "pictures"
TODAY = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)
COLOURS = 128
INVISIBLE = 24
"""The most that a channel of a pixel may differ, of 255, where a picture is left as it is."""
LARGEST = 120_000
"""The most bytes that a picture may have."""
_LINES = '[[tokens]]\nsha256 = "{}"\nsubject = "{}"\nroles = {}\nnamespaces = ["default"]\n'
ROLES = (("pia", '["console", "policy"]'), ("bot", '["client"]'))
"""Who has tokens: a role such as `policy` comes from a token only."""
WIDE: dict[str, Any] = {"viewport": {"width": 1180, "height": 860}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 780},
    "is_mobile": True,
    "has_touch": True,
    "device_scale_factor": 1.5,
}
DIFF = """\
--- a/deploy/production.yaml
+++ b/deploy/production.yaml
@@ -4,7 +4,7 @@
 service: checkout
 replicas: 6
 strategy: canary
-canary_percent: 10
+canary_percent: 50
 pause_minutes: 15
 health_check: /healthz
 owner: payments
"""
PLAN = "Friday, 17:00: stop the writers\nFriday, 17:05: copy the last changes\n"
NOTES = """\
## 1.4.0

- Approvals in the browser
- Faster search
- No answer is lost when a server restarts
"""


class StandingClock(SystemClock):
    """A wall clock that moves only when it is told to."""

    def __init__(self) -> None:
        self._now = TODAY - timedelta(days=1)

    def now(self) -> datetime:
        """The time of the picture."""
        return self._now

    def set(self, to: datetime) -> None:
        """Move it to this time."""
        self._now = to


def span(**given: float) -> Duration:
    """A duration."""
    made = Duration()
    made.FromTimedelta(timedelta(**given))
    return made


def question(kind: str, title: str, **fields: Any) -> prompt_pb2.PromptContent:
    """A question for the group desk."""
    fields.setdefault("audience", prompt_pb2.Audience(groups=["desk"]))
    return prompt_pb2.PromptContent(kind=kind, title=title, blocking=True, **fields)


def refund_form() -> prompt_pb2.QuestionForm:
    """The form of the picture."""
    policies = [
        prompt_pb2.Option(value="standard", title="Standard: within 30 days"),
        prompt_pb2.Option(value="goodwill", title="Goodwill: a partial refund"),
        prompt_pb2.Option(value="none", title="No refund"),
    ]
    return prompt_pb2.QuestionForm(
        questions=[
            prompt_pb2.Question(
                question_id="policy",
                title="Which policy applies?",
                required=True,
                single=prompt_pb2.SingleInput(options=policies),
            ),
            prompt_pb2.Question(
                question_id="amount",
                title="Refund in EUR",
                help="At most 500",
                required=True,
                number=prompt_pb2.NumberInput(minimum=0, maximum=500),
            ),
            prompt_pb2.Question(
                question_id="note", title="Note for the customer", text=prompt_pb2.TextInput(multiline=True)
            ),
        ]
    )


class Person:
    """Calls the service in the name of a person or program."""

    def __init__(self, channel: grpc.aio.Channel, user: str, groups: str = "", token: str = "") -> None:
        named = (("askback-user", user), ("askback-groups", groups))
        metadata = (("authorization", f"Bearer {token}"),) if token else named
        stubs = (
            job_service_pb2_grpc.JobServiceStub,
            worker_service_pb2_grpc.WorkerServiceStub,
            hitl_service_pb2_grpc.HitlServiceStub,
        )
        self._stubs = [stub(channel) for stub in stubs]
        self._metadata = metadata

    async def call(self, request: Any) -> Any:
        """Call the method that takes this request."""
        name = type(request).__name__.removesuffix("Request")
        [method] = [getattr(stub, name) for stub in self._stubs if hasattr(stub, name)]
        return await method(request, metadata=self._metadata, timeout=20)

    async def ask(self, job_type: str, content: prompt_pb2.PromptContent) -> prompt_pb2.Prompt:
        """Ask a question without a worker."""
        reply = await self.call(jobs.CreateJobRequest(job_type=job_type, prompt=content))
        prompt: prompt_pb2.Prompt = reply.prompt
        return prompt

    async def answer(
        self, prompt: prompt_pb2.Prompt, decision: prompt_pb2.Decision.ValueType, **fields: Any
    ) -> None:
        """Answer a question."""
        request = hitl.AnswerPromptRequest(
            prompt_id=prompt.prompt_id, revision=prompt.revision, answer_id="1", decision=decision, **fields
        )
        await self.call(request)


async def fill_history(shop: Person, ben: Person, clock: StandingClock) -> None:
    """Let ben answer questions of the last day, more of them by day: what the overview draws."""
    for hours in range(24, 2, -1):
        begin = TODAY - timedelta(hours=hours)
        for number in range(5 + hours % 4 if 6 <= begin.hour <= 17 else 1):
            clock.set(begin + timedelta(minutes=7 * number))
            job_type, kind = ("refund", "confirm") if number % 3 else ("invoice", "validate")
            prompt = await shop.ask(job_type, question(kind, f"Question {hours}-{number}?"))
            clock.set(clock.now() + timedelta(seconds=(40, 190, 420, 95, 1500)[(hours + number) % 5]))
            await ben.answer(prompt, prompt_pb2.DECISION_ACCEPT)


async def fill(channel: grpc.aio.Channel, clock: StandingClock) -> dict[str, prompt_pb2.Prompt]:
    """Ask and answer the questions of the pictures. Returns the open ones by name."""
    ana, ben = Person(channel, "ana", "desk"), Person(channel, "ben", "desk")
    shop, bot = Person(channel, "shop"), Person(channel, "release-bot")
    await fill_history(shop, ben, clock)
    clock.set(TODAY - timedelta(days=1))
    for order, decision, why in (
        ("A-11", prompt_pb2.DECISION_ACCEPT, "paid by card"),
        ("A-12", prompt_pb2.DECISION_REJECT, "the parcel was delivered"),
    ):
        clock.set(clock.now() + timedelta(minutes=20))
        await ana.answer(
            await shop.ask("refund", question("confirm", f"Refund order {order}?")), decision, comment=why
        )
    clock.set(TODAY - timedelta(minutes=50))
    release = await bot.call(jobs.CreateJobRequest(job_type="release"))
    leased = await bot.call(
        workers.LeaseJobsRequest(job_types=["release"], worker_id="w", wait=span(seconds=5))
    )
    [lease] = leased.jobs

    async def ask(key: str, content: prompt_pb2.PromptContent) -> prompt_pb2.Prompt:
        request = workers.AskPromptRequest(
            job_id=release.job.job_id, token=lease.token, key=key, content=content
        )
        prompt: prompt_pb2.Prompt = (await bot.call(request)).prompt
        return prompt

    async def progress(done: int, message: str) -> None:
        report = job_pb2.Progress(done=done, total=4, message=message)
        await bot.call(
            workers.ReportProgressRequest(job_id=release.job.job_id, token=lease.token, progress=report)
        )

    plan = await ask("plan", question("confirm", "Start the release of 1.4.0 with a canary?"))
    clock.set(TODAY - timedelta(minutes=31))
    await ben.answer(plan, prompt_pb2.DECISION_ACCEPT, comment="10 % first, please")
    clock.set(TODAY - timedelta(minutes=20))
    await progress(2, "4,310 tests passed")
    clock.set(TODAY - timedelta(minutes=12))
    found = {}
    found["release"] = await ask(
        "go",
        question(
            "confirm",
            "Release 1.4.0 to production now?",
            body="All **4,310 tests** passed. The change below goes to six machines; [the run](https://ci.example.org/4310).",
            contents=[
                prompt_pb2.PromptPart(
                    content_id="diff", title="Against what is live", media_type="text/x-diff", text=DIFF
                )
            ],
            priority=5,
            labels={"team": "payments"},
            timeout=span(minutes=37, seconds=30),
            final_action=prompt_pb2.FINAL_ACTION_FAIL_JOB,
            escalation=[
                prompt_pb2.EscalationStep(after=span(minutes=27), to=prompt_pb2.Audience(groups=["leads"]))
            ],
        ),
    )
    found["refund"] = await shop.ask(
        "refund",
        question(
            "clarify",
            "How do we refund order A-17?",
            body="The parcel came **two days late**. The customer asks for the shipping costs.",
            questions=refund_form(),
            timeout=span(hours=4, minutes=12, seconds=30),
        ),
    )
    found["notes"] = await bot.ask(
        "release",
        question(
            "preview",
            "Are these the right release notes?",
            contents=[
                prompt_pb2.PromptPart(
                    content_id="notes", title="Notes", media_type="text/markdown", text=NOTES, editable=True
                )
            ],
            timeout=span(days=2, seconds=30),
        ),
    )
    clock.set(TODAY - timedelta(minutes=9))
    for number, amount in (("1042", "84.00"), ("1043", "129.90"), ("1044", "12.50")):
        found[number] = await shop.ask(
            "invoice",
            question(
                "confirm",
                f"Pay invoice {number} of {amount} EUR?",
                body="It fits its order and its delivery.",
                timeout=span(hours=8, seconds=30),
            ),
        )
    clock.set(TODAY - timedelta(minutes=6))
    found["address"] = await shop.ask(
        "address",
        question(
            "confirm",
            "Is 12 St James’s Square the address of A. Lovelace?",
            body="Two records differ.",
            timeout=span(minutes=88, seconds=30),
        ),
    )
    found["staging"] = await bot.ask(
        "cleanup",
        question("confirm", "Delete the staging database?", body="It was last used 90 days ago.", priority=1),
    )
    clock.set(TODAY - timedelta(minutes=2))
    await ben.call(hitl.ClaimPromptRequest(prompt_id=found["address"].prompt_id, duration=span(minutes=15)))
    clock.set(TODAY)
    return found


class Studio:
    """Takes the pictures. Each method with the name of a picture leaves the page as the picture shows it."""

    def __init__(
        self, browser: Browser, service: Service, guarded: Service, channel: grpc.aio.Channel
    ) -> None:
        """`guarded` has tokens, and `service`, to which the channel leads, takes names."""
        self._browser = browser
        self._service = service
        self._guarded = guarded
        self._channel = channel
        self._origin = f"http://127.0.0.1:{service.web_port}"
        self.prompts: dict[str, prompt_pb2.Prompt] = {}

    async def open(self, path: str = "/", *, origin: str = "", user: str = "", **options: Any) -> Page:
        """The page of ana, live; or of a user with a token, at the origin of another service."""
        origin = origin or self._origin
        context = await self._browser.new_context(locale="en-GB", timezone_id="Europe/Berlin", **options)
        headers = {"content-type": "application/json", "x-askback": "1", "origin": origin}
        person = json.dumps({"token": f"{user}-token"} if user else {"name": "ana", "groups": ["desk"]})
        reply = await context.request.post(f"{origin}/session", data=person, headers=headers)
        if not reply.ok:
            raise RuntimeError(await reply.text())
        await context.route("**/session", self._reply_about_the_session)
        page = await context.new_page()
        await page.clock.install(time=TODAY)
        await page.goto(origin + path)
        await page.wait_for_selector('[data-link="live"]')
        return page

    async def _reply_about_the_session(self, route: Route) -> None:
        """Give the page the time of the pictures, and an address that is the same each time."""
        reply = await route.fetch()
        said = await reply.json() | {"serverTime": TODAY.isoformat(), "server": "https://askback.example"}
        await route.fulfill(response=reply, json=said)

    async def open_prompt(self, name: str, **options: Any) -> Page:
        """The page of a question, ready to be answered."""
        page = await self.open(f"/prompts/{self.prompts[name].prompt_id}", **options)
        await page.wait_for_selector('[data-decision][aria-disabled="false"]')
        return page

    async def queue(self) -> Page:
        """What waits."""
        return await self.open(**WIDE)

    async def detail(self) -> Page:
        """A question with a diff."""
        page = await self.open_prompt("release", **WIDE)
        await page.wait_for_selector(".diff-added")
        return page

    async def form(self) -> Page:
        """A form, half filled in."""
        page = await self.open_prompt("refund", **WIDE)
        await page.get_by_label("Goodwill").check()
        await page.get_by_label("Refund in EUR").fill("12.50")
        return page

    async def claimed(self) -> Page:
        """A question that another person has claimed."""
        page = await self.open(f"/prompts/{self.prompts['address'].prompt_id}", **WIDE)
        await page.wait_for_selector('[data-decision][aria-disabled="true"]')
        return page

    async def bulk(self) -> Page:
        """The table before a joint decision."""
        page = await self.open(**WIDE)
        for name in ("1042", "1043", "1044"):
            await page.locator(f'[data-choose="{self.prompts[name].prompt_id}"]').check()
        await page.get_by_role("button", name="Decide together").click()
        await page.get_by_role("dialog").get_by_role("radio").first.check()
        await page.wait_for_selector('[data-command="bulk-confirm"][aria-disabled="false"]')
        return page

    async def job(self) -> Page:
        """What happened to the job so far."""
        page = await self.open_prompt("release", **WIDE)
        await page.get_by_text("Earlier questions of this job").click()
        await page.get_by_text("The job: release").click()
        await page.wait_for_selector(".timeline li")
        await page.get_by_text("Earlier questions of this job").scroll_into_view_if_needed()
        await page.locator(".timeline li").last.scroll_into_view_if_needed()
        return page

    async def dark(self) -> Page:
        """The dark theme."""
        page = await self.open_prompt("release", color_scheme="dark", **WIDE)
        await page.wait_for_selector(".diff-added")
        return page

    async def decided(self) -> Page:
        """What ana has decided."""
        page = await self.open("/?view=decided", **WIDE)
        await page.wait_for_selector(".row")
        return page

    async def phone_list(self) -> Page:
        """What waits, on a phone."""
        return await self.open(**PHONE)

    async def phone_detail(self) -> Page:
        """A question on a phone."""
        page = await self.open_prompt("release", **PHONE)
        await page.wait_for_selector(".diff-added", state="attached")
        return page

    async def overview(self) -> Page:
        """What waits and what happened."""
        await self._service.replica.sweep.sweep()
        page = await self.open("/overview", viewport={"width": 1180, "height": 1000})
        await page.wait_for_selector(".lanes")
        return page

    async def overview_activity(self) -> Page:
        """What happened, with its plots."""
        page = await self.overview()
        await page.locator("#overview-activity").evaluate("(heading) => heading.scrollIntoView()")
        return page

    async def closed(self) -> Page:
        """A question that was answered elsewhere while ana read it."""
        page = await self.open_prompt("staging", **WIDE)
        await page.locator("#comment").fill("The archive is from")
        await Person(self._channel, "ben", "desk").answer(
            self.prompts["staging"], prompt_pb2.DECISION_REJECT, comment="I still use it until Friday"
        )
        await page.wait_for_selector(".tombstone-title")
        return page

    async def votes(self) -> Page:
        """A question that two people must approve, with a proposal of ben and the vote of ana."""
        approval = prompt_pb2.Approval(
            required=2, per_group=[prompt_pb2.GroupApproval(group="leads", required=1)]
        )
        plan = prompt_pb2.PromptPart(content_id="plan", title="Plan", text=PLAN, editable=True)
        content = question("preview", "Move the database on Friday?", contents=[plan], approval=approval)
        asked = await Person(self._channel, "release-bot").ask("release", content)
        edits = [prompt_pb2.Edit(content_id="plan", text=PLAN.replace("Friday, 17:00", "Saturday, 08:00"))]
        self.prompts["move"] = asked
        page = await self.open_prompt("move", **WIDE)
        await page.locator("[data-decision=DECISION_ACCEPT]").click()
        await page.wait_for_selector('[data-vote="ana"]')
        await Person(self._channel, "ben", "desk").answer(
            asked, prompt_pb2.DECISION_EDIT, edits=edits, comment="Fewer people work then"
        )
        await page.locator('[data-vote="ben"]').scroll_into_view_if_needed()
        await page.wait_for_selector('[data-command="vote-for"][aria-disabled="false"]')
        return page

    async def delegated(self) -> Page:
        """A question that ben was asked and has delegated to ana."""
        content = question(
            "confirm",
            "Move the office to the second floor?",
            body="The rooms are free from **1 February** on. The landlord wants an answer this week.",
            audience=prompt_pb2.Audience(users=["ben"]),
        )
        asked = await Person(self._channel, "shop").ask("office", content)
        request = hitl.DelegatePromptRequest(
            prompt_id=asked.prompt_id,
            mode=hitl.DELEGATION_MODE_TRANSFER,
            user="ana",
            comment="You know the landlord",
        )
        await Person(self._channel, "ben", "desk").call(request)
        self.prompts["office"] = asked
        return await self.open_prompt("office", **WIDE)

    async def delegate(self) -> Page:
        """The window in which ana delegates a question."""
        page = await self.open_prompt("refund", **WIDE)
        await page.locator("[data-command=delegate]").click()
        await page.get_by_label("Name of the person").fill("ben")
        await page.get_by_label("Why, for the one who gets it").fill("You know this customer")
        await page.wait_for_selector('[data-command="delegate-confirm"][aria-disabled="false"]')
        return page

    async def always(self) -> Page:
        """The window in which pia makes a rule of her answer, at the service with tokens."""
        port, origin = self._guarded.port, f"http://127.0.0.1:{self._guarded.web_port}"
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            bot, pia = (Person(channel, "", token=f"{name}-token") for name in ("bot", "pia"))
            for path in ("/srv/shop", "/srv/shop", "/srv/shop", "/srv/shop"):
                content = prompt_pb2.PromptContent(
                    kind="confirm",
                    title=f"List the files of {path}?",
                    blocking=True,
                    labels={"environment": "test"},
                    metadata_json=json.dumps({"tool": "ls", "path": path}),
                )
                asked = await bot.ask("agent", content)
                await pia.answer(asked, prompt_pb2.DECISION_ACCEPT)
        page = await self.open(f"/prompts/{asked.prompt_id}", origin=origin, user="pia", **WIDE)
        await page.locator('[data-command="always"][aria-disabled="false"]').click()
        await page.get_by_label("Why").fill("It only reads")
        await page.wait_for_selector('[data-command="rule-create"][aria-disabled="false"]')
        return page

    async def offline(self) -> Page:
        """The page without a connection: the last picture, because it stops the service."""
        page = await self.open_prompt("release", **WIDE)
        await page.locator("#comment").fill("The canary looks good")
        # The page must get no reply about its session either.
        await page.context.unroute_all(behavior="ignoreErrors")
        await self._service.stop()
        await page.wait_for_selector('[data-link="offline"]')
        return page


NAMES = (
    *(
        "queue",
        "detail",
        "form",
        "claimed",
        "bulk",
        "job",
        "overview",
        "overview_activity",
        "dark",
        "decided",
    ),
    *("phone_list", "phone_detail", "closed", "votes", "delegated", "delegate", "always", "offline"),
)


async def steady_screenshot(page: Page) -> bytes:
    """A screenshot that is the same twice in a row: the page has drawn everything."""
    before = b""
    while (now := await page.screenshot(animations="disabled", caret="hide")) != before:
        before = now
    return now


def is_alike(new: Image.Image, present: Path) -> bool:
    """Whether a picture differs from the file by its choice of colours alone, which cannot be seen."""
    with Image.open(present) as old:
        if old.size != new.size:
            return False
        difference = ImageChops.difference(old.convert("RGB"), new.convert("RGB"))
    return max(difference.tobytes()) <= INVISIBLE


async def take(name: str, show: Callable[[], Awaitable[Page]]) -> None:
    """Take one picture. Raises RuntimeError if it is too large."""
    page = await show()
    target = PICTURES / f"web-{name.replace('_', '-')}.png"
    await page.mouse.move(0, 0)
    with Image.open(io.BytesIO(await steady_screenshot(page))) as shot:
        small = shot.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    if not (target.exists() and is_alike(small, target)):
        small.save(target, optimize=True)
    await page.context.close()
    size = target.stat().st_size
    print(f"{target.name} {size / 1000:.0f} kB")
    if size > LARGEST:
        raise RuntimeError(f"{target.name} has {size} bytes, more than {LARGEST}")


async def take_all(names: list[str]) -> None:
    """Take the pictures with these names."""
    clock = StandingClock()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        tokens = folder / "tokens.toml"
        lines = [_LINES.format(hash_token(f"{name}-token"), name, roles) for name, roles in ROLES]
        tokens.write_text("".join(lines))
        config = Config(
            listen="127.0.0.1:0",
            web="127.0.0.1:0",
            db=f"sqlite+aiosqlite:///{folder}/db",
            drain_grace=0.5,
            lease_ttl=86_400,
        )
        guarded_config = replace(config, db=f"sqlite+aiosqlite:///{folder}/guarded", auth=str(tokens))
        async with (
            Service(config, clock) as service,
            Service(guarded_config, clock) as guarded,
            async_playwright() as playwright,
        ):
            channel = grpc.aio.insecure_channel(f"127.0.0.1:{service.port}")
            browser = await playwright.chromium.launch(executable_path=find_chromium())
            studio = Studio(browser, service, guarded, channel)
            studio.prompts = await fill(channel, clock)
            for name in ("ana", "ben"):  # Prompts are delegated to people of the directory only.
                await Person(channel, name, "desk").call(hitl.ListPromptsRequest())
            await service.replica.directory.write()
            for name in names:
                await take(name, getattr(studio, name))
            await browser.close()
            await channel.close(None)


def main(names: list[str]) -> None:
    """Take the pictures, all of them without names."""
    if unknown := set(names) - set(NAMES):
        sys.exit(f"no such picture: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    if find_chromium() is None:
        sys.exit("Chromium is not installed")
    asyncio.run(take_all(names or list(NAMES)))


if __name__ == "__main__":
    main(sys.argv[1:])
