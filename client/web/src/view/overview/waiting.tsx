// What waits now: how many, for how long, of what kind; and the oldest of them.

import { Plain } from "../../content";
import type { GetOverviewResponse, WaitingPrompt, WaitingPrompts } from "../../wire/messages";
import { rich, t } from "../../words/later";
import { isClient } from "../roles";
import { kindWords, typeWords } from "../labels";
import { usePage } from "../page";
import { PlaceLink } from "../place_link";
import { instant, isOpen } from "../prompt_facts";
import { exact, halfMinute, span } from "../times";
import { Ago, Icon, Name } from "../ui";
import { type AgeClass, ageClasses, agesOf } from "./figures";
import { BarTable, Figure, figure, NumberTable } from "./parts";

/** An age class in words: `1 min to 5 min`. */
function ageWords({ from, to }: AgeClass): string {
  if (to === undefined) return t("overview.age.over", { from: span(from) });
  if (from === 0) return t("overview.age.under", { to: span(to) });
  return t("overview.age.between", { from: span(from), to: span(to) });
}

export function Waiting({ reply }: { readonly reply: GetOverviewResponse }) {
  const waiting = reply.waiting ?? {};
  const total = waiting.total ?? 0;
  return (
    <section class="section" aria-labelledby="overview-waiting">
      <h2 id="overview-waiting">{t("overview.waiting")}</h2>
      {total === 0 ? (
        <p class="empty empty-title">{t("overview.waiting.none")}</p>
      ) : (
        <Numbers reply={reply} />
      )}
    </section>
  );
}

/** How many of them the reader's inbox has, where that is another number. */
function Mine({ total }: { readonly total: number }) {
  const { inbox } = usePage();
  const n = [...inbox.rows.value.values()].filter(isOpen).length;
  if (inbox.link.value !== "live" || n >= total) return null;
  return <p class="hint">{t("overview.waiting.inbox", { n })}</p>;
}

function Numbers({ reply }: { readonly reply: GetOverviewResponse }) {
  const { inbox } = usePage();
  halfMinute.value;
  const waiting = reply.waiting ?? {};
  const total = waiting.total ?? 0;
  const unattended = waiting.unattended ?? 0;
  const oldest = instant(reply.oldest?.[0]?.createTime);
  const classes = ageClasses(waiting);
  const ages = agesOf(waiting, classes.length);
  const kinds = waiting.byKind ?? [];
  const priorities = waiting.byPriority ?? [];
  return (
    <>
      <ul class="figures">
        <Figure value={figure(total)}>{t("overview.waiting.total", { n: total })}</Figure>
        <Figure value={figure(unattended)} isAlert={unattended > 0}>
          {unattended > 0 ? <Icon name="away" /> : null} {t("overview.waiting.unattended")}
        </Figure>
        {oldest === undefined ? null : (
          <Figure value={span(inbox.now() - oldest, { seconds: false })} title={exact(oldest)}>
            {t("overview.waiting.oldest")}
          </Figure>
        )}
      </ul>
      <Mine total={total} />
      <p class="hint">{t("overview.waiting.unattended.more")}</p>
      {waiting.partial === true ? <p class="hint">{t("overview.waiting.partial", { n: total })}</p> : null}
      <div class="overview-columns">
        <BarTable
          title={t("overview.age")}
          first={t("overview.column.age")}
          rows={classes.map((one, at) => ({
            key: `${one.from}`,
            name: ageWords(one),
            n: ages[at] ?? 0,
            unattended: 0,
          }))}
        />
        <BarTable
          title={t("overview.kind")}
          first={t("overview.column.kind")}
          rows={kinds.map((one) => ({
            key: one.kind ?? "",
            name: <Name text={kindWords(one.kind)} />,
            n: one.total ?? 0,
            unattended: one.unattended ?? 0,
          }))}
        />
        {priorities.length < 2 ? null : (
          <BarTable
            title={t("overview.priority")}
            first={t("overview.column.priority")}
            rows={priorities.map((one) => ({
              key: `${one.priority ?? 0}`,
              name: t("overview.priority.n", { n: one.priority ?? 0 }),
              n: one.total ?? 0,
              unattended: one.unattended ?? 0,
            }))}
          />
        )}
      </div>
      <details>
        <summary>{t("overview.by_kind_and_age")}</summary>
        <KindsByAge waiting={waiting} classes={classes} />
      </details>
    </>
  );
}

function KindsByAge({
  waiting,
  classes,
}: {
  readonly waiting: WaitingPrompts;
  readonly classes: readonly AgeClass[];
}) {
  return (
    <NumberTable
      title={t("overview.by_kind_and_age")}
      head={[t("overview.column.kind"), ...classes.map(ageWords), t("overview.column.n")]}
      rows={(waiting.byKind ?? []).map((one) => ({
        key: one.kind ?? "",
        cells: [
          <Name text={kindWords(one.kind)} />,
          ...agesOf(one, classes.length).map(figure),
          figure(one.total ?? 0),
        ],
      }))}
    />
  );
}

export function Oldest({ reply }: { readonly reply: GetOverviewResponse }) {
  const oldest = reply.oldest ?? [];
  const all = reply.waiting?.total ?? 0;
  if (oldest.length === 0) return null;
  return (
    <section class="section" aria-labelledby="overview-oldest">
      <h2 id="overview-oldest">{t("overview.oldest")}</h2>
      {all > oldest.length ? <p class="hint">{t("overview.oldest.of", { n: oldest.length, all })}</p> : null}
      <ol class="job-rows" aria-labelledby="overview-oldest">
        {oldest.map((prompt) => (
          <OldestRow key={prompt.promptId} prompt={prompt} />
        ))}
      </ol>
    </section>
  );
}

function OldestRow({ prompt }: { readonly prompt: WaitingPrompt }) {
  const { inbox } = usePage();
  halfMinute.value;
  const asked = instant(prompt.createTime);
  const deadline = instant(prompt.expireTime);
  const left = deadline === undefined ? 0 : deadline - inbox.now();
  const priority = prompt.priority ?? 0;
  const name = <Name text={typeWords(prompt.jobType)} />;
  return (
    <li class="oldest-row">
      <PlaceLink class="job-name" place={{ view: "prompt", promptId: prompt.promptId ?? "" }}>
        <Plain text={prompt.title ?? ""} />
      </PlaceLink>
      <div class="row-meta">
        {asked === undefined ? null : <Ago key={asked} at={asked} now={() => inbox.now()} />}
        <span class="kind">{kindWords(prompt.kind)}</span>
        {isClient(inbox.session.value) ? (
          <PlaceLink place={{ view: "job", jobId: prompt.jobId ?? "" }}>
            {rich("overview.oldest.job", { type: name })}
          </PlaceLink>
        ) : (
          <span>{rich("overview.oldest.job", { type: name })}</span>
        )}
        {priority === 0 ? null : (
          <span>{t(priority > 0 ? "row.priority.high" : "row.priority.low", { n: priority })}</span>
        )}
        {deadline === undefined ? null : (
          <span title={exact(deadline)}>
            {left > 0 ? t("row.deadline", { span: span(left, { seconds: false }) }) : t("row.deadline.over")}
          </span>
        )}
        {(prompt.claimedBy ?? "") === "" ? null : (
          <span>{rich("row.claim", { name: <Name text={prompt.claimedBy ?? ""} /> })}</span>
        )}
        {prompt.unattendedTime === undefined ? null : (
          <span class="mark" title={t("row.unattended.more")}>
            <Icon name="away" />
            {t("row.unattended")}
          </span>
        )}
      </div>
    </li>
  );
}
