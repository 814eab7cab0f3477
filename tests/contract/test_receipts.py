"""Receipts say what is stored and recorded, and nothing is signed that was changed."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.util import await_only

from askback_server.domain import commands as c
from askback_server.domain.approvals import Approval, GroupApproval
from askback_server.domain.chain import ERASED
from askback_server.domain.commands import PromptRef
from askback_server.domain.content import Audience, DefaultAnswer, FinalAction
from askback_server.domain.decisions import Decision, DecisionOption
from askback_server.domain.delegations import DelegationMode
from askback_server.domain.errors import PromptNotFound
from askback_server.domain.forms import SchemaForm
from askback_server.domain.people import PersonSetting, set_person
from askback_server.domain.principals import Principal, Role
from askback_server.domain.prompts import Prompt
from askback_server.domain.receipts import AuditFailed, Because, ReceiptUnavailable, receipt_payload
from askback_server.domain.routing_commands import DelegatePrompt
from askback_server.engine.receipts import Receipts
from askback_server.storage import tables
from askback_server.storage.audit_reads import AuditReads
from askback_server.storage.database import Database
from tests.support.aggregates import CLIENT, question
from tests.support.audited_jobs import erase, trip
from tests.support.storage import Node, execute
from tests.support.waiting import until


class PlainSigner:
    """Its signature is the payload: these tests are about what is signed."""

    def sign(self, payload: str) -> str:
        return payload

    def public_keys(self) -> str:
        return '{"keys":[]}'


FORM = SchemaForm('{"type":"object","properties":{"n":{"type":"integer"}}}')


def receipts(here: Node) -> Receipts:
    return Receipts(here.database.audit, here.queries, PlainSigner())


async def receipt(here: Node, prompt: Prompt, who: Principal = CLIENT) -> Any:
    return json.loads(await receipts(here).receipt(PromptRef(prompt.prompt_id), who))


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


async def test_it_says_who_decided_what_about_which_content(here: Node) -> None:
    job, prompt = await here.waiting(question(title="Send how many?", form=FORM))
    result = await here.answer(
        prompt, decision=Decision.ACCEPT, values_json='{"n": 9007199254740993}', comment="ok"
    )
    closed = result.prompt
    signed = await receipt(here, prompt)
    event = signed.pop("event")
    assert signed == {
        "type": "askback.receipt.v1",
        "namespace": "default",
        "job_id": job.job_id,
        "prompt_id": prompt.prompt_id,
        "key": "a",
        "kind": prompt.content.kind,
        "revision": 1,
        "requested_by": "carl",
        "shown_digest": prompt.shown_digest,
        "state": "ANSWERED",
        "decided_by": "ann",
        "decided_at": closed.resolution.at.isoformat(timespec="microseconds"),
        "answer": {
            "answer_id": "a1",
            "decision": "ACCEPT",
            "source": "HUMAN",
            "user_id": "ann",
            "given_at": closed.resolution.answer.created_at.isoformat(timespec="microseconds"),
            "comment_sha256": sha256("ok"),
            "values_sha256": sha256('{"n": 9007199254740993}'),
        },
    }
    stored = await here.database.audit.stored_job(job.job_id)
    [answered] = [e for e in stored.events if e.event.type == "PROMPT_ANSWERED"]
    assert event == {"seq": answered.event.seq, "hash": answered.hash.hex()}
    again = await receipts(here).receipt(PromptRef(prompt.prompt_id), CLIENT)
    await here.complete(job)
    assert await receipts(here).receipt(PromptRef(prompt.prompt_id), CLIENT) == again, "it stays the same"


async def test_it_names_the_votes_that_decided_and_for_whom(here: Node) -> None:
    options = tuple(DecisionOption(d, d.title()) for d in (Decision.ACCEPT, Decision.REJECT))
    approval = Approval(2, (GroupApproval("law", 1),))
    content = question(
        kind="preview", decisions=options, approval=approval, audience=Audience(frozenset({"dan", "eve"}))
    )
    _, prompt = await here.waiting(content)
    dan, eve = (Principal(n, frozenset({Role.CONSOLE}), groups=frozenset({"law"})) for n in ("dan", "eve"))
    ref = PromptRef(prompt.prompt_id)
    known = PersonSetting("default", "fay", groups=frozenset({"law"}), active=True)
    await here.database.people.change("default", ["fay"], lambda _: set_person(known, "root"))
    await here.do(DelegatePrompt(principal=dan, ref=ref, mode=DelegationMode.ADD, user="fay", comment=""))
    fay = Principal("fay", frozenset({Role.CONSOLE}), groups=frozenset({"law", "it"}))
    for who, decision in ((fay, Decision.ACCEPT), (eve, Decision.ACCEPT)):
        await here.answer(prompt, f"by-{who.subject}", principal=who, decision=decision)
    signed = await receipt(here, prompt)
    assert (signed["decided_by"], signed["answer"]["decision"]) == ("eve", "ACCEPT")
    assert signed["approval"] == {
        "required": 2,
        "per_group": [{"group": "law", "required": 1}],
        "reject_at": 1,
    }
    votes = [(v["user_id"], v.get("on_behalf_of"), v["groups"], v["source"]) for v in signed["votes"]]
    assert votes == [("fay", "dan", ["law"], "HUMAN"), ("eve", None, ["law"], "HUMAN")]


async def test_a_vote_that_did_not_decide_is_not_in_it(here: Node) -> None:
    options = tuple(DecisionOption(d, d.title()) for d in (Decision.ACCEPT, Decision.REJECT))
    _, prompt = await here.waiting(question(kind="preview", decisions=options, approval=Approval(3)))
    for name, decision in (("dan", Decision.ACCEPT), ("eve", Decision.REJECT)):
        who = Principal(name, frozenset({Role.CONSOLE}))
        await here.answer(prompt, f"by-{name}", principal=who, decision=decision)
    signed = await receipt(here, prompt)
    assert [v["user_id"] for v in signed["votes"]] == ["eve"]
    assert signed["answer"]["decision"] == "REJECT"


async def test_an_end_without_an_answer_and_a_default_have_receipts(here: Node) -> None:
    job, prompt = await here.waiting()
    await here.do(c.CancelPrompt(principal=CLIENT, ref=PromptRef(prompt.prompt_id), reason="not needed"))
    signed = await receipt(here, prompt)
    assert (signed["state"], signed["reason"], signed["decided_by"]) == ("CANCELLED", "not needed", "carl")
    assert "answer" not in signed
    rejected = question(
        timeout=timedelta(seconds=0.1),
        final_action=FinalAction.DEFAULT,
        default_answer=DefaultAnswer(Decision.REJECT),
    )
    late = await here.ask(job, "late", rejected)

    async def is_closed() -> bool:
        here.clock.observe(await here.database.ping())
        await here.do(c.RunDue(job_id=job.job_id))
        return not (await here.queries.prompt(PromptRef(late.prompt_id), CLIENT)).is_open

    await until(is_closed)
    signed = await receipt(here, late)
    assert (signed["answer"]["source"], signed["answer"]["decision"]) == ("TIMEOUT_DEFAULT", "REJECT")


async def test_nothing_that_was_changed_is_signed(here: Node) -> None:
    job, prompt = await here.waiting()
    await here.answer(prompt)
    assert (await receipt(here, prompt))["decided_by"] == "ann"
    eve = sa.func.replace(sa.cast(tables.prompts.c.response_data, sa.Text), '"ann"', '"eve"')
    changed = sa.cast(eve, sa.JSON) if here.database._dialect.name == "postgresql" else eve
    await execute(here.database, sa.update(tables.prompts).values(response_data=changed))
    with pytest.raises(AuditFailed, match="hitl_interactions") as refused:
        await receipt(here, prompt)
    assert refused.value.metadata == {"job_id": job.job_id}


async def test_a_row_that_cannot_be_read_is_a_failed_audit(here: Node) -> None:
    _, prompt = await here.waiting()
    await here.answer(prompt)
    await execute(here.database, "UPDATE hitl_interactions SET votes = '{}'")
    signed = await receipt(here, prompt)
    assert "votes" not in signed, "a prompt without an approval has none"
    await execute(here.database, "UPDATE jobs SET requesters = '[7'")
    with pytest.raises(AuditFailed):
        await receipt(here, prompt)


async def test_a_reason_says_why_there_is_none(here: Node) -> None:
    _, prompt = await here.waiting()
    ref = PromptRef(prompt.prompt_id)

    async def because(of: Receipts = receipts(here)) -> str:  # noqa: B008
        with pytest.raises(ReceiptUnavailable) as refused:
            await of.receipt(ref, CLIENT)
        return refused.value.metadata["because"]

    assert await because() == "OPEN"
    await here.answer(prompt)
    assert await because(Receipts(here.database.audit, here.queries, None)) == "NO_KEY"
    with pytest.raises(PromptNotFound):
        await receipt(here, prompt, Principal("eve", frozenset({Role.CLIENT}), namespaces=("other",)))
    await erase(here.database, prompt.job_id, "PROMPT_ANSWERED")
    assert await because() == "ERASED"


async def test_an_erased_content_and_an_unchained_event_have_none(here: Node) -> None:
    job_id = await trip(here)
    stored = await here.database.audit.stored_job(job_id)
    [row] = stored.prompts
    await execute(here.database, sa.update(tables.prompts).values(prompt_data=ERASED))
    amended = sa.update(tables.events).where(tables.events.c.type == "PROMPT_AMENDED")
    await execute(here.database, amended.values(document_salt=None))
    erased = await here.database.audit.stored_job(job_id)
    with pytest.raises(ReceiptUnavailable) as refused:
        receipt_payload(erased, row["interaction_id"])
    assert refused.value.metadata["because"] == Because.ERASED
    await execute(here.database, sa.update(tables.prompts).values(prompt_data=row["prompt_data"]))
    clear = {"hash": None, "salt": None, "document_salt": None, "documents": None}
    await execute(here.database, sa.update(tables.events).values(clear))
    await execute(here.database, sa.update(tables.jobs).values(chain=None))
    unchained = await here.database.audit.stored_job(job_id)
    with pytest.raises(ReceiptUnavailable) as refused:
        receipt_payload(unchained, row["interaction_id"])
    assert refused.value.metadata["because"] == Because.UNCHAINED


async def test_all_of_a_job_is_read_as_of_one_moment(database: Database, here: Node) -> None:
    """A write between two statements of the read must not look like a damaged row."""
    job, prompt = await here.waiting()

    def read(connection: sa.Connection) -> tuple[int, int]:
        reads = AuditReads(connection)
        before = len(reads.job(job.job_id).events)
        await_only(here.answer(prompt))
        return before, len(reads.job(job.job_id).events)

    before, after = await database._dialect.read_snapshot(read)
    assert before == after
    assert len((await database.audit.stored_job(job.job_id)).events) > after
