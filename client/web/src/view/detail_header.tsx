// The head of a prompt: kind, who asks, until when and what happens then, who has it claimed.

import { useSignal } from "@preact/signals";
import type { Row } from "../model/inbox";
import type { Prompt, PromptContent } from "../wire/messages";
import type { LaterKey } from "../words";
import { rich, t } from "../words/later";
import { ApprovalLine } from "./approval_line";
import { namesOf, reachNames } from "./audience";
import { DelegationLines, OfferDelegate } from "./delegations";
import { ErrorNote } from "./errors";
import { Fact } from "./fact";
import { kindWords, nameOf, verbOf } from "./labels";
import { siblings } from "./list_state";
import { subjectOf, usePage } from "./page";
import {
  claimant,
  idOf,
  instant,
  isAskedAgain,
  isDecision,
  isFor,
  isOpen,
  milliseconds,
  priorityOf,
  requesterOf,
  saysMore,
  urgency,
} from "./prompt_facts";
import { formatRoute, go, isPlainClick, route } from "./route";
import { halfMinute, second, span } from "./times";
import { Ago, Icon, Name, Time } from "./ui";

/** A narrow screen starts with the deadline and the claim only, so that the question is in view. */
const NARROW = typeof matchMedia === "function" && matchMedia("(max-width: 799px)").matches;

export function DetailHeader({ row }: { readonly row: Row }) {
  const { inbox } = usePage();
  const { prompt } = row;
  const content = prompt.content ?? {};
  const created = instant(prompt.createTime);
  const priority = priorityOf(prompt);
  const open = isOpen(row);
  return (
    <div class="facts">
      <p class="facts-line">
        <span class="kind">{kindWords(content.kind)}</span>
        {priority === 0 ? null : (
          <span class={priority > 0 ? "priority is-high" : "priority"}>
            <Icon name={priority > 0 ? "up" : "down"} />
            {priority > 0 ? t("row.priority.high", { n: priority }) : t("row.priority.low", { n: priority })}
          </span>
        )}
        <Asks prompt={prompt} />
        {isAskedAgain(prompt) ? (
          <span class="mark">
            <Icon name="redo" />
            {t("row.again")}
          </span>
        ) : null}
        {created === undefined ? null : <Ago key={created} at={created} now={() => inbox.now()} />}
      </p>
      {open ? <Deadline row={row} /> : null}
      {open ? <ClaimLine row={row} /> : null}
      {open ? <ApprovalLine prompt={prompt} /> : null}
      <DelegationLines row={row} />
      <details class="more-facts" open={!NARROW}>
        <summary>{t("detail.more")}</summary>
        {open ? <Nudges row={row} /> : null}
        <Audience prompt={prompt} open={open} />
        {prompt.routed === true ? <Fact icon="up">{t("detail.routed")}</Fact> : null}
        <OfferDelegate row={row} />
        <Labels labels={content.labels ?? {}} />
      </details>
      <Siblings row={row} />
    </div>
  );
}

/** Which job asks, and for whom, as far as that says anything. */
function Asks({ prompt }: { readonly prompt: Prompt }) {
  const requester = requesterOf(prompt);
  const parts = {
    type: <Name text={prompt.jobType ?? ""} />,
    who: (
      <strong>
        <Name text={requester} />
      </strong>
    ),
  };
  const key: LaterKey | null = saysMore(prompt.jobType)
    ? requester === ""
      ? "detail.asks.job"
      : "detail.asks"
    : requester === ""
      ? null
      : "detail.asks.person";
  return key === null ? null : <span>{rich(key, parts)}</span>;
}

/** Until when, and what happens then. Without a connection the time left is not known. */
function Deadline({ row }: { readonly row: Row }) {
  const { inbox } = usePage();
  const { prompt } = row;
  const content = prompt.content ?? {};
  const deadline = instant(prompt.expireTime);
  if (deadline === undefined) return <Fact icon="clock">{t("deadline.none")}</Fact>;
  const isLive = inbox.link.value === "live";
  if (isLive) second.value;
  const now = inbox.now();
  const how = urgency(deadline, now);
  const then = finalWords(content);
  const time = <Time at={deadline} now={now} />;
  if (how === "over")
    return (
      <Fact icon="alert" tone="now">
        {t("deadline.over")}
      </Fact>
    );
  return (
    <Fact icon={how === "now" ? "alert" : "clock"} tone={isLive ? how : "stopped"}>
      {isLive
        ? rich("deadline.left", { span: <strong>{span(deadline - now)}</strong>, time })
        : rich("deadline.stopped", { time })}{" "}
      {then}
    </Fact>
  );
}

function finalWords(content: PromptContent): string {
  if (content.finalAction === "FINAL_ACTION_FAIL_JOB") return t("deadline.then.fail");
  if (content.finalAction === "FINAL_ACTION_DEFAULT") {
    const decision = content.defaultAnswer?.decision ?? "";
    const option = (content.decisions ?? []).find((one) => one.decision === decision);
    const name = option !== undefined ? nameOf(option) : isDecision(decision) ? verbOf(decision) : "";
    return t("deadline.then.default", { name });
  }
  return content.blocking === true ? t("deadline.then.expire_blocking") : t("deadline.then.expire");
}

