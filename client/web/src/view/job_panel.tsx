// The job that asks: how far it is, and what happened to it. It is read while the section is open.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Job, JobEvent, Prompt, WatchJobResponse } from "../wire/messages";
import { rich, t } from "../words";
import { errorText } from "./errors";
import { nameOf } from "./job_facts";
import { EventLines, JobHead } from "./job_parts";
import { usePage } from "./page";
import { PlaceLink } from "./place_link";
import { idOf } from "./prompt_facts";
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
      <summary>{rich("job.title", { type: <Name text={prompt.jobType ?? ""} /> })}</summary>
      {isOpen.value ? <OpenJob jobId={prompt.jobId ?? ""} namespace={prompt.namespace ?? ""} /> : null}
    </details>
  );
}

/** Of a job's questions, all that this person may see, for their titles. */
const STATES = [
  "PROMPT_STATE_PENDING",
  "PROMPT_STATE_ANSWERED",
  "PROMPT_STATE_EXPIRED",
  "PROMPT_STATE_CANCELLED",
  "PROMPT_STATE_SUPERSEDED",
] as const;

function OpenJob({ jobId, namespace }: { readonly jobId: string; readonly namespace: string }) {
  const { inbox } = usePage();
  const job = useSignal<Job | null>(null);
  const events = useSignal<readonly JobEvent[]>([]);
  const titles = useSignal<ReadonlyMap<string, string>>(new Map());
  const error = useSignal("");

  useEffect(() => {
    let isHere = true;
    let asked = false;
    const load = async () => {
      asked = false;
      try {
        const [reply, asks] = await Promise.all([
          inbox.call("JobService/GetJob", { jobId }),
          inbox.call("HitlService/ListPrompts", {
            namespace,
            filter: { jobId, states: [...STATES] },
            pageSize: 100,
          }),
        ]);
        if (!isHere) return;
        job.value = reply.job ?? null;
        titles.value = new Map((asks.prompts ?? []).map((one) => [idOf(one), one.content?.title ?? ""]));
      } catch (problem) {
        if (isHere) error.value = errorText(problem);
      }
    };
    void load();
    const source = new EventSource(`/events/jobs/${encodeURIComponent(jobId)}`);
    source.onmessage = (message: MessageEvent<string>) => {
      const reply = JSON.parse(message.data) as WatchJobResponse;
      const known = new Set(events.peek().map((event) => event.seq));
      const added = (reply.events ?? []).filter((event) => !known.has(event.seq));
      if (added.length === 0) return;
      events.value = [...events.peek(), ...added];
      // One read for all events of a frame.
      if (asked) return;
      asked = true;
      setTimeout(() => {
        if (isHere) void load();
      }, 200);
    };
    return () => {
      isHere = false;
      source.close();
    };
  }, [jobId, namespace, inbox]);

  return (
    <div class="job">
      {error.value === "" ? null : <p class="error-note">{error.value}</p>}
      {job.value === null ? null : <JobHead job={job.value} />}
      <Shown events={events.value} titles={titles.value} />
      <p>
        <PlaceLink place={{ view: "job", jobId }}>{t("job.open")}</PlaceLink>
      </p>
    </div>
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

interface ShownProps {
  readonly events: readonly JobEvent[];
  readonly titles: ReadonlyMap<string, string>;
}

function Shown({ events, titles }: ShownProps) {
  const shown = events.filter((event) => !BOOKKEEPING.has(nameOf(event)));
  return shown.length === 0 ? null : <EventLines events={shown} titles={titles} />;
}
