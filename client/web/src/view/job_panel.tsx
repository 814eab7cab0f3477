// The job that asks: how far it is, and what happened to it. It is read while the section is open.

import { useSignal } from "@preact/signals";
import type { Prompt } from "../wire/messages";
import { rich, t } from "../words/later";
import { ErrorNote } from "./errors";
import { nameOf } from "./job_facts";
import { EventLines, JobHead } from "./job_parts";
import { typeWords } from "./labels";
import { useLiveJob } from "./jobs/live_jobs";
import { Reading, titlesOf } from "./jobs/reading";
import { PlaceLink } from "./place_link";
import { Name } from "./ui";

export function JobPanel({ prompt }: { readonly prompt: Prompt }) {
  const isOpen = useSignal(false);
  return (
    <details
      class="section"
      onToggle={(event) => {
        isOpen.value = event.currentTarget.open;
      }}
    >
      <summary>{rich("job.title", { type: <Name text={typeWords(prompt.jobType)} /> })}</summary>
      {isOpen.value ? <OpenJob jobId={prompt.jobId ?? ""} /> : null}
    </details>
  );
}

/** Events that only the service itself needs: leases, receipts, presence. */
const BOOKKEEPING = new Set([
  "JOB_LEASED",
  "CHECKPOINT_SAVED",
  "PROMPT_CONSUMED",
  "PROMPT_UNATTENDED",
  "PROMPT_ATTENDED",
  "UNDERSTANDING_UPDATED",
  "WITHHELD",
]);

function OpenJob({ jobId }: { readonly jobId: string }) {
  const { reading, feed, events, error } = useLiveJob(jobId, Reading);
  const job = reading.job.value;
  const shown = events.filter((event) => !BOOKKEEPING.has(nameOf(event)));
  return (
    <div class="job">
      {error === null ? null : <ErrorNote error={error} />}
      {feed?.state.value === "offline" ? <p class="hint">{t("job.offline")}</p> : null}
      {job === null ? null : <JobHead job={job} />}
      {shown.length === 0 ? null : <EventLines events={shown} titles={titlesOf(reading.prompts.value)} />}
      <p>
        <PlaceLink place={{ view: "job", jobId }}>{t("job.open")}</PlaceLink>
      </p>
    </div>
  );
}