/** Escalation and reminders, in words. */
function Nudges({ row }: { readonly row: Row }) {
  const { inbox } = usePage();
  const { prompt } = row;
  const content = prompt.content ?? {};
  halfMinute.value;
  const now = inbox.now();
  const next = instant(prompt.nextEscalationTime);
  const step = content.escalation?.[prompt.escalationStep ?? 0];
  const remind = instant(prompt.nextRemindTime);
  const every = milliseconds(content.reminders?.every);
  const to = namesOf(step?.to);
  const key: LaterKey =
    to === "" ? "escalation.priority" : step?.replace === true ? "escalation.replace" : "escalation.add";
  return (
    <>
      {next === undefined || step === undefined ? null : (
        <Fact icon="up">{rich(key, { time: <Time at={next} now={now} />, names: <Name text={to} /> })}</Fact>
      )}
      {(prompt.escalationStep ?? 0) > 0 ? (
        <Fact icon="up">{t("escalation.taken", { n: prompt.escalationStep ?? 0 })}</Fact>
      ) : null}
      {remind === undefined ? null : (
        <Fact icon="clock">
          {rich("reminder.next", {
            time: <Time at={remind} now={now} />,
            span: every === undefined ? "" : span(every),
          })}
        </Fact>
      )}
    </>
  );
}

function Audience({ prompt, open }: { readonly prompt: Prompt; readonly open: boolean }) {
  const names = namesOf(prompt.content?.audience);
  const asked =
    names === "" ? t("audience.asked_all") : rich("audience.asked", { names: <Name text={names} /> });
  const excluded = namesOf(prompt.content?.exclude);
  return (
    <Fact icon="eye">
      {open ? <AudienceText prompt={prompt} /> : asked}
      {open && excluded !== "" ? <> {rich("excluded.names", { names: <Name text={excluded} /> })}</> : null}
    </Fact>
  );
}

/** Who may answer. */
export function AudienceText({ prompt }: { readonly prompt: Prompt }) {
  const names = reachNames(prompt);
  if (names === "") return <>{t("audience.all")}</>;
  return <>{rich("audience.some", { names: <Name text={names} /> })}</>;
}

function ClaimLine({ row }: { readonly row: Row }) {
  const page = usePage();
  const { inbox } = page;
  const busy = useSignal(false);
  const error = useSignal<unknown>(null);
  halfMinute.value;
  const now = inbox.now();
  const id = idOf(row.prompt);
  const holder = claimant(row.prompt, now);
  const until = instant(row.prompt.claimExpireTime);
  const mine = holder !== "" && holder === subjectOf(page);
  const canAct = inbox.canDecide.value && isFor(row.prompt, inbox.session.value);
  const isAdmin = page.inbox.session.value.admin === true;
  const act = async (call: () => Promise<unknown>) => {
    if (busy.peek() || !canAct) return;
    busy.value = true;
    error.value = null;
    try {
      await call();
    } catch (problem) {
      error.value = problem;
    }
    busy.value = false;
  };
  const untilTime = until === undefined ? "" : <Time at={until} now={now} />;
  return (
    <div class="claim-line">
      <Fact icon="person">
        {holder === ""
          ? t("claim.none")
          : mine
            ? rich("claim.mine", { time: untilTime })
            : rich("claim.other", {
                name: (
                  <strong>
                    <Name text={holder} />
                  </strong>
                ),
                time: untilTime,
              })}
      </Fact>
      {holder === "" || mine ? (
        <button
          type="button"
          class="button is-small"
          data-command="claim"
          aria-disabled={!canAct || busy.value}
          onClick={() => void act(() => inbox.claim(id))}
        >
          {mine ? t("claim.extend") : t("claim.take")}
        </button>
      ) : null}
      {mine || (holder !== "" && isAdmin) ? (
        <button
          type="button"
          class="button is-small"
          data-command="release"
          aria-disabled={!canAct || busy.value}
          onClick={() => void act(() => inbox.release(id))}
        >
          {mine ? t("claim.release") : t("claim.end")}
        </button>
      ) : null}
      {error.value === null ? null : <ErrorNote error={error.value} />}
    </div>
  );
}

function Labels({ labels }: { readonly labels: Readonly<Record<string, string>> }) {
  const entries = Object.entries(labels);
  if (entries.length === 0) return null;
  return (
    <ul class="labels" aria-label={t("labels.title")}>
      {entries.map(([name, value]) => (
        <li key={name}>
          <Name text={`${name}: ${value}`} />
        </li>
      ))}
    </ul>
  );
}

/** Other open questions of the same job, so that a person who answers one knows of the others. */
function Siblings({ row }: { readonly row: Row }) {
  const { inbox } = usePage();
  inbox.rows.value;
  const others = siblings(row.prompt);
  if (others.length === 0) return null;
  return (
    <div class="siblings">
      <p>{t("siblings.title", { n: others.length })}</p>
      <ul>
        {others.map((prompt) => (
          <li key={idOf(prompt)}>
            <a
              href={formatRoute({ view: "prompt", promptId: idOf(prompt) }, route.peek().query)}
              onClick={(event) => {
                if (!isPlainClick(event)) return;
                event.preventDefault();
                go({ view: "prompt", promptId: idOf(prompt) });
              }}
            >
              <Name text={prompt.content?.title ?? ""} />
            </a>
          </li>
        ))}
      </ul>
    </div>
  );
}
