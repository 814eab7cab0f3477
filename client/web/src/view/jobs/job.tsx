// The page of one job: how far it is, what it asked, what happened, what went in and came out. It is live.

import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { JsonTree, Plain } from "../../content";
import type { Checkpoint, Failure, Job, JobEvent, Prompt } from "../../wire/messages";
import { t } from "../../words/later";
import { ErrorNote } from "../errors";
import { hasEnded, nameOf, shortId } from "../job_facts";
import { isClient } from "../roles";
import { EventLines, JobHead } from "../job_parts";
import { typeWords } from "../labels";
import { usePage } from "../page";
import { PlaceLink } from "../place_link";
import { idOf, instant } from "../prompt_facts";
import { RoundItem } from "../rounds";
import { Icon, Name, Time } from "../ui";
import { JobActions } from "./job_actions";
import { lastFilter } from "./last_filter";
import { useLiveJob } from "./live_jobs";
import { Picture } from "./picture";
import { FullReading, titlesOf } from "./reading";

export function JobView({ jobId }: { readonly jobId: string }) {
  const { inbox } = usePage();
  const { reading, feed, events, error } = useLiveJob(jobId, FullReading);
  const job = reading.job.value;
  const mayDoAll = isClient(inbox.session.value) && job?.headOnly !== true;
  return (
    <article class="jobs job-page" aria-labelledby="job-title" data-focus-home>
      {isClient(inbox.session.value) ? (
        <PlaceLink class="job-back" place={{ view: "jobs", filter: lastFilter.value }}>
          <Icon name="back" />
          {t("jobs.title")}
        </PlaceLink>
      ) : null}
      <h1 id="job-title" class="detail-title" tabIndex={-1}>
        {job === null ? (
          t(error === null ? "job.loading" : "job.missing")
        ) : (
          <>
            <Name text={typeWords(job.jobType)} /> <small>…{shortId(jobId)}</small>
          </>
        )}
      </h1>
      {error === null ? null : <ErrorNote error={error} />}
      {feed?.state.value === "offline" ? <p class="hint">{t("job.offline")}</p> : null}
      {job === null ? null : (
        <>
          <div role="status">
            <JobHead job={job} />
          </div>
          {job.headOnly === true ? <p class="hint">{t("job.head_only")}</p> : null}
          {mayDoAll ? <JobActions job={job} onChanged={() => void reading.read()} /> : null}
          <Facts job={job} />
          <FailureNote job={job} failure={job.failure} />
          <Questions prompts={reading.prompts.value} />
          <Picture job={job} events={events} prompts={reading.prompts.value} />
          <Events events={events} prompts={reading.prompts.value} />
          {reading.checkpoints.value === null ? null : <Checkpoints all={reading.checkpoints.value} />}
          {mayDoAll ? (
            <>
              <Json title={t("job.input")} text={job.inputJson ?? ""} isOpen={false} />
              {hasEnded(job) ? <Json title={t("job.result")} text={job.resultJson ?? ""} isOpen /> : null}
            </>
          ) : null}
        </>
      )}
    </article>
  );
}

