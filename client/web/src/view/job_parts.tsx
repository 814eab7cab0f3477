// Parts of a job that its own page and a prompt's page show: how far it is, and what happened to it.

import { Plain } from "../content";
import type { Job, JobEvent } from "../wire/messages";
import { rich, t } from "../words/later";
import { dataOf, rulingOf, wordsOf } from "./event_words";
import { jobStateText, nameOf } from "./job_facts";
import { usePage } from "./page";
import { instant } from "./prompt_facts";
import { RuleRefs } from "./rules/rule_ref";
import { halfMinute } from "./times";
import { Name, Time } from "./ui";

/** The job's state in words, with what it says of itself, and its progress as a bar. */
export function JobHead({ job }: { readonly job: Job }) {
  const { inbox } = usePage();
  halfMinute.value;
  const message = job.progress?.message ?? "";
  return (
    <div class="job-head">
      <p>
        <strong>{jobStateText(job, inbox.now())}</strong>
        {message === "" ? null : (
          <>
            {" · "}
            <Plain text={message} />
          </>
        )}
      </p>
      <ProgressBar job={job} />
    </div>
  );
}

/** Nothing where the job has reported no progress. */
export function ProgressBar({ job }: { readonly job: Job }) {
  const done = job.progress?.done ?? "0";
  const total = job.progress?.total ?? "0";
  const percent = Math.max(0, Math.min(100, Number(job.progress?.percent ?? 0)));
  if (percent === 0 && total === "0") return null;
  return (
    <div class="progress">
      <div
        class="progress-bar"
        role="progressbar"
        aria-label={t("job.progress")}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.round(percent)}
      >
        <div class="progress-fill" style={{ width: `${percent}%` }} />
      </div>
      <span>{total === "0" ? `${Math.round(percent)} %` : t("job.steps", { done, total })}</span>
    </div>
  );
}

interface EventLinesProps {
  readonly events: readonly JobEvent[];
  /** The titles of questions by their ids: most events of a question do not name it. */
  readonly titles: ReadonlyMap<string, string>;
}

/** What happened to a job, one line for each event. */
export function EventLines({ events, titles }: EventLinesProps) {
  const { inbox } = usePage();
  const now = inbox.now();
  return (
    <ol class="timeline" aria-label={t("job.timeline")}>
      {events.map((event) => {
        const at = instant(event.time);
        const text = textOf(event) || (titles.get(event.promptId ?? "") ?? "");
        const words = wordsOf(event);
        const ruling = nameOf(event) === "PROMPT_RULED" ? rulingOf(event) : undefined;
        return (
          <li key={event.seq}>
            {at === undefined ? null : <Time at={at} now={now} />}
            <span>
              {rich(words.key, {
                actor: <Name text={event.actor || t("someone")} />,
                name: nameOf(event).toLowerCase().replaceAll("_", " "),
                ...Object.fromEntries(
                  Object.entries(words.names).map(([place, text]) => [
                    place,
                    <Name key={place} text={text} />,
                  ]),
                ),
                ...(ruling === undefined ? {} : { rules: <RuleRefs refs={ruling.rules} /> }),
              })}
              {ruling?.more.map(({ key, rules, why = "" }) => (
                <span key={`${key} ${rules.join()}`}>
                  {"; "}
                  {rich(key, { rules: <RuleRefs refs={rules} />, why: <Name text={why} /> })}
                </span>
              ))}
              {text === "" ? null : (
                <>
                  {": "}
                  <Plain text={text} />
                </>
              )}
            </span>
          </li>
        );
      })}
    </ol>
  );
}

/** The keys of an event's data that say more for people, the first that is there. */
const TELLING = ["message", "title", "reason", "comment"];

/** The text in an event's data, if it has one. */
function textOf(event: JobEvent): string {
  const data = dataOf(event);
  const keys = nameOf(event) === "CHECKPOINT_SAVED" ? ["key"] : TELLING;
  const found = keys.map((key) => data[key]).find((value) => typeof value === "string" && value !== "");
  return typeof found === "string" ? found : "";
}
