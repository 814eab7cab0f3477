// The list of jobs: live where they have not ended, page by page where they have.

import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { Plain } from "../../content";
import type { Inbox, Row } from "../../model/inbox";
import type { Job } from "../../wire/messages";
import { rich, t } from "../../words/later";
import { labelsOf } from "../conditions";
import { ErrorNote } from "../errors";
import { hasEnded, jobStateText, shortId } from "../job_facts";
import { isClient } from "../roles";
import { ProgressBar } from "../job_parts";
import { typeWords } from "../labels";
import { usePage, useSignedIn } from "../page";
import { PlaceLink } from "../place_link";
import { instant } from "../prompt_facts";
import { halfMinute } from "../times";
import { Ago, Name } from "../ui";
import { JobFilters } from "./filters";
import { arrange, endedStates, type JobQuery, stateOf, writeJobQuery } from "./job_query";
import { lastFilter } from "./last_filter";
import { useJobs } from "./live_jobs";

/** How many jobs are drawn, and read, at once. */
const PAGE = 200;

export function JobsView({ filter }: { readonly filter: JobQuery }) {
  const { inbox } = usePage();
  /** The jobs that were listed last: the filters offer their values. */
  const known = useSignal<readonly Job[]>([]);
  return (
    <section class="jobs" aria-labelledby="jobs-title" data-focus-home>
      <h1 id="jobs-title" tabIndex={-1}>
        {t("jobs.title")}
      </h1>
      {isClient(inbox.session.value) ? (
        <>
          <JobFilters filter={filter} jobs={known.value} />
          <Listing
            key={JSON.stringify(filter)}
            filter={filter}
            onListed={(jobs) => {
              known.value = jobs;
            }}
          />
        </>
      ) : (
        <p>{t("jobs.forbidden")}</p>
      )}
    </section>
  );
}

/** Jobs that have ended, newest first, read page by page. */
function useEnded(inbox: Inbox, filter: JobQuery) {
  const jobs = useSignal<readonly Job[]>([]);
  /** The token of the next page; empty: there is none. */
  const next = useSignal("");
  const isReading = useSignal(false);
  const error = useSignal<unknown>(null);
  const isSignedIn = useSignedIn();
  const states = endedStates(filter);
  const read = async (pageToken: string) => {
    if (isReading.peek()) return;
    isReading.value = true;
    error.value = null;
    try {
      const reply = await inbox.call("JobService/ListJobs", {
        filter: {
          states: states.map(stateOf),
          jobTypes: filter.types,
          userIds: filter.creators,
          labels: labelsOf(filter.labels),
        },
        pageSize: PAGE,
        pageToken,
      });
      jobs.value = [...jobs.peek(), ...(reply.jobs ?? [])];
      next.value = reply.nextPageToken ?? "";
    } catch (problem) {
      error.value = problem;
    } finally {
      isReading.value = false;
    }
  };
  useEffect(() => {
    if (isSignedIn && states.length > 0 && jobs.peek().length === 0) void read("");
  }, [isSignedIn]);
  return { jobs, next, isReading, error, more: () => void read(next.peek()) };
}

interface ListingProps {
  readonly filter: JobQuery;
  readonly onListed: (jobs: readonly Job[]) => void;
}

function Listing({ filter, onListed }: ListingProps) {
  const { inbox } = usePage();
  const feed = useJobs(filter).value;
  const ended = useEnded(inbox, filter);
  const drawn = useSignal(PAGE);
  useEffect(() => {
    lastFilter.value = filter;
  }, [filter]);
  const live = feed?.jobs.value;
  const old = ended.jobs.value;
  const jobs = useMemo(() => arrange([old, live?.values() ?? []], filter), [old, live, filter]);
  useEffect(() => {
    if (jobs.length > 0) onListed(jobs);
  }, [jobs]);
  const shown = jobs.slice(0, drawn.value);
  const rows = inbox.rows.value;
  const titles = useMemo(() => titlesByJob(rows.values()), [rows]);
  const hasMore = ended.next.value !== "";
  const isComplete = feed?.complete.value === true && !ended.isReading.value;
  const problem = ended.error.value ?? feed?.error.value ?? null;
  const hidden = jobs.length - shown.length;
  return (
    <>
      {problem === null ? null : <ErrorNote error={problem} />}
      <p class="summary" role="status">
        {jobs.length === 0 && !isComplete
          ? t("jobs.loading")
          : t(hasMore ? "jobs.count.more" : "jobs.count", { n: jobs.length })}
        {feed?.state.value === "offline" ? ` · ${t("job.offline")}` : ""}
      </p>
      {jobs.length === 0 && isComplete ? (
        <p class="empty empty-title">
          {t(writeJobQuery(filter).size > 0 ? "jobs.none.filtered" : "jobs.none")}
        </p>
      ) : (
        <ol class="job-rows" aria-label={t("jobs.list")}>
          {shown.map((job) => (
            <JobRow key={job.jobId} job={job} titles={titles.get(job.jobId ?? "") ?? []} />
          ))}
        </ol>
      )}
      {hidden > 0 || hasMore ? (
        <button
          type="button"
          class="more"
          aria-disabled={ended.isReading.value}
          onClick={() => {
            if (hidden < PAGE && hasMore) ended.more();
            drawn.value += PAGE;
          }}
        >
          {t("jobs.more", { n: hidden > 0 && !hasMore ? Math.min(hidden, PAGE) : PAGE })}
        </button>
      ) : null}
    </>
  );
}

/** How many titles of questions a row has. */
const MOST_TITLES = 3;

/** The titles of the questions that the page knows, by job: those of this person's inbox. */
function titlesByJob(rows: Iterable<Row>): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const { prompt } of rows) {
    const titles = found.get(prompt.jobId ?? "") ?? [];
    if (titles.length < MOST_TITLES) titles.push(prompt.content?.title ?? "");
    found.set(prompt.jobId ?? "", titles);
  }
  return found;
}

interface JobRowProps {
  readonly job: Job;
  readonly titles: readonly string[];
}

function JobRow({ job, titles }: JobRowProps) {
  const { inbox } = usePage();
  halfMinute.value;
  const created = instant(job.createTime);
  const message = job.progress?.message ?? "";
  const labels = Object.entries(job.labels ?? {});
  return (
    <li class={hasEnded(job) ? "job-row is-ended" : "job-row"} data-job={job.jobId}>
      <div>
        <PlaceLink class="job-name" place={{ view: "job", jobId: job.jobId ?? "" }}>
          <Name text={typeWords(job.jobType)} /> <small>…{shortId(job.jobId ?? "")}</small>
        </PlaceLink>
        {titles.map((title, place) => (
          <p key={place} class="job-question">
            <Plain text={title} />
          </p>
        ))}
      </div>
      <div class="job-course">
        <p class="job-state" data-state={job.state}>
          {jobStateText(job, inbox.now())}
        </p>
        <ProgressBar job={job} />
        {message === "" || hasEnded(job) ? null : (
          <p class="job-message">
            <Plain text={message} />
          </p>
        )}
      </div>
      <div class="row-meta">
        <span>{rich("row.for", { name: <Name text={job.userId ?? ""} /> })}</span>
        {created === undefined ? null : <Ago at={created} now={() => inbox.now()} />}
        {labels.length === 0 ? null : (
          <ul class="labels" aria-label={t("labels.title")}>
            {labels.map(([name, value]) => (
              <li key={name}>
                <Name text={`${name}=${value}`} />
              </li>
            ))}
          </ul>
        )}
      </div>
    </li>
  );
}