function Facts({ job }: { readonly job: Job }) {
  const { inbox } = usePage();
  const time = (stamp: string | undefined) => {
    const at = instant(stamp);
    return at === undefined ? null : <Time at={at} now={inbox.now()} />;
  };
  const name = (text: string | undefined) => ((text ?? "") === "" ? null : <Name text={text ?? ""} />);
  const before = job.retriedFromJobId ?? "";
  const worker = job.workerless === true ? t("job.no_worker") : name(job.workerId);
  const facts: readonly (readonly [string, ComponentChildren])[] = [
    [t("job.id"), <code key="id">{job.jobId}</code>],
    [t("job.creator"), name(job.userId)],
    [t("job.created"), time(job.createTime)],
    [t("job.ended"), time(job.completeTime)],
    [
      t("job.attempt"),
      (job.attempt ?? 0) > 0 && job.workerless !== true
        ? t("job.attempts", { n: job.attempt ?? 0, all: job.maxAttempts ?? 0 })
        : null,
    ],
    [t("job.worker"), job.headOnly === true ? null : worker],
    [t("job.priority"), (job.priority ?? 0) === 0 ? null : String(job.priority)],
    [t("job.until"), hasEnded(job) ? null : time(job.expireTime)],
    [
      t("job.retried_from"),
      before === "" ? null : (
        <PlaceLink key="before" place={{ view: "job", jobId: before }}>
          {t("job.earlier")} …{shortId(before)}
        </PlaceLink>
      ),
    ],
    [t("job.cancelled_by"), name(job.cancelledBy)],
    [
      t("job.cancel_reason"),
      (job.cancelReason ?? "") === "" ? null : <Plain text={job.cancelReason ?? ""} />,
    ],
    [t("job.purge"), time(job.purgeTime)],
  ];
  const labels = Object.entries(job.labels ?? {});
  return (
    <>
      <dl class="person job-facts">
        {facts
          .filter(([, value]) => value !== null)
          .map(([title, value]) => (
            <div key={title}>
              <dt>{title}</dt>
              <dd>{value}</dd>
            </div>
          ))}
      </dl>
      {labels.length === 0 ? null : (
        <ul class="labels" aria-label={t("labels.title")}>
          {labels.map(([label, value]) => (
            <li key={label}>
              <Name text={`${label}=${value}`} />
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

function FailureNote({ job, failure }: { readonly job: Job; readonly failure: Failure | undefined }) {
  if (failure === undefined) return null;
  return (
    <section class="notice job-failure" aria-labelledby="job-failure">
      <h2 id="job-failure">{t(job.state === "JOB_STATE_FAILED" ? "job.failure" : "job.failure.before")}</h2>
      <p>
        <code>
          <Name text={failure.code ?? ""} />
        </code>
      </p>
      <div class="job-text">
        <Plain text={failure.message ?? ""} />
      </div>
      {(failure.detailsJson ?? "") === "" ? null : <JsonTree text={failure.detailsJson ?? ""} />}
    </section>
  );
}

function Questions({ prompts }: { readonly prompts: readonly Prompt[] }) {
  const { inbox } = usePage();
  return (
    <section class="section" aria-labelledby="job-questions">
      <h2 id="job-questions">{t("job.questions")}</h2>
      {prompts.length === 0 ? (
        <p class="hint">{t("job.questions.none")}</p>
      ) : (
        <ol class="rounds">
          {prompts.map((prompt) => (
            <RoundItem key={idOf(prompt)} prompt={prompt} now={inbox.now()} />
          ))}
        </ol>
      )}
    </section>
  );
}

/** How many events are drawn at once. */
const PAGE = 200;

interface EventsProps {
  readonly events: readonly JobEvent[];
  readonly prompts: readonly Prompt[];
}

function Events({ events, prompts }: EventsProps) {
  const drawn = useSignal(PAGE);
  const seen = events.filter((event) => nameOf(event) !== "WITHHELD");
  const withheld = events.length - seen.length;
  const earlier = Math.max(0, seen.length - drawn.value);
  return (
    <section class="section" aria-labelledby="job-events">
      <h2 id="job-events">{t("job.timeline")}</h2>
      {withheld === 0 ? null : <p class="hint">{t("job.events.withheld", { n: withheld })}</p>}
      {earlier === 0 ? null : (
        <button
          type="button"
          class="more"
          onClick={() => {
            drawn.value += PAGE;
          }}
        >
          {t("job.events.earlier", { n: Math.min(PAGE, earlier), all: seen.length })}
        </button>
      )}
      <EventLines events={seen.slice(earlier)} titles={titlesOf(prompts)} />
    </section>
  );
}

function Checkpoints({ all }: { readonly all: readonly Checkpoint[] }) {
  return (
    <section class="section" aria-labelledby="job-checkpoints">
      <h2 id="job-checkpoints">{t("job.checkpoints")}</h2>
      {all.length === 0 ? <p class="hint">{t("job.checkpoints.none")}</p> : null}
      {all.map((each) => (
        <Json
          key={each.key}
          title={<Name text={each.key ?? ""} />}
          text={each.valueJson ?? ""}
          isOpen={false}
        />
      ))}
    </section>
  );
}

interface JsonProps {
  readonly title: ComponentChildren;
  readonly text: string;
  readonly isOpen: boolean;
}

function Json({ title, text, isOpen }: JsonProps) {
  return (
    <details class="section content" open={isOpen}>
      <summary>{title}</summary>
      {text === "" ? <p class="hint">{t("job.empty")}</p> : <JsonTree text={text} />}
    </details>
  );
}
